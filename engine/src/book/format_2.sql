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
