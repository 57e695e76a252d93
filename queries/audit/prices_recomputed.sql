-- purpose: Each charge line costs exactly its quantity times the published price of its tariff version, band and tier, or one a unit
--   where the account buys units; tier 0,
--   an allowance or what flowed back and is not billed, costs nothing, and so does what was used while nobody had a
--   contract. Hours of a price series have a price each: charges_equal_intervals_by_tier recomputes them. What waits for
--   approval, or was rejected, in a closed month counts too. A line whose rows are not each right, because a re-rate has
--   posted what one of them lacked, is right where all its rows together are.
-- column service_point_id: ; which
-- column local_date: ; the local day
-- column band: ; code
-- column tier: ; from 1, or 0
-- column tariff_version_id: ; which version
-- column quantity: 1/1000 kWh, m3 or GJ; how much
-- column price: currency per kWh, m3 or GJ; null where the version has no such price
-- column amount: currency; what was charged
WITH due AS (
    SELECT service_point_id, account_id, local_date, component, band, tier, tariff_version_id, quantity, amount
    FROM lake.charges
    UNION ALL
    SELECT
        l.service_point_id, a.account_id, l.local_date, l.component, l.band, l.tier, l.tariff_version_id, l.quantity,
        l.amount
    FROM book.adjustments AS a
    JOIN book.adjustment_lines AS l ON l.adjustment_id = a.id
    WHERE a.state IN ('pending', 'rejected')
),
-- In a wallet of units each costs one.
owed AS (
    SELECT d.*, u.unit IS NOT NULL AS in_units FROM book.unit_accounts AS u RIGHT JOIN due AS d ON d.account_id = u.id
),
wrong AS (
    SELECT DISTINCT c.service_point_id, c.account_id, c.local_date, c.component, c.band, c.tier, c.tariff_version_id
    FROM book.tariff_prices AS p
    RIGHT JOIN owed AS c
        ON p.tariff_version_id = c.tariff_version_id AND p.band = c.band AND p.tier = c.tier
    WHERE c.component = 'energy'
        AND NOT (c.account_id = 0 AND c.tariff_version_id = 0 AND c.amount = 0)
        AND CASE WHEN c.tier = 0 THEN c.amount <> 0 OR (p.price IS NULL AND c.quantity > 0)
            WHEN c.band = 6 THEN false
            ELSE p.price IS NULL
                OR c.amount <> CAST(CAST(c.quantity AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) * CASE WHEN c.in_units THEN 1 ELSE p.price END END
),
lines AS (
    SELECT
        d.service_point_id, d.account_id, d.in_units, d.local_date, d.component, d.band, d.tier, d.tariff_version_id,
        sum(d.quantity) AS quantity, sum(d.amount) AS amount
    FROM wrong AS w
    JOIN owed AS d ON d.service_point_id = w.service_point_id AND d.account_id = w.account_id AND d.local_date = w.local_date
        AND d.component = w.component AND d.band = w.band AND d.tier = w.tier AND d.tariff_version_id = w.tariff_version_id
    GROUP BY d.service_point_id, d.account_id, d.in_units, d.local_date, d.component, d.band, d.tier, d.tariff_version_id
)
SELECT
    c.service_point_id, c.local_date, c.band, c.tier, c.tariff_version_id, c.quantity, p.price, c.amount
FROM book.tariff_prices AS p
RIGHT JOIN lines AS c
    ON p.tariff_version_id = c.tariff_version_id AND p.band = c.band AND p.tier = c.tier
WHERE c.component = 'energy'
    AND NOT (c.account_id = 0 AND c.tariff_version_id = 0 AND c.amount = 0)
    AND CASE WHEN c.tier = 0 THEN c.amount <> 0 OR (p.price IS NULL AND c.quantity > 0)
        WHEN c.band = 6 THEN false
        ELSE p.price IS NULL
            OR c.amount <> CAST(CAST(c.quantity AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) * CASE WHEN c.in_units THEN 1 ELSE p.price END END
