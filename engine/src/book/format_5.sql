-- Whose power is kept on until a moment, whatever they owe. What was said last and is not ended stands.
CREATE TABLE keep_power (
    id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, from_time BIGINT NOT NULL, until_time BIGINT NOT NULL,
    reason TEXT NOT NULL, actor TEXT NOT NULL, ended_at BIGINT, ended_by TEXT);
CREATE INDEX keep_power_by_account ON keep_power (account_id);
