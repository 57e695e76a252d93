-- title: Units sold | 预售电水量
-- purpose: Units that accounts kept in kWh or m3 have bought: money is units x price plus a remainder of less than 0.001 unit.
-- column sale_id: ; its number
-- column account: ; whose wallet
-- column utility: ; electricity, water, gas or heat
-- column sold_at: UTC; when, at the price of then
-- column money: currency; what was paid
-- column currency: ; of the money
-- column tariff: ; by which tariff
-- column tariff_version_id: ; the version of the tariff
-- column price: currency per kWh or m3; of one unit
-- column quantity: kWh or m3; units bought, rounded down to 0.001
-- column unit: ; kWh or m3
-- column remainder: currency; money less quantity x price, posted to rounding
-- column refunded: kWh or m3; units given back at that price
-- column state: ; sold or reversed
-- column money_transfer_id: ; the transfer that brought the money
-- column unit_transfer_id: ; the transfer that put the units into the wallet
WITH given AS (
    SELECT u.sale_id, sum(CAST(u.units AS DECIMAL(19, 0))) AS units
    FROM book.unit_refunds AS u
    JOIN book.refunds AS r ON r.id = u.refund_id
    WHERE r.state = 'paid'
    GROUP BY u.sale_id
)
SELECT
    l.id AS sale_id,
    a.name AS account,
    l.utility,
    l.sold_at,
    l.money,
    s.currency,
    t.name AS tariff,
    l.tariff_version_id,
    CAST(CAST(l.price AS DECIMAL(19, 0)) * 0.000001 AS DECIMAL(38, 6)) AS price,
    CAST(CAST(l.units AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS quantity,
    u.unit,
    l.remainder,
    CAST(coalesce(g.units, 0) * 0.001 AS DECIMAL(38, 3)) AS refunded,
    l.state,
    l.money_transfer_id,
    l.unit_transfer_id
FROM book.unit_sales AS l
JOIN book.accounts AS a ON a.id = l.account_id
JOIN book.sites AS s ON s.id = a.site_id
JOIN book.unit_accounts AS u ON u.id = a.id
JOIN book.tariff_versions AS v ON v.id = l.tariff_version_id
JOIN book.tariffs AS t ON t.id = v.tariff_id
LEFT JOIN given AS g ON g.sale_id = l.id
