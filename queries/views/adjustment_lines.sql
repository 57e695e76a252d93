-- title: Adjustment lines | 调整明细
-- purpose: Of each adjustment the lines: what the day's readings cost before, what they cost now, and the difference.
-- column adjustment_id: ; its number
-- column account: ; whose wallet
-- column service_point: ; where it was used
-- column local_date: ; the local day of use
-- column component: ; what is charged, such as energy
-- column band: ; single, sharp, peak, flat, valley or deep_valley
-- column tier: ; from 1
-- column tariff_version_id: ; the version of the tariff
-- column quantity_before: kWh, m3 or GJ; what was charged
-- column amount_before: currency; for how much
-- column quantity_after: kWh, m3 or GJ; what is right
-- column amount_after: currency; for how much
-- column quantity: kWh, m3 or GJ; the difference
-- column amount: currency; the difference
-- column transfer_id: ; what posted it; 0 while nothing has
SELECT
    l.adjustment_id,
    c.name AS account,
    p.name AS service_point,
    l.local_date,
    l.component,
    CASE l.band
        WHEN 0 THEN 'single' WHEN 1 THEN 'sharp' WHEN 2 THEN 'peak' WHEN 3 THEN 'flat' WHEN 4 THEN 'valley'
        WHEN 5 THEN 'deep_valley' WHEN 6 THEN 'dynamic' WHEN 7 THEN 'unpriced'
    END AS band,
    l.tier,
    l.tariff_version_id,
    CAST(CAST(l.quantity_before AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS quantity_before,
    l.amount_before,
    CAST(CAST(l.quantity_before + l.quantity AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS quantity_after,
    CAST(l.amount_before + l.amount AS DECIMAL(38, 9)) AS amount_after,
    CAST(CAST(l.quantity AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS quantity,
    l.amount,
    l.transfer_id
FROM book.adjustment_lines AS l
JOIN book.adjustments AS a ON a.id = l.adjustment_id
JOIN book.accounts AS c ON c.id = a.account_id
JOIN book.service_points AS p ON p.id = l.service_point_id
