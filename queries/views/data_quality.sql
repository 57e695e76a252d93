-- title: Data quality | 数据质量
-- purpose: Readings that were not billed, gaps of more than two hours, and meters that fell silent: no counting reading for
--   more than two hours while their site's newest is later.
-- column meter: ; serial number
-- column service_point: ; where it is installed
-- column utility: ; electricity, water, gas or heat
-- column issue: ; the verdict of the reading, or gap, or silent
-- column start_time: UTC; where it begins
-- column end_time: UTC; where it ends: the reading's time, the gap's end, the site's newest reading
-- column register_count: counts; the reading's raw count, or null
-- column quantity: kWh or m3; the usage reading's quantity, or what was used over the gap
WITH newest AS (
    SELECT m.id AS meter_id, m.site_id, max(r.time) AS last_time
    FROM lake.readings AS r
    JOIN book.meters AS m ON m.id = r.meter_id
    WHERE r.verdict IN (1, 2, 3)
    GROUP BY m.id, m.site_id
),
site_newest AS (SELECT site_id, max(last_time) AS last_time FROM newest GROUP BY site_id),
latest AS (
    SELECT
        meter_id, service_point_id, valid_to,
        row_number() OVER (PARTITION BY meter_id ORDER BY valid_from DESC, id DESC) AS place
    FROM book.epochs
    WHERE superseded_at IS NULL
)
SELECT
    meter, service_point, utility, verdict AS issue, coalesce(interval_start, time) AS start_time, time AS end_time,
    register_count, quantity
FROM readings
WHERE verdict NOT IN ('accepted', 'opening', 'superseded')
UNION ALL
SELECT meter, service_point, utility, 'gap', start_time, end_time, CAST(NULL AS BIGINT), quantity
FROM intervals
WHERE kind = 'register' AND end_time > start_time + INTERVAL '2 hours'
UNION ALL
SELECT
    m.serial, p.name, m.utility, 'silent', n.last_time, s.last_time, CAST(NULL AS BIGINT), CAST(NULL AS DECIMAL(38, 3))
FROM newest AS n
JOIN site_newest AS s ON s.site_id = n.site_id
JOIN book.meters AS m ON m.id = n.meter_id
JOIN latest AS e ON e.meter_id = n.meter_id AND e.place = 1 AND e.valid_to IS NULL
JOIN book.service_points AS p ON p.id = e.service_point_id
WHERE s.last_time > n.last_time + INTERVAL '2 hours'
