-- Format 2. Runs after format 1; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Tariffs ------------------------------------------------------------------------------------------------------------
-- Who lives behind the service point: it moves the thresholds of tiers. Null: nobody said.
ALTER TABLE contracts ADD COLUMN persons BIGINT;
ALTER TABLE contracts ADD COLUMN households BIGINT;
