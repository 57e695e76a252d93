-- Format 4. Runs after format 3; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Pooled tiers ---------------------------------------------------------------------------------------------------------
-- Accounts whose service points of one utility share one tier counter, It never changes
-- once such an account pays for something.
CREATE TABLE pooled_accounts (id BIGINT PRIMARY KEY);
