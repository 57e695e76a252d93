-- title: Charges | 费用明细
-- purpose: What each service point was charged, by local day, component, band, tier and tariff version; posted and not
--   yet posted. A day may have further lines later: signed differences.
-- column account: ; who owes it
-- column service_point: ; where it was used
-- column utility: ; electricity, water, gas or heat
-- column local_date: ; the site's local day
-- column stated_on: ; the day itself, or for a posted adjustment of a closed month the day of its posting: it decides which
--   statement has the line
-- column component: ; what is charged: energy, or the name of another component of the tariff version
-- column band: ; single, sharp, peak, flat, valley, deep_valley, dynamic, or unpriced: beyond the end of a price series;
--   null where the component has no prices by band
-- column tier: ; from 1; 0 for a free allowance, and for what flowed back through a signed register and is not billed
-- column tariff: ; the tariff's name
-- column price: currency per kWh, m3 or GJ; the price of that version, band and tier; null where each hour has its own, and for
--   what flowed back
-- column quantity: kWh, m3 or GJ; how much; of other components days, kW or the other service's units, and 0 for shares of money
-- column amount: currency; exactly quantity x price
-- column transfer_id: ; the transfer that posted it; 0 while it is not posted
-- column tariff_version_id: ; the version of the tariff
-- column unit: ; the billing unit of the service point: kWh, m3 or GJ
-- column currency: ; of the amount: kWh or m3 where the account buys units, which cost one each then
WITH owners AS (
    SELECT a.id, a.name, u.unit, coalesce(u.unit, s.currency) AS currency
    FROM book.accounts AS a
    JOIN book.sites AS s ON s.id = a.site_id
    LEFT JOIN book.unit_accounts AS u ON u.id = a.id
),
versions AS (
    SELECT v.id, t.name AS tariff
    FROM book.tariff_versions AS v
    JOIN book.tariffs AS t ON t.id = v.tariff_id
),
-- The small side of a join stands first, where it is hashed.
priced AS (
    SELECT c.*, r.price
    FROM book.tariff_prices AS r
    RIGHT JOIN lake.charges AS c
        ON c.tariff_version_id = r.tariff_version_id AND c.tier = r.tier AND c.band = r.band
),
adjusted AS (
    SELECT DISTINCT l.transfer_id, a.posted_date
    FROM book.adjustments AS a
    JOIN book.adjustment_lines AS l ON l.adjustment_id = a.id
    WHERE a.state = 'approved'
),
stated AS (
    SELECT c.*, coalesce(j.posted_date, c.local_date) AS stated_on
    FROM adjusted AS j
    RIGHT JOIN priced AS c ON c.transfer_id = j.transfer_id
),
labelled AS (
    SELECT c.*, v.tariff
    FROM versions AS v
    RIGHT JOIN stated AS c ON c.tariff_version_id = v.id
),
placed AS (
    SELECT c.*, p.name AS service_point, p.utility, p.unit
    FROM book.service_points AS p
    JOIN labelled AS c ON c.service_point_id = p.id
)
SELECT
    a.name AS account,
    c.service_point,
    c.utility,
    c.local_date,
    c.stated_on,
    c.component,
    CASE WHEN c.component = 'energy' OR c.band > 0 THEN CASE c.band
        WHEN 0 THEN 'single' WHEN 1 THEN 'sharp' WHEN 2 THEN 'peak' WHEN 3 THEN 'flat' WHEN 4 THEN 'valley'
        WHEN 5 THEN 'deep_valley' WHEN 6 THEN 'dynamic' WHEN 7 THEN 'unpriced'
    END END AS band,
    c.tier,
    c.tariff,
    CASE WHEN c.component <> 'energy' THEN NULL
        WHEN a.unit IS NOT NULL AND c.price IS NOT NULL THEN CAST(1 AS DECIMAL(38, 6))
        WHEN c.band <> 6 OR c.tier = 0 THEN c.price END AS price,
    CAST(CAST(c.quantity AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS quantity,
    c.amount,
    c.transfer_id,
    c.tariff_version_id,
    c.unit,
    a.currency
FROM owners AS a
JOIN placed AS c ON c.account_id = a.id
