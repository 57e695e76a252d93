-- title: Intervals | 用量区间
-- purpose: Energy or volume used between two consecutive readings of one installation: what is charged. A register's
--   quantity is Q(now) - Q(before) with Q(count) = floor((count - opening count) x multiplier), wraps taken off; jitter
--   is zero until it is passed again; a usage reading is an interval by itself. Gas that is measured in m3 and billed in kWh is
--   E(now) - E(before) with E(volume) = floor(volume x calorific value x correction / 3.6); where these change between two
--   readings, there are several intervals, with the volume in between interpolated by time, rounded down.
-- column meter: ; serial number
-- column service_point: ; where the meter was installed
-- column utility: ; electricity, water, gas or heat
-- column start_time: UTC; the earlier reading
-- column end_time: UTC; the later reading
-- column quantity: the unit; what was used; below zero where it flowed back through a signed register
-- column from_count: counts; the register at start_time as the device shows it; null for usage, and where a factor changes
-- column to_count: counts; the register at end_time; null for usage, and where a factor changes
-- column kind: ; register or usage
-- column service_point_id: ; identifier in the book
-- column epoch_id: ; the installation
-- column unit: ; the billing unit: kWh, m3 or GJ
-- column measured: the unit, or m3 where it is converted; what the meter measured
-- column calorific_value: MJ/m3; by which m3 of gas became kWh; null where nothing is converted
-- column correction: ; the volume conversion factor by which they did
-- column energy_quality: ; measured: both ends were read. What is only estimated is in a view of its own
-- column allocation_quality: ; how it is known when within the interval it flowed: measured (up to two hours, or nothing
--   flowed), linear (longer: divided by time, or a stated outage lies in it), profile (divided as the like days of the three
--   weeks before)
WITH installations AS (
    SELECT
        id, meter_id, service_point_id, valid_from, valid_to, numerator, denominator, coalesce(modulus, 0) AS modulus,
        coalesce(opening_count, 0) AS origin, opening_count, closing_count, signed, converts
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
        milli AS milli_after,
        lag(milli) OVER (PARTITION BY epoch_id ORDER BY time, place) AS milli_before,
        lag(value) OVER (PARTITION BY epoch_id ORDER BY time, place) AS from_count,
        value AS to_count
    FROM stood
),
used AS (
    SELECT
        epoch_id, meter_id, service_point_id, start_time, end_time, milli_before, milli_after, from_count, to_count,
        'register' AS kind
    FROM differences
    -- A reading at the very moment of an opening or closing count says the same once more.
    WHERE start_time IS NOT NULL AND NOT (start_time = end_time AND (milli_after = milli_before OR place = 2))
    UNION ALL
    SELECT
        e.id, e.meter_id, e.service_point_id, r.start, r.time, CAST(0 AS DECIMAL(38, 0)), CAST(r.value AS DECIMAL(38, 0)),
        CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), 'usage'
    FROM installations AS e
    JOIN lake.readings AS r ON r.meter_id = e.meter_id
    WHERE r.start IS NOT NULL AND r.verdict = 1
        AND r.time > e.valid_from AND (e.valid_to IS NULL OR r.time <= e.valid_to)
),
-- What a m3 of gas is worth, from when to when: each conversion with the values of its supply area, or its own ...
stretches AS (
    SELECT
        service_point_id, gas_quality_id, calorific_value, correction,
        CASE WHEN lag(valid_from) OVER (PARTITION BY service_point_id ORDER BY valid_from) IS NULL
            THEN -9223372036854775807 ELSE CAST(valid_from AS BIGINT) END AS since,
        coalesce(lead(CAST(valid_from AS BIGINT)) OVER (PARTITION BY service_point_id ORDER BY valid_from),
            9223372036854775807) AS until
    FROM book.conversions
    WHERE superseded_at IS NULL
),
supplied AS (
    SELECT
        gas_quality_id, calorific_value, CAST(valid_from AS BIGINT) AS since,
        coalesce(lead(CAST(valid_from AS BIGINT)) OVER (PARTITION BY gas_quality_id ORDER BY valid_from),
            9223372036854775807) AS until
    FROM book.calorific_values
    WHERE superseded_at IS NULL
),
values_in_force AS (
    SELECT service_point_id, calorific_value, correction, since, until FROM stretches WHERE calorific_value IS NOT NULL
    UNION ALL
    SELECT s.service_point_id, q.calorific_value, s.correction, greatest(s.since, q.since), least(s.until, q.until)
    FROM stretches AS s
    JOIN supplied AS q ON q.gas_quality_id = s.gas_quality_id AND q.since < s.until AND q.until > s.since
),
-- ... and the first also before it begins, for each installation that measures m3 of it. Both in 1e-6.
factors AS (
    SELECT
        e.id AS epoch_id, CAST(v.calorific_value AS DECIMAL(19, 0)) AS calorific_value,
        CAST(v.correction AS DECIMAL(19, 0)) AS correction, v.until,
        CASE WHEN lag(v.since) OVER (PARTITION BY e.id ORDER BY v.since) IS NULL THEN -9223372036854775807 ELSE v.since END AS since
    FROM values_in_force AS v
    JOIN installations AS e ON e.service_point_id = v.service_point_id AND e.converts
),
-- One row for each factor that an interval meets, with the time to where it begins and ends within the interval.
cut AS (
    SELECT
        u.epoch_id, u.service_point_id, u.start_time, u.end_time, u.milli_before, u.milli_after, u.from_count, u.to_count,
        u.kind, f.epoch_id IS NOT NULL AS converts, f.calorific_value, f.correction, f.since, f.until,
        CASE WHEN f.since > CAST(u.start_time AS BIGINT)
            THEN CAST(f.since - CAST(u.start_time AS BIGINT) AS DECIMAL(19, 0)) END AS micros_from,
        CASE WHEN f.until < CAST(u.end_time AS BIGINT)
            THEN CAST(f.until - CAST(u.start_time AS BIGINT) AS DECIMAL(19, 0)) END AS micros_to,
        CASE WHEN f.epoch_id IS NOT NULL THEN CAST(u.milli_after - u.milli_before AS DECIMAL(19, 0)) END AS passed,
        CASE WHEN f.epoch_id IS NOT NULL
            THEN CAST(greatest(CAST(u.end_time AS BIGINT) - CAST(u.start_time AS BIGINT), 1) AS DECIMAL(19, 0)) END AS micros
    FROM factors AS f
    RIGHT JOIN used AS u ON f.epoch_id = u.epoch_id
        AND (f.since < CAST(u.end_time AS BIGINT) OR f.since <= CAST(u.start_time AS BIGINT))
        AND f.until > CAST(u.start_time AS BIGINT)
),
-- The volume there: by time, rounded down, below zero too.
interpolated AS (
    SELECT
        *,
        CASE WHEN micros_from IS NULL THEN milli_before ELSE milli_before + CAST(
            (passed * micros_from - ((passed * micros_from) % micros + micros) % micros) / micros AS DECIMAL(38, 0)) END AS volume_from,
        CASE WHEN micros_to IS NULL THEN milli_after ELSE milli_before + CAST(
            (passed * micros_to - ((passed * micros_to) % micros + micros) % micros) / micros AS DECIMAL(38, 0)) END AS volume_to
    FROM cut
),
worth AS (
    SELECT
        *,
        CASE WHEN converts THEN volume_from * CAST(calorific_value * correction AS DECIMAL(38, 0)) END AS worth_from,
        CASE WHEN converts THEN volume_to * CAST(calorific_value * correction AS DECIMAL(38, 0)) END AS worth_to
    FROM interpolated
),
-- 1e-6 MJ/m3 x 1e-6 / 3.6 = 1 / 3.6e12 kWh/m3.
billed AS (
    SELECT
        epoch_id, service_point_id, kind, volume_to - volume_from AS measured,
        CASE WHEN converts
            THEN CAST((worth_to - (worth_to % 3600000000000 + 3600000000000) % 3600000000000) / 3600000000000 AS DECIMAL(38, 0))
                - CAST((worth_from - (worth_from % 3600000000000 + 3600000000000) % 3600000000000) / 3600000000000
                    AS DECIMAL(38, 0))
            ELSE volume_to - volume_from END AS milli,
        CASE WHEN micros_from IS NULL THEN start_time
            ELSE arrow_cast(since, 'Timestamp(Microsecond, Some("UTC"))') END AS start_time,
        CASE WHEN micros_to IS NULL THEN end_time ELSE arrow_cast(until, 'Timestamp(Microsecond, Some("UTC"))') END AS end_time,
        CASE WHEN micros_from IS NULL THEN from_count END AS from_count,
        CASE WHEN micros_to IS NULL THEN to_count END AS to_count,
        CAST(calorific_value * 0.000001 AS DECIMAL(38, 6)) AS calorific_value,
        CAST(correction * 0.000001 AS DECIMAL(38, 6)) AS correction
    FROM worth
),
-- Installations name meter and service point; the small side of a join stands first, where it is hashed.
named AS (
    SELECT e.id, m.serial AS meter, m.utility, p.name AS service_point, p.unit
    FROM installations AS e
    JOIN book.meters AS m ON m.id = e.meter_id
    JOIN book.service_points AS p ON p.id = e.service_point_id
),
divided AS (
    SELECT DISTINCT epoch_id, to_time, allocation FROM book.divided_intervals
),
allocated AS (
    SELECT b.*, d.allocation
    FROM divided AS d
    RIGHT JOIN billed AS b ON b.epoch_id = d.epoch_id AND b.end_time = d.to_time
)
SELECT
    n.meter, n.service_point, n.utility, b.start_time, b.end_time, CAST(b.milli * 0.001 AS DECIMAL(38, 3)) AS quantity,
    b.from_count, b.to_count, b.kind, b.service_point_id, b.epoch_id, n.unit,
    CAST(b.measured * 0.001 AS DECIMAL(38, 3)) AS measured, b.calorific_value, b.correction, 'measured' AS energy_quality,
    CASE
        WHEN b.allocation IS NOT NULL THEN b.allocation
        WHEN b.milli <> 0 AND CAST(b.end_time AS BIGINT) - CAST(b.start_time AS BIGINT) > 7200000000 THEN 'linear'
        ELSE 'measured'
    END AS allocation_quality
FROM named AS n
JOIN allocated AS b ON b.epoch_id = n.id
