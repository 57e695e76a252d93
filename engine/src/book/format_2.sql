-- Format 2. Runs after format 1; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Quality ----------------------------------------------------------------------------------------------------------------
-- Which meter (parent_id, or null again) also measures what the meter `id` measures.
CREATE TABLE meter_parents (id BIGINT PRIMARY KEY, parent_id BIGINT);
-- Findings of the view data_quality that a person has looked at: of that meter and issue, the one that holds `since`.
CREATE TABLE quality_acknowledgements (
    id BIGINT PRIMARY KEY, meter_id BIGINT NOT NULL, issue TEXT NOT NULL, since BIGINT NOT NULL, reason TEXT NOT NULL,
    actor TEXT NOT NULL, at BIGINT NOT NULL);
