-- title: Corrections | 读数更正
-- purpose: What a person said that a meter said, with reason and name. It takes the place of every reading of its meter and
--   time; the last one counts.
-- column correction_id: ; its number
-- column meter: ; serial number
-- column time: UTC; of the reading
-- column kind: ; register, usage, or void: the meter said nothing
-- column register_count: counts; what the register showed
-- column quantity: kWh, m3 or GJ; what was used in the interval
-- column interval_start: UTC; where the interval begins
-- column verdict: ; as in readings
-- column reason: ; why
-- column actor: ; who said so
-- column corrected_at: UTC; when
-- column superseded_by: ; the later correction of the same reading
SELECT
    c.id AS correction_id,
    m.serial AS meter,
    c.time,
    c.kind,
    CASE WHEN c.kind = 'register' THEN c.value END AS register_count,
    CASE WHEN c.kind = 'usage' THEN CAST(CAST(c.value AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) END AS quantity,
    c.start AS interval_start,
    CASE c.verdict
        WHEN 0 THEN 'pending' WHEN 1 THEN 'accepted' WHEN 2 THEN 'opening' WHEN 3 THEN 'jitter' WHEN 4 THEN 'suspended'
        WHEN 5 THEN 'glitch' WHEN 6 THEN 'exception' WHEN 7 THEN 'duplicate' WHEN 8 THEN 'conflict' WHEN 9 THEN 'future'
        WHEN 10 THEN 'invalid' WHEN 11 THEN 'overlap' WHEN 12 THEN 'no_epoch' WHEN 13 THEN 'superseded'
    END AS verdict,
    c.reason,
    c.actor,
    c.corrected_at,
    c.superseded_by
FROM book.corrections AS c
JOIN book.meters AS m ON m.id = c.meter_id
