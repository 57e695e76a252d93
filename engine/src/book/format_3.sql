-- Format 3. Runs after format 2; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Statements -----------------------------------------------------------------------------------------------------------
-- How the months of a site are rounded that are closed from a moment on. rounding: half-up | half-even; digits: those of the
-- currency. Half up to two digits where a site has no row.
CREATE TABLE statement_roundings (
    site_id BIGINT NOT NULL, since BIGINT NOT NULL, rounding TEXT NOT NULL, digits BIGINT NOT NULL,
    PRIMARY KEY (site_id, since));
