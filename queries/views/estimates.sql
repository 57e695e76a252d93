-- title: Provisional estimates | 暂估用量
-- purpose: What silent meters may have used since their newest reading, hour by hour, for display only: nothing here is
--   charged, enters a balance or cuts anybody off; it goes when the meter is read again. By the mean of the same hour on days
--   of the same type in the three weeks before, where there are at least three of them; else by the mean of all hours.
-- column meter: ; serial number
-- column service_point: ; where it is installed
-- column utility: ; electricity, water, gas or heat
-- column start_time: UTC; the hour's beginning
-- column end_time: UTC; the hour's end
-- column quantity: kWh, m3 or GJ; what it may have used
-- column energy_quality: ; estimated
-- column allocation_quality: ; profile, or linear where there are too few like days
-- column unit: ; the billing unit: kWh, m3 or GJ
WITH installations AS (
    SELECT
        id, meter_id, service_point_id, valid_to,
        row_number() OVER (PARTITION BY meter_id ORDER BY valid_from DESC, id DESC) AS place
    FROM book.epochs
    WHERE superseded_at IS NULL
),
newest AS (
    SELECT n.meter_id, m.site_id, n.last_time, max(n.last_time) OVER (PARTITION BY m.site_id) AS site_time
    FROM book.meters AS m
    JOIN (SELECT meter_id, max(time) AS last_time FROM lake.readings WHERE verdict IN (1, 2, 3) GROUP BY meter_id) AS n
        ON n.meter_id = m.id
),
silent AS (
    SELECT
        n.meter_id, n.site_id, e.id AS epoch_id, e.service_point_id, CAST(n.last_time AS BIGINT) AS last_us,
        least((CAST(n.site_time AS BIGINT) - CAST(n.last_time AS BIGINT)) / 3600000000, $estimate_days * 24) AS hours
    FROM newest AS n
    JOIN installations AS e ON e.meter_id = n.meter_id AND e.place = 1 AND e.valid_to IS NULL
    WHERE n.site_time > n.last_time + INTERVAL '$silent_hours hours'
),
-- Found by the UTC days that they touch.
days AS (
    SELECT *, unnest(range(start_us / 86400000000, (end_us - 1) / 86400000000 + 1)) AS utc_day
    FROM (
        SELECT site_id, local_date, day_type, CAST(utc_start AS BIGINT) AS start_us, CAST(utc_end AS BIGINT) AS end_us
        FROM book.site_days
    )
),
-- What is known hour by hour: nothing that is itself spread over a gap.
known AS (
    SELECT i.meter_id, d.day_type, d.local_date, (i.start_us - d.start_us) / 3600000000 AS hour, i.milli
    FROM days AS d
    JOIN (
        SELECT
            s.meter_id, s.site_id, CAST(i.start_time AS BIGINT) AS start_us, CAST(i.quantity * 1000 AS DECIMAL(38, 0)) AS milli
        FROM silent AS s
        JOIN intervals AS i ON i.epoch_id = s.epoch_id
        WHERE CAST(i.start_time AS BIGINT) >= s.last_us - $estimate_days * 86400000000
            AND i.end_time <= i.start_time + INTERVAL '$gap_hours hours'
    ) AS i ON i.site_id = d.site_id AND i.start_us / 86400000000 = d.utc_day AND i.start_us >= d.start_us AND i.start_us < d.end_us
),
like_hours AS (
    SELECT meter_id, day_type, hour, sum(milli) AS milli, count(DISTINCT local_date) AS days
    FROM known
    GROUP BY meter_id, day_type, hour
    HAVING count(DISTINCT local_date) >= $estimate_like_days
),
all_hours AS (
    SELECT meter_id, sum(milli) AS milli, sum(hours) AS hours
    FROM (SELECT meter_id, local_date, sum(milli) AS milli, count(DISTINCT hour) AS hours FROM known GROUP BY meter_id, local_date)
    GROUP BY meter_id
),
slots AS (
    SELECT s.meter_id, s.service_point_id, d.day_type, s.start_us, (s.start_us - d.start_us) / 3600000000 AS hour
    FROM days AS d
    JOIN (
        SELECT meter_id, site_id, service_point_id, last_us + place * 3600000000 AS start_us
        FROM (SELECT *, unnest(range(0, hours)) AS place FROM silent)
    ) AS s ON s.site_id = d.site_id AND s.start_us / 86400000000 = d.utc_day AND s.start_us >= d.start_us AND s.start_us < d.end_us
)
SELECT
    m.serial AS meter,
    p.name AS service_point,
    m.utility,
    arrow_cast(s.start_us, 'Timestamp(Microsecond, Some("UTC"))') AS start_time,
    arrow_cast(s.start_us + 3600000000, 'Timestamp(Microsecond, Some("UTC"))') AS end_time,
    CAST(coalesce(
        CAST(k.milli AS DECIMAL(30, 0)) * 0.001 / k.days,
        CAST(a.milli AS DECIMAL(30, 0)) * 0.001 / a.hours) AS DECIMAL(38, 3)) AS quantity,
    'estimated' AS energy_quality,
    CASE WHEN k.milli IS NULL THEN 'linear' ELSE 'profile' END AS allocation_quality,
    p.unit
FROM slots AS s
JOIN all_hours AS a ON a.meter_id = s.meter_id
LEFT JOIN like_hours AS k ON k.meter_id = s.meter_id AND k.day_type = s.day_type AND k.hour = s.hour
JOIN book.meters AS m ON m.id = s.meter_id
JOIN book.service_points AS p ON p.id = s.service_point_id
