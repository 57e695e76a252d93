-- title: Charges | 费用明细
-- purpose: What each service point was charged, by local day, component, band, tier and tariff version; posted and not
--   yet posted. A day may have further lines later: signed differences.
-- column account: ; who owes it
-- column service_point: ; where it was used
-- column utility: ; electricity, water, gas or heat
-- column local_date: ; the site's local day
-- column component: ; what is charged, such as energy
-- column band: ; single, sharp, peak, flat, valley or deep_valley
-- column tier: ; from 1
-- column tariff: ; the tariff's name
-- column price: currency per kWh or m3; the price of that version, band and tier
-- column quantity: kWh or m3; how much
-- column amount: currency; exactly quantity x price
-- column transfer_id: ; the transfer that posted it; 0 while it is not posted
-- column tariff_version_id: ; the version of the tariff
SELECT
    a.name AS account,
    p.name AS service_point,
    p.utility,
    c.local_date,
    c.component,
    CASE c.band
        WHEN 0 THEN 'single' WHEN 1 THEN 'sharp' WHEN 2 THEN 'peak' WHEN 3 THEN 'flat' WHEN 4 THEN 'valley'
        WHEN 5 THEN 'deep_valley'
    END AS band,
    c.tier,
    t.name AS tariff,
    r.price,
    CAST(CAST(c.quantity AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS quantity,
    c.amount,
    c.transfer_id,
    c.tariff_version_id
FROM lake.charges AS c
JOIN book.service_points AS p ON p.id = c.service_point_id
JOIN book.accounts AS a ON a.id = c.account_id
LEFT JOIN book.tariff_versions AS v ON v.id = c.tariff_version_id
LEFT JOIN book.tariffs AS t ON t.id = v.tariff_id
LEFT JOIN book.tariff_prices AS r
    ON r.tariff_version_id = c.tariff_version_id AND r.tier = c.tier AND r.band = c.band
