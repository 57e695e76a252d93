-- Format 3. Runs after format 2; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Gaps and outages -------------------------------------------------------------------------------------------------------
-- When a meter had no supply, from from_time to to_time: a run of valid zeros. withdrawn_at, withdrawn_by: it is not true.
CREATE TABLE outages (
    id BIGINT PRIMARY KEY, meter_id BIGINT NOT NULL, from_time BIGINT NOT NULL, to_time BIGINT NOT NULL, reason TEXT NOT NULL,
    actor TEXT NOT NULL, recorded_at BIGINT NOT NULL, withdrawn_at BIGINT, withdrawn_by TEXT);
-- How intervals are divided that are not divided evenly by time: a slot has quantity (1/1000 unit), divided by time within
-- it, and what is in no slot has none. allocation: profile (as the like days before) | linear (by time, around outages).
CREATE TABLE divided_intervals (
    service_point_id BIGINT NOT NULL, epoch_id BIGINT NOT NULL, from_time BIGINT NOT NULL, to_time BIGINT NOT NULL,
    slot_from BIGINT NOT NULL, slot_to BIGINT NOT NULL, quantity BIGINT NOT NULL, allocation TEXT NOT NULL,
    PRIMARY KEY (service_point_id, epoch_id, to_time, slot_from));
