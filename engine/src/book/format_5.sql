-- Format 5. Runs after format 4; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Users and tokens -----------------------------------------------------------------------------------------------------
-- Who may ask. Rows are never removed and names never used again: the audit log, refunds and adjustments name them.
CREATE TABLE users (
    id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, title TEXT, created_at BIGINT NOT NULL, disabled_at BIGINT);
CREATE TABLE user_roles (user_id BIGINT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (user_id, role));
-- kind: sign_in (got by a password) or api (made by hand). It is valid until expires_at, unless it was revoked before.
CREATE TABLE tokens (
    id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, revoked_at BIGINT);
CREATE INDEX tokens_by_user ON tokens (user_id);

-- Secrets --------------------------------------------------------------------------------------------------------------
-- Apart from what they belong to: these tables are in no SQL of users (query/columns.rs, SECRET).
-- phc: argon2id in PHC string form.
CREATE TABLE password_hashes (user_id BIGINT PRIMARY KEY, phc TEXT NOT NULL);
-- hash: SHA-256 of the secret, in hexadecimal.
CREATE TABLE token_hashes (hash TEXT PRIMARY KEY, token_id BIGINT NOT NULL);
-- Sign-ins under a name that have not succeeded since a moment. name_hash: SHA-256 of what was typed as a name, which may
-- be a password by mistake.
CREATE TABLE sign_in_attempts (name_hash TEXT PRIMARY KEY, attempts BIGINT NOT NULL, since BIGINT NOT NULL);

-- Supply ----------------------------------------------------------------------------------------------------------------
-- Whose power is kept on until a moment, whatever they owe. What was said last and is not ended stands.
CREATE TABLE keep_power (
    id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, from_time BIGINT NOT NULL, until_time BIGINT NOT NULL,
    reason TEXT NOT NULL, actor TEXT NOT NULL, ended_at BIGINT, ended_by TEXT);
CREATE INDEX keep_power_by_account ON keep_power (account_id);
