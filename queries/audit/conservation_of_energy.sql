-- purpose: Of each register installation, what the intervals measured adds up to the last count minus the first, times the
--   multiplier: energy or volume, before any conversion.
-- column meter_id: ; which
-- column epoch_id: ; which installation
-- column intervals: kWh, GJ or m3; what the intervals add up to
-- column registers: kWh, GJ or m3; what the register passed
WITH totals AS (
    SELECT epoch_id, sum(measured) AS quantity, min(start_time) AS first_time, max(end_time) AS last_time
    FROM intervals
    WHERE kind = 'register'
    GROUP BY epoch_id
),
installations AS (
    SELECT
        e.id, e.meter_id, e.numerator, e.denominator, coalesce(e.modulus, 0) AS modulus, e.valid_from, e.valid_to,
        coalesce(e.opening_count, 0) AS origin, e.opening_count, e.closing_count, t.quantity, t.last_time
    FROM book.epochs AS e
    JOIN totals AS t ON t.epoch_id = e.id
),
-- Opening and closing counts are readings as good as any other.
counts AS (
    SELECT e.id, r.time, 1 AS place, r.value
    FROM installations AS e
    JOIN lake.readings AS r ON r.meter_id = e.meter_id
    WHERE r.start IS NULL AND r.verdict IN (1, 2) AND r.time >= e.valid_from
        AND (e.valid_to IS NULL OR r.time <= e.valid_to)
    UNION ALL
    SELECT id, valid_from, 0, opening_count FROM installations WHERE opening_count IS NOT NULL
    UNION ALL
    SELECT id, valid_to, 2, closing_count FROM installations WHERE closing_count IS NOT NULL AND last_time = valid_to
),
falls AS (
    SELECT id, time, place, value, value < lag(value) OVER (PARTITION BY id ORDER BY time, place) AS fell FROM counts
),
registers AS (
    SELECT
        id,
        first_value(value ORDER BY time, place) AS first_count,
        last_value(value ORDER BY time, place) AS last_count,
        sum(CASE WHEN fell THEN 1 ELSE 0 END) AS wraps
    FROM falls
    GROUP BY id
),
scaled AS (
    SELECT
        e.id, e.meter_id, e.quantity, e.denominator,
        CAST(r.last_count + r.wraps * e.modulus - e.origin AS DECIMAL(38, 0)) * CAST(e.numerator AS DECIMAL(19, 0)) AS last,
        CAST(r.first_count - e.origin AS DECIMAL(38, 0)) * CAST(e.numerator AS DECIMAL(19, 0)) AS first
    FROM registers AS r
    JOIN installations AS e ON e.id = r.id
),
passed AS (
    SELECT
        meter_id, id, quantity,
        CAST((CAST((last - (last % denominator + denominator) % denominator) / denominator AS DECIMAL(38, 0))
            - CAST((first - (first % denominator + denominator) % denominator) / denominator AS DECIMAL(38, 0)))
            * 0.001 AS DECIMAL(38, 3)) AS registers
    FROM scaled
)
SELECT meter_id, id AS epoch_id, quantity AS intervals, registers FROM passed WHERE quantity <> registers
