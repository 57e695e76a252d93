-- Format 2. Runs after format 1; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Ledger: keys, holds, refunds, suspense, closed accounts ------------------------------------------------------------
-- Ledger accounts are named as book::ledger::LedgerName says; kind may also be expense. Further kinds of transfers:
-- refund | bonus | capture | suspense | suspense_assignment | arrears. account_id 0: nobody knows whose money it is.

-- Every key under which somebody asked to move money, kept for ever. content_hash: SHA-256 of what was asked; empty for
-- payments older than this format, whose content is in their row. transfer_id, subject_id: what came of it at first.
CREATE TABLE money_keys (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, content_hash TEXT NOT NULL, transfer_id BIGINT, subject_id BIGINT,
    actor TEXT NOT NULL, at BIGINT NOT NULL);
INSERT INTO money_keys (key, kind, content_hash, transfer_id, subject_id, actor, at)
    SELECT key, 'topup', '', transfer_id, id, actor, created_at FROM payments;
-- Money set aside in a wallet. state: held | captured | released | expired. captured: what was taken, by transfer_id; the
-- rest of it is free again.
CREATE TABLE holds (
    id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, amount TEXT NOT NULL, reason TEXT NOT NULL, state TEXT NOT NULL,
    placed_at BIGINT NOT NULL, expires_at BIGINT, ended_at BIGINT, captured TEXT, transfer_id BIGINT, actor TEXT NOT NULL);
-- Refunds, and requests for them. state: requested | paid | rejected | reversed. approval_above: the site's refund_limit
-- at the time of the request.
CREATE TABLE refunds (
    id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, amount TEXT NOT NULL, channel TEXT NOT NULL, reason TEXT NOT NULL,
    state TEXT NOT NULL, approval_above TEXT NOT NULL, proposed_by TEXT NOT NULL, proposed_at BIGINT NOT NULL,
    decided_by TEXT, decided_at BIGINT, transfer_id BIGINT);
-- Above which amount a second person approves a refund. id: the site's; without a row, above zero.
CREATE TABLE refund_limits (id BIGINT PRIMARY KEY, amount TEXT NOT NULL);
-- Money whose owner was not known when it came. key: the payment's; payer: what was written on it.
-- state: open | assigned | reversed.
CREATE TABLE suspense (
    id BIGINT PRIMARY KEY, key TEXT NOT NULL UNIQUE, payer TEXT NOT NULL, amount TEXT NOT NULL, currency TEXT NOT NULL,
    channel TEXT NOT NULL, state TEXT NOT NULL, received_at BIGINT NOT NULL, transfer_id BIGINT NOT NULL,
    account_id BIGINT, assigned_at BIGINT, assignment_id BIGINT, actor TEXT NOT NULL);
-- Accounts closed by command: their debts are in arrears, not in the wallet. balance: what was left or owed at the end.
CREATE TABLE closings (
    account_id BIGINT PRIMARY KEY, closed_at BIGINT NOT NULL, booked_at BIGINT NOT NULL, balance TEXT NOT NULL,
    refund_id BIGINT, actor TEXT NOT NULL);
-- Quality ----------------------------------------------------------------------------------------------------------------
-- Which meter (parent_id, or null again) also measures what the meter `id` measures.
CREATE TABLE meter_parents (id BIGINT PRIMARY KEY, parent_id BIGINT);
-- Findings of the view data_quality that a person has looked at: of that meter and issue, the one that holds `since`.
CREATE TABLE quality_acknowledgements (
    id BIGINT PRIMARY KEY, meter_id BIGINT NOT NULL, issue TEXT NOT NULL, since BIGINT NOT NULL, reason TEXT NOT NULL,
    actor TEXT NOT NULL, at BIGINT NOT NULL);
-- Tariffs ------------------------------------------------------------------------------------------------------------
-- Who lives behind the service point: it moves the thresholds of tiers. Null: nobody said.
ALTER TABLE contracts ADD COLUMN persons BIGINT;
ALTER TABLE contracts ADD COLUMN households BIGINT;

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
