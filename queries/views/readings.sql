-- title: Readings | 读数
-- purpose: Every reading that was acknowledged, with what billing made of it. Visible as soon as it is acknowledged.
-- column meter: ; serial number
-- column service_point: ; where the meter was installed at that time; null while no installation held it
-- column utility: ; electricity, water, gas or heat
-- column time: UTC; event time: when the register showed it, or where the usage interval ends
-- column kind: ; register or usage
-- column register_count: counts; raw count as the device shows it, before any multiplier; registers only
-- column quantity: kWh, m3 or GJ; what was used in the interval, in what the meter's usage is in: the billing unit, or m3 that are converted; usage only
-- column interval_start: UTC; where the usage interval begins; usage only
-- column power_w: W; active power; for water and gas the flow in litres per hour
-- column voltage_v: V; voltage
-- column current_a: A; current
-- column power_factor: ; power factor
-- column contact: ; the supply relay or valve: open or closed
-- column verdict: ; pending, accepted, opening, jitter, suspended, glitch, exception, duplicate, conflict, future, invalid,
--   overlap, no_epoch, or superseded by a correction
-- column received_at: UTC; when it arrived
-- column seq: ; the log's frame that holds it; below zero for a correction, its number
WITH installations AS (
    SELECT
        meter_id, service_point_id, valid_from, valid_to,
        lead(valid_from) OVER (PARTITION BY meter_id ORDER BY valid_from) AS next_from
    FROM book.epochs
    WHERE superseded_at IS NULL
)
SELECT
    m.serial AS meter,
    p.name AS service_point,
    m.utility,
    r.time,
    CASE WHEN r.start IS NULL THEN 'register' ELSE 'usage' END AS kind,
    CASE WHEN r.start IS NULL THEN r.value END AS register_count,
    CASE WHEN r.start IS NOT NULL THEN CAST(CAST(r.value AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) END AS quantity,
    r.start AS interval_start,
    CAST(CAST(r.power_mw AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS power_w,
    CAST(CAST(r.voltage_mv AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS voltage_v,
    CAST(CAST(r.current_ma AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS current_a,
    CAST(CAST(r.power_factor_milli AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS power_factor,
    CASE r.contact WHEN 1 THEN 'open' WHEN 2 THEN 'closed' END AS contact,
    CASE r.verdict
        WHEN 0 THEN 'pending' WHEN 1 THEN 'accepted' WHEN 2 THEN 'opening' WHEN 3 THEN 'jitter' WHEN 4 THEN 'suspended'
        WHEN 5 THEN 'glitch' WHEN 6 THEN 'exception' WHEN 7 THEN 'duplicate' WHEN 8 THEN 'conflict' WHEN 9 THEN 'future'
        WHEN 10 THEN 'invalid' WHEN 11 THEN 'overlap' WHEN 12 THEN 'no_epoch' WHEN 13 THEN 'superseded'
    END AS verdict,
    r.received_at,
    r.seq
FROM lake.readings AS r
JOIN book.meters AS m ON m.id = r.meter_id
-- A register at the seam of two installations belongs to the later one, an interval to the one in which it ends.
LEFT JOIN installations AS e ON e.meter_id = r.meter_id
    AND (r.time > e.valid_from OR (r.time = e.valid_from AND r.start IS NULL))
    AND (e.valid_to IS NULL OR r.time < e.valid_to
        OR (r.time = e.valid_to AND (r.start IS NOT NULL OR e.next_from IS DISTINCT FROM e.valid_to)))
LEFT JOIN book.service_points AS p ON p.id = e.service_point_id
