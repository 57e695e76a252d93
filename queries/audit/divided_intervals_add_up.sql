-- purpose: Of each interval that is not divided evenly, the slots add up to what it measured, lie within it, do not overlap, and
--   none lies in a stated outage of its meter; slots around outages have their shares by time, rounded down, the remainder in
--   the last. Each interval around a stated outage, in which something flowed, is divided so.
-- column service_point_id: ; which
-- column epoch_id: ; which installation
-- column end_time: UTC; where the interval ends
-- column fault: ; what is wrong
-- column slots: 1/1000 kWh or m3; what the slots add up to, or the slot has
-- column expected: 1/1000 kWh or m3; what was measured, or the slot should have
WITH slots AS (
    SELECT
        service_point_id, epoch_id, CAST(from_time AS BIGINT) AS from_us, CAST(to_time AS BIGINT) AS to_us,
        CAST(slot_from AS BIGINT) AS slot_from, CAST(slot_to AS BIGINT) AS slot_to, CAST(quantity AS DECIMAL(38, 0)) AS quantity,
        allocation
    FROM book.divided_intervals
),
summed AS (
    SELECT
        *,
        CAST(sum(quantity) OVER (PARTITION BY epoch_id, to_us) AS DECIMAL(38, 0)) AS total,
        sum(slot_to - slot_from) OVER (PARTITION BY epoch_id, to_us) AS live_us,
        lag(slot_to) OVER (PARTITION BY epoch_id, to_us ORDER BY slot_from) AS slot_before,
        lead(slot_from) OVER (PARTITION BY epoch_id, to_us ORDER BY slot_from) AS slot_after
    FROM slots
),
shares AS (
    SELECT
        *, slot_after IS NULL AS is_last,
        CAST((total * (slot_to - slot_from) - (total * (slot_to - slot_from)) % nullif(live_us, 0)) / nullif(live_us, 0) AS DECIMAL(38, 0))
            AS share
    FROM summed
),
even AS (
    SELECT
        service_point_id, epoch_id, to_us, 'by time' AS fault, quantity AS slots,
        CASE WHEN is_last THEN total - sum(share) OVER (PARTITION BY epoch_id, to_us) + share ELSE share END AS expected
    FROM shares
    WHERE allocation = 'linear'
),
intervals_with_slots AS (
    SELECT
        i.service_point_id, i.epoch_id, CAST(i.start_time AS BIGINT) AS start_us, CAST(i.end_time AS BIGINT) AS end_us,
        CAST(i.quantity * 1000 AS DECIMAL(38, 0)) AS quantity, e.meter_id
    FROM book.epochs AS e
    JOIN intervals AS i ON i.epoch_id = e.id
    WHERE i.quantity <> 0 AND (
        i.service_point_id IN (SELECT service_point_id FROM book.divided_intervals)
        OR e.meter_id IN (SELECT meter_id FROM book.outages WHERE withdrawn_at IS NULL))
),
dark AS (
    SELECT meter_id, CAST(from_time AS BIGINT) AS dark_from, CAST(to_time AS BIGINT) AS dark_to, true AS is_dark
    FROM book.outages
    WHERE withdrawn_at IS NULL
),
totals AS (
    SELECT service_point_id, epoch_id, from_us, to_us, total, allocation, true AS is_divided
    FROM summed
    GROUP BY service_point_id, epoch_id, from_us, to_us, total, allocation
),
touched AS (
    SELECT
        i.service_point_id, i.epoch_id, i.start_us, i.end_us, i.quantity, bool_or(coalesce(d.is_dark, false)) AS is_touched,
        bool_or(coalesce(d.dark_from <= i.start_us AND i.end_us <= d.dark_to, false)) AS is_within,
        count(d.meter_id) AS outages
    FROM dark AS d
    RIGHT JOIN intervals_with_slots AS i ON d.meter_id = i.meter_id AND d.dark_from < i.end_us AND i.start_us < d.dark_to
    GROUP BY i.service_point_id, i.epoch_id, i.start_us, i.end_us, i.quantity
),
compared AS (
    SELECT
        coalesce(i.service_point_id, t.service_point_id) AS service_point_id, coalesce(i.epoch_id, t.epoch_id) AS epoch_id,
        coalesce(i.end_us, t.to_us) AS to_us, i.quantity, t.total, t.is_divided, t.allocation, i.is_touched, i.is_within, i.outages,
        i.start_us, t.from_us
    FROM touched AS i
    FULL OUTER JOIN totals AS t ON t.epoch_id = i.epoch_id AND t.to_us = i.end_us
),
faults AS (
    SELECT service_point_id, epoch_id, to_us, 'total' AS fault, total AS slots, quantity AS expected
    FROM compared
    WHERE is_divided AND ((total IS DISTINCT FROM quantity) OR (start_us IS DISTINCT FROM from_us))
    UNION ALL
    SELECT service_point_id, epoch_id, to_us, 'not divided', total, quantity
    FROM compared
    -- Several outages may cover it together; one that covers it alone contradicts what was measured.
    WHERE is_divided IS NULL AND is_touched AND NOT is_within AND outages = 1
    UNION ALL
    SELECT service_point_id, epoch_id, to_us, fault, slots, expected FROM even WHERE slots <> expected
    UNION ALL
    SELECT service_point_id, epoch_id, to_us, 'order', quantity, total
    FROM summed
    WHERE slot_from >= slot_to OR slot_from < from_us OR slot_to > to_us OR slot_before > slot_from
    UNION ALL
    SELECT s.service_point_id, s.epoch_id, s.to_us, 'in an outage', s.quantity, s.total
    FROM book.epochs AS e
    JOIN summed AS s ON s.epoch_id = e.id
    JOIN dark AS d ON d.meter_id = e.meter_id AND d.dark_from < s.slot_to AND s.slot_from < d.dark_to
)
SELECT service_point_id, epoch_id, to_timestamp_micros(to_us) AS end_time, fault, slots, expected FROM faults
