-- The book, format 1. One SQL text for SQLite and PostgreSQL: only BIGINT, TEXT and BLOB (BYTEA), `$1` placeholders.
--
-- Times are microseconds UTC; local dates are days since 1970-01-01; quantities are 1/1000 units; prices are 1e-6 and
-- amounts 1e-9 currency. Amounts are decimal TEXT with nine places ("12.345678900"): 64-bit integers end at 9.2e9.
-- Released: what changes is a script of its own (book/format.rs).

-- format_version, log_id, created_at.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
-- applied_seq: frames priced and in this book. lake_seq: frames in the lake's files.
CREATE TABLE progress (name TEXT PRIMARY KEY, value BIGINT NOT NULL);

-- Registry -----------------------------------------------------------------------------------------------------------
-- definition: JSON of kernel::calendar::Calendar.
CREATE TABLE calendars (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL);
-- definition: JSON of kernel::control::policy::Policy.
CREATE TABLE policies (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL);
-- mode: off | shadow | ask | auto.
CREATE TABLE sites (
    id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, title TEXT NOT NULL, time_zone TEXT NOT NULL,
    currency TEXT NOT NULL, calendar_id BIGINT, mode TEXT NOT NULL, webhook TEXT, created_at BIGINT NOT NULL);
-- kind: building | floor | room | area. area_centi_m2: floor area in 1/100 m2.
CREATE TABLE locations (
    id BIGINT PRIMARY KEY, site_id BIGINT NOT NULL, parent_id BIGINT, name TEXT NOT NULL, title TEXT NOT NULL,
    kind TEXT NOT NULL, area_centi_m2 BIGINT, UNIQUE (site_id, name));
-- kind: prepaid | postpaid. protected: reason why it is never cut, or null.
CREATE TABLE accounts (
    id BIGINT PRIMARY KEY, site_id BIGINT NOT NULL, name TEXT NOT NULL UNIQUE, holder TEXT NOT NULL, kind TEXT NOT NULL,
    policy_id BIGINT, location_id BIGINT, credit_limit TEXT NOT NULL, cutoff_enabled BIGINT NOT NULL, protected TEXT,
    confirmed_at BIGINT, opened_at BIGINT NOT NULL, closed_at BIGINT);
CREATE TABLE tariffs (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, utility TEXT NOT NULL, currency TEXT NOT NULL);
-- definition: JSON of kernel::tariff::TariffVersion. Never edited; superseded_at marks one replaced by `correct = true`.
CREATE TABLE tariff_versions (
    id BIGINT PRIMARY KEY, tariff_id BIGINT NOT NULL, valid_from BIGINT NOT NULL, definition TEXT NOT NULL,
    published_at BIGINT NOT NULL, superseded_at BIGINT);
CREATE TABLE service_points (
    id BIGINT PRIMARY KEY, site_id BIGINT NOT NULL, name TEXT NOT NULL UNIQUE, utility TEXT NOT NULL,
    location_id BIGINT);
-- Who pays for a service point, by which tariff, from when to when.
CREATE TABLE contracts (
    id BIGINT PRIMARY KEY, service_point_id BIGINT NOT NULL, account_id BIGINT NOT NULL, tariff_id BIGINT NOT NULL,
    valid_from BIGINT NOT NULL, valid_to BIGINT, superseded_at BIGINT);
-- kind: register | usage. resolution: 1/1000 units per count before CT x PT. bus: host:port, or null for imports.
CREATE TABLE meters (
    id BIGINT PRIMARY KEY, site_id BIGINT NOT NULL, serial TEXT NOT NULL UNIQUE, profile TEXT NOT NULL,
    utility TEXT NOT NULL, kind TEXT NOT NULL, resolution_numerator BIGINT NOT NULL,
    resolution_denominator BIGINT NOT NULL, bus TEXT, unit BIGINT, poll_micros BIGINT, has_relay BIGINT NOT NULL,
    rating_mw BIGINT);
