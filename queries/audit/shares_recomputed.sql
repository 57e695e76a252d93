-- purpose: In each closed month a surcharge, or a tax on top of prices, is exactly its rate of what it is on, rounded once to
--   1e-9, halves away from zero: by service point, account and tariff version. A month for which an adjustment waits is
--   looked at when that is decided.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_month: ; 12 x year + month - 1
-- column component: ; what is charged
-- column tariff_version_id: ; which version
-- column expected: currency; rate x base
-- column charged: currency; what was charged
WITH shares AS (
    SELECT tariff_version_id, component, rate FROM book.tariff_components WHERE kind IN ('surcharge', 'tax')
),
closed AS (SELECT site_id, max(local_month) AS through FROM book.periods WHERE state = 'closed' GROUP BY site_id),
waiting AS (SELECT DISTINCT account_id, local_month FROM book.adjustments WHERE state = 'pending'),
lines AS (
    SELECT
        l.service_point_id, l.account_id, l.component, l.tariff_version_id, l.amount,
        CAST(date_part('year', l.local_date) * 12 + date_part('month', l.local_date) - 1 AS BIGINT) AS local_month
    FROM lake.charges AS l
    WHERE l.account_id <> 0 AND l.tariff_version_id IN (SELECT tariff_version_id FROM shares)
),
charged AS (
    SELECT l.service_point_id, l.account_id, l.local_month, l.component, l.tariff_version_id, sum(l.amount) AS amount
    FROM lines AS l
    JOIN book.service_points AS p ON p.id = l.service_point_id
    JOIN closed AS c ON c.site_id = p.site_id
    LEFT JOIN waiting AS w ON w.account_id = l.account_id AND w.local_month = l.local_month
    WHERE l.local_month <= c.through AND w.account_id IS NULL
    GROUP BY l.service_point_id, l.account_id, l.local_month, l.component, l.tariff_version_id
),
expected AS (
    SELECT
        c.service_point_id, c.account_id, c.local_month, s.component, c.tariff_version_id,
        CAST(round(CAST(sum(c.amount) AS DECIMAL(29, 9)) * CAST(s.rate AS DECIMAL(8, 6)), 9) AS DECIMAL(38, 9)) AS amount
    FROM charged AS c
    JOIN book.component_bases AS b ON b.tariff_version_id = c.tariff_version_id AND b.base = c.component
    JOIN shares AS s ON s.tariff_version_id = b.tariff_version_id AND s.component = b.component
    GROUP BY c.service_point_id, c.account_id, c.local_month, s.component, c.tariff_version_id, s.rate
),
found AS (
    SELECT c.service_point_id, c.account_id, c.local_month, c.component, c.tariff_version_id, c.amount
    FROM charged AS c
    JOIN shares AS s ON s.tariff_version_id = c.tariff_version_id AND s.component = c.component
)
SELECT
    coalesce(e.service_point_id, f.service_point_id) AS service_point_id,
    coalesce(e.account_id, f.account_id) AS account_id,
    coalesce(e.local_month, f.local_month) AS local_month,
    coalesce(e.component, f.component) AS component,
    coalesce(e.tariff_version_id, f.tariff_version_id) AS tariff_version_id,
    e.amount AS expected,
    f.amount AS charged
FROM expected AS e
FULL OUTER JOIN found AS f
    ON f.service_point_id = e.service_point_id AND f.account_id = e.account_id AND f.local_month = e.local_month
    AND f.component = e.component AND f.tariff_version_id = e.tariff_version_id
WHERE coalesce(e.amount, 0) <> coalesce(f.amount, 0)
