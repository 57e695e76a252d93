-- title: Intervals | 用量区间
-- purpose: Energy or volume used between two consecutive readings of one installation: what is charged. A register's
--   quantity is Q(now) - Q(before) with Q(count) = floor((count - opening count) x multiplier), wraps taken off; jitter
--   is zero until it is passed again; a usage reading is an interval by itself.
-- column meter: ; serial number
-- column service_point: ; where the meter was installed
-- column utility: ; electricity, water, gas or heat
-- column start_time: UTC; the earlier reading
-- column end_time: UTC; the later reading
-- column quantity: kWh or m3; what was used; below zero where it flowed back through a signed register
-- column from_count: counts; the register at start_time as the device shows it; null for usage
-- column to_count: counts; the register at end_time; null for usage
-- column kind: ; register or usage
-- column service_point_id: ; identifier in the book
-- column epoch_id: ; the installation
-- column energy_quality: ; measured: both ends were read. What is only estimated is in the view estimates
-- column allocation_quality: ; how it is known when within the interval it flowed: measured (up to two hours, or nothing
--   flowed), linear (longer: divided by time, or a stated outage lies in it), profile (divided as the like days of the three
--   weeks before)
WITH installations AS (
    SELECT
        id, meter_id, service_point_id, valid_from, valid_to, numerator, denominator, coalesce(modulus, 0) AS modulus,
        coalesce(opening_count, 0) AS origin, opening_count, closing_count, signed
    FROM book.epochs
    WHERE superseded_at IS NULL
),
counted AS (
    SELECT e.id AS epoch_id, r.time, r.value, r.verdict = 3 AS jitter
    FROM installations AS e
    JOIN lake.readings AS r ON r.meter_id = e.meter_id
    WHERE r.start IS NULL AND r.verdict IN (1, 2, 3)
        AND r.time >= e.valid_from AND (e.valid_to IS NULL OR r.time <= e.valid_to)
),
-- The last installation of each service point that was read: those before it are closed by their closing count.
reached AS (
    SELECT e.service_point_id, max(e.valid_from) AS reached_from
    FROM installations AS e
    JOIN lake.readings AS r ON r.meter_id = e.meter_id
    WHERE r.verdict IN (1, 2, 3) AND r.time >= e.valid_from AND (e.valid_to IS NULL OR r.time <= e.valid_to)
        AND e.service_point_id IN (SELECT service_point_id FROM installations WHERE closing_count IS NOT NULL)
    GROUP BY e.service_point_id
),
marks AS (
    SELECT epoch_id, time, 1 AS place, value, jitter FROM counted
    UNION ALL
    SELECT id, valid_from, 0, opening_count, false FROM installations WHERE opening_count IS NOT NULL
    UNION ALL
    SELECT e.id, e.valid_to, 2, e.closing_count, false
    FROM installations AS e
    JOIN reached AS n ON n.service_point_id = e.service_point_id
    WHERE e.closing_count IS NOT NULL AND e.valid_to IS NOT NULL AND e.valid_from < n.reached_from
),
steps AS (
    SELECT
        epoch_id, time, place, value, jitter,
        CASE WHEN NOT jitter THEN value END AS baseline,
        lag(CASE WHEN NOT jitter THEN value END) IGNORE NULLS OVER (PARTITION BY epoch_id ORDER BY time, place) AS before
    FROM marks
),
wrapped AS (
    SELECT
        epoch_id, time, place, value, baseline,
        sum(CASE WHEN baseline < before THEN 1 ELSE 0 END)
            OVER (PARTITION BY epoch_id ORDER BY time, place ROWS UNBOUNDED PRECEDING) AS wraps
    FROM steps
),
passed AS (
    SELECT
        w.epoch_id, w.time, w.place, w.value, e.meter_id, e.service_point_id, e.denominator,
        CAST(CASE WHEN e.signed THEN w.value ELSE max(w.baseline + w.wraps * e.modulus)
            OVER (PARTITION BY w.epoch_id ORDER BY w.time, w.place ROWS UNBOUNDED PRECEDING) END - e.origin AS DECIMAL(38, 0))
            * CAST(e.numerator AS DECIMAL(19, 0)) AS scaled
    FROM installations AS e
    JOIN wrapped AS w ON w.epoch_id = e.id
),
stood AS (
    SELECT
        epoch_id, time, place, value, meter_id, service_point_id,
        -- floor, below zero too
        CAST((scaled - (scaled % denominator + denominator) % denominator) / denominator AS DECIMAL(38, 0)) AS milli
    FROM passed
),
differences AS (
    SELECT
        epoch_id, meter_id, service_point_id, place,
        lag(time) OVER (PARTITION BY epoch_id ORDER BY time, place) AS start_time,
        time AS end_time,
        milli - lag(milli) OVER (PARTITION BY epoch_id ORDER BY time, place) AS milli,
        lag(value) OVER (PARTITION BY epoch_id ORDER BY time, place) AS from_count,
        value AS to_count
    FROM stood
),
used AS (
    SELECT
        epoch_id, meter_id, service_point_id, start_time, end_time,
        CAST(milli * 0.001 AS DECIMAL(38, 3)) AS quantity, from_count, to_count, 'register' AS kind
    FROM differences
    -- A reading at the very moment of an opening or closing count says the same once more.
    WHERE start_time IS NOT NULL AND NOT (start_time = end_time AND (milli = 0 OR place = 2))
    UNION ALL
    SELECT
        e.id, e.meter_id, e.service_point_id, r.start, r.time,
        CAST(CAST(r.value AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT),
        'usage'
    FROM installations AS e
    JOIN lake.readings AS r ON r.meter_id = e.meter_id
    WHERE r.start IS NOT NULL AND r.verdict = 1
        AND r.time > e.valid_from AND (e.valid_to IS NULL OR r.time <= e.valid_to)
),
-- Installations name meter and service point; the small side of a join stands first, where it is hashed.
named AS (
    SELECT e.id, m.serial AS meter, m.utility, p.name AS service_point
    FROM installations AS e
    JOIN book.meters AS m ON m.id = e.meter_id
    JOIN book.service_points AS p ON p.id = e.service_point_id
),
divided AS (
    SELECT DISTINCT epoch_id, to_time, allocation FROM book.divided_intervals
),
allocated AS (
    SELECT u.*, d.allocation
    FROM divided AS d
    RIGHT JOIN used AS u ON u.epoch_id = d.epoch_id AND u.end_time = d.to_time
)
SELECT
    n.meter, n.service_point, n.utility, u.start_time, u.end_time, u.quantity, u.from_count, u.to_count, u.kind,
    u.service_point_id, u.epoch_id, 'measured' AS energy_quality,
    CASE
        WHEN u.allocation IS NOT NULL THEN u.allocation
        WHEN u.quantity <> 0 AND CAST(u.end_time AS BIGINT) - CAST(u.start_time AS BIGINT) > 7200000000 THEN 'linear'
        ELSE 'measured'
    END AS allocation_quality
FROM named AS n
JOIN allocated AS u ON u.epoch_id = n.id
