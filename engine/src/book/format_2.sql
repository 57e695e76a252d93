-- Format 2. Runs after format 1; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Periods and adjustments ------------------------------------------------------------------------------------------------
-- A site's local months; one without a row is open. state: open (again) | review | closed. All months up to the last closed
-- one are closed: months are closed in order, and only the last one can be opened again.
CREATE TABLE periods (
    site_id BIGINT NOT NULL, local_month BIGINT NOT NULL, state TEXT NOT NULL, changed_at BIGINT NOT NULL, actor TEXT NOT NULL,
    reason TEXT, PRIMARY KEY (site_id, local_month));
-- Up to this much an adjustment of an account's month needs no person.
CREATE TABLE adjustment_limits (site_id BIGINT PRIMARY KEY, amount TEXT NOT NULL);
-- What a closed month should have cost more (or less, below zero). state: pending | approved | rejected | superseded (by one
-- that includes it; null where nothing is left of it). cause: late | apply | correction | rerate. posted_date: the local day on
-- which it was posted, and so the period in which it shows.
CREATE TABLE adjustments (
    id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, utility TEXT NOT NULL, local_month BIGINT NOT NULL, state TEXT NOT NULL,
    cause TEXT NOT NULL, detail TEXT NOT NULL, difference TEXT NOT NULL, actor TEXT NOT NULL, proposed_at BIGINT NOT NULL,
    decided_by TEXT, decided_at BIGINT, reason TEXT, posted_date BIGINT, superseded_by BIGINT);
-- Its lines: what was charged before, and the difference in quantity and amount. transfer_id: as in usage_lines, 0 until posted.
CREATE TABLE adjustment_lines (
    adjustment_id BIGINT NOT NULL, service_point_id BIGINT NOT NULL, local_date BIGINT NOT NULL, component TEXT NOT NULL,
    band BIGINT NOT NULL, tier BIGINT NOT NULL, tariff_version_id BIGINT NOT NULL, quantity_before BIGINT NOT NULL,
    amount_before TEXT NOT NULL, quantity BIGINT NOT NULL, amount TEXT NOT NULL, transfer_id BIGINT NOT NULL,
    PRIMARY KEY (adjustment_id, service_point_id, local_date, component, band, tier, tariff_version_id));
-- What a person says that a meter said: the last row of a meter and time takes the place of every reading there. kind: register
-- | usage | void (nothing was said). verdict: kernel::reading::Verdict::code, what billing made of it.
CREATE TABLE corrections (
    id BIGINT PRIMARY KEY, meter_id BIGINT NOT NULL, time BIGINT NOT NULL, kind TEXT NOT NULL, start BIGINT, value BIGINT,
    reason TEXT NOT NULL, actor TEXT NOT NULL, corrected_at BIGINT NOT NULL, verdict BIGINT NOT NULL, superseded_by BIGINT);
CREATE INDEX corrections_by_meter ON corrections (meter_id, time);
-- The lines of closed months as they were stated. usage_month: the month of use, another one for a posted adjustment;
-- first_date: the first day among it. rounded:
-- amount + carried_in, to the currency's digits; what is left is carried to the next statement of the same line. withdrawn_at:
-- when its period was opened again.
CREATE TABLE statement_lines (
    account_id BIGINT NOT NULL, local_month BIGINT NOT NULL, statement BIGINT NOT NULL, line BIGINT NOT NULL,
    service_point_id BIGINT NOT NULL, usage_month BIGINT NOT NULL, first_date BIGINT NOT NULL, component TEXT NOT NULL,
    band BIGINT NOT NULL, tier BIGINT NOT NULL, tariff_version_id BIGINT NOT NULL, quantity BIGINT NOT NULL,
    amount TEXT NOT NULL, carried_in TEXT NOT NULL, rounded TEXT NOT NULL, carried_out TEXT NOT NULL, closed_at BIGINT NOT NULL, withdrawn_at BIGINT,
    PRIMARY KEY (account_id, statement, line));
-- What each line's statements have rounded away so far: carried into the next one.
CREATE TABLE statement_carries (
    account_id BIGINT NOT NULL, service_point_id BIGINT NOT NULL, component TEXT NOT NULL, band BIGINT NOT NULL,
    tier BIGINT NOT NULL, tariff_version_id BIGINT NOT NULL, amount TEXT NOT NULL,
    PRIMARY KEY (account_id, service_point_id, component, band, tier, tariff_version_id));