-- Installations. definition: JSON of kernel::epoch::Epoch.
CREATE TABLE epochs (
    id BIGINT PRIMARY KEY, meter_id BIGINT NOT NULL, service_point_id BIGINT NOT NULL, valid_from BIGINT NOT NULL,
    valid_to BIGINT, definition TEXT NOT NULL, reason TEXT, superseded_at BIGINT);

-- Money --------------------------------------------------------------------------------------------------------------
-- name: wallet:ACCOUNT, cash:CHANNEL, revenue:UTILITY, rounding, suspense. kind: liability | asset | income.
CREATE TABLE ledger_accounts (
    id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, account_id BIGINT, currency TEXT NOT NULL);
-- Immutable. A debit and a credit of the same amount, above zero; usage debits the wallet, a top-up credits it.
-- kind: topup | usage | usage_difference | reversal | adjustment. local_date: the day of usage. linked_id: what it corrects.
CREATE TABLE transfers (
    id BIGINT PRIMARY KEY, kind TEXT NOT NULL, debit_id BIGINT NOT NULL, credit_id BIGINT NOT NULL, amount TEXT NOT NULL,
    account_id BIGINT NOT NULL, local_date BIGINT, linked_id BIGINT, booked_at BIGINT NOT NULL,
    effective_at BIGINT NOT NULL, memo TEXT NOT NULL);
CREATE INDEX transfers_by_account ON transfers (account_id, id);
-- Client key and (provider, provider_transaction) are each unique for ever. state: created | pending | posted | voided | expired.
CREATE TABLE payments (
    id BIGINT PRIMARY KEY, key TEXT NOT NULL UNIQUE, account_id BIGINT NOT NULL, channel TEXT NOT NULL,
    provider TEXT NOT NULL, provider_transaction TEXT NOT NULL, amount TEXT NOT NULL, state TEXT NOT NULL,
    created_at BIGINT NOT NULL, posted_at BIGINT, transfer_id BIGINT, actor TEXT NOT NULL,
    UNIQUE (provider, provider_transaction));
-- Rated usage by service point, account, local day, component, band, tier and tariff version. transfer_id 0: not posted yet;
-- a posted line keeps its transfer, and later differences are new lines. It moves to posted_lines.
CREATE TABLE usage_lines (
    service_point_id BIGINT NOT NULL, account_id BIGINT NOT NULL, local_date BIGINT NOT NULL, component TEXT NOT NULL,
    band BIGINT NOT NULL, tier BIGINT NOT NULL, tariff_version_id BIGINT NOT NULL, transfer_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL, amount TEXT NOT NULL,
    PRIMARY KEY (service_point_id, account_id, local_date, component, band, tier, tariff_version_id, transfer_id));
-- Posted lines, packed by the thousand (billing::packed), until they are exported to the lake as charges. least, most: the
-- transfers among them.
CREATE TABLE posted_lines (
    id BIGINT PRIMARY KEY, least BIGINT NOT NULL, most BIGINT NOT NULL, line_count BIGINT NOT NULL, lines BLOB NOT NULL);

-- Derived: the sum of each wallet's transfers, kept in the transaction that posts them, so that a start need not add them up.
CREATE TABLE wallets (account_id BIGINT PRIMARY KEY, posted TEXT NOT NULL);

-- Rating state ---------------------------------------------------------------------------------------------------------
-- state: postcard of kernel::point::PointState, with a leading format byte; seq: frames it includes.
CREATE TABLE service_point_states (service_point_id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, state BLOB NOT NULL);
-- The state before the first reading of a local month, from which late readings are rated anew.
CREATE TABLE checkpoints (
    service_point_id BIGINT NOT NULL, local_month BIGINT NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (service_point_id, local_month));
-- Verdicts other than `accepted` of rows above lake_seq; verdict: kernel::reading::Verdict::code.
CREATE TABLE hot_verdicts (seq BIGINT NOT NULL, row_index BIGINT NOT NULL, verdict BIGINT NOT NULL, PRIMARY KEY (seq, row_index));
-- Verdicts that changed after their row went into a file of the lake.
CREATE TABLE verdict_overrides (
    meter_id BIGINT NOT NULL, time BIGINT NOT NULL, value BIGINT NOT NULL, verdict BIGINT NOT NULL,
    PRIMARY KEY (meter_id, time, value));

-- Lake -------------------------------------------------------------------------------------------------------------------
-- table_name: readings | charges. path: relative to the lake. month: UTC for readings, local for charges.
CREATE TABLE lake_files (
    id BIGINT PRIMARY KEY, table_name TEXT NOT NULL, path TEXT NOT NULL UNIQUE, utility TEXT NOT NULL,
    month TEXT NOT NULL, row_count BIGINT NOT NULL, byte_count BIGINT NOT NULL, first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL, added_at BIGINT NOT NULL);

-- Control ----------------------------------------------------------------------------------------------------------------
-- desired, commanded, observed: open | closed | unknown. opened_for: credit | manual | safety, where it is open.
CREATE TABLE supply (
    meter_id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, desired TEXT NOT NULL, commanded TEXT NOT NULL,
    observed TEXT NOT NULL, observed_at BIGINT, opened_for TEXT, changed_at BIGINT NOT NULL, evaluation_id BIGINT);
-- state: created | approved | queued | sent | acknowledged | verified | acknowledged_without_load_proof | contradicted
-- | failed | timed_out | cancelled. open: 1 until it ends. definition: JSON of kernel::control::relay::Command.
CREATE TABLE commands (
    id BIGINT PRIMARY KEY, meter_id BIGINT NOT NULL, account_id BIGINT NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL,
    open BIGINT NOT NULL, reason TEXT NOT NULL, evaluation_id BIGINT, actor TEXT NOT NULL, created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, sent_at BIGINT, ended_at BIGINT, attempts BIGINT NOT NULL, definition TEXT NOT NULL);
CREATE UNIQUE INDEX one_open_command_per_meter ON commands (meter_id) WHERE open = 1;
-- Each evaluation with every reason for yes or no. decision: keep | notify | defer | cut | reconnect | hold.
-- reasons: JSON array of {"rule", "holds", "text"}.
CREATE TABLE evaluations (
    id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, at BIGINT NOT NULL, decision TEXT NOT NULL, mode TEXT NOT NULL,
    balance TEXT NOT NULL, balance_as_of BIGINT, reasons TEXT NOT NULL);
CREATE INDEX evaluations_by_account ON evaluations (account_id, id);
-- level: 1, 2, 3 (final), or an alarm's name in `kind`. kind: low_balance | cut | reconnected | alarm | paid_not_restored.
CREATE TABLE notices (
    id BIGINT PRIMARY KEY, account_id BIGINT, meter_id BIGINT, kind TEXT NOT NULL, level BIGINT NOT NULL,
    text TEXT NOT NULL, balance TEXT, created_at BIGINT NOT NULL);
-- What leaves the book's walls, after its transaction. channel: console | webhook. Relay commands are rows of commands.
CREATE TABLE outbox (
    id BIGINT PRIMARY KEY, channel TEXT NOT NULL, subject_id BIGINT NOT NULL, payload TEXT NOT NULL,
    created_at BIGINT NOT NULL, next_at BIGINT NOT NULL, attempts BIGINT NOT NULL, delivered_at BIGINT, last_error TEXT);
-- Low-balance levels that fired and are not re-armed, by account.
CREATE TABLE alert_states (account_id BIGINT PRIMARY KEY, definition TEXT NOT NULL);

-- Audit ------------------------------------------------------------------------------------------------------------------
-- Each change of money, policy, registry and relay. hash = SHA-256 over prev_hash and the other columns (book/chain.rs).
CREATE TABLE audit_log (
    id BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    detail TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL);
