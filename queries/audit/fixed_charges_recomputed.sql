-- purpose: Each local day that was charged its fixed components owes exactly what the prices of the contract and version in
--   force at its first instant say: a daily price, or its part of a monthly one, cut to 1e-9, the remainder on the month's last
--   day. What waits for approval, or was rejected, in a closed month counts too.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_date: ; the local day
-- column component: ; what is charged
-- column expected: currency; what the day owes
-- column charged: currency; what was charged
WITH fixed AS (
    SELECT tariff_version_id, component, kind, price, CAST(price * 1000000000 AS BIGINT) AS nanos
    FROM book.tariff_components
    WHERE kind IN ('daily', 'monthly')
),
versions AS (
    SELECT
        id, tariff_id, CAST(valid_from AS BIGINT) AS valid_from,
        coalesce(lead(CAST(valid_from AS BIGINT)) OVER (PARTITION BY tariff_id ORDER BY valid_from), 9223372036854775807) AS valid_to
    FROM book.tariff_versions
    WHERE superseded_at IS NULL
),
terms AS (
    SELECT
        c.service_point_id, p.site_id, c.account_id, v.id AS version_id, a.accrued_through,
        greatest(CAST(c.valid_from AS BIGINT), v.valid_from) AS term_from,
        least(coalesce(CAST(c.valid_to AS BIGINT), 9223372036854775807), v.valid_to) AS term_to
    FROM book.accruals AS a
    JOIN book.contracts AS c ON c.service_point_id = a.service_point_id
    JOIN versions AS v ON v.tariff_id = c.tariff_id
    JOIN book.service_points AS p ON p.id = c.service_point_id
    WHERE c.superseded_at IS NULL AND v.id IN (SELECT tariff_version_id FROM fixed)
),
days AS (
    SELECT
        site_id, local_date, CAST(utc_start AS BIGINT) AS day_start,
        count(*) OVER (PARTITION BY site_id, date_trunc('month', local_date)) AS month_days,
        max(local_date) OVER (PARTITION BY site_id, date_trunc('month', local_date)) = local_date AS is_last
    FROM book.site_days
),
expected AS (
    SELECT
        t.service_point_id, t.account_id, d.local_date, f.component, t.version_id,
        CASE
            WHEN f.kind = 'daily' THEN CAST(f.price AS DECIMAL(38, 9))
            WHEN d.is_last THEN CAST(f.nanos - f.nanos / d.month_days * (d.month_days - 1) AS DECIMAL(29, 0)) * 0.000000001
            ELSE CAST(f.nanos / d.month_days AS DECIMAL(29, 0)) * 0.000000001
        END AS amount
    FROM terms AS t
    JOIN days AS d ON d.site_id = t.site_id AND d.day_start >= t.term_from AND d.day_start < t.term_to
        AND d.local_date <= t.accrued_through
    JOIN fixed AS f ON f.tariff_version_id = t.version_id
),
due AS (
    SELECT service_point_id, account_id, local_date, component, tariff_version_id, amount
    FROM lake.charges
    WHERE component <> 'energy'
    UNION ALL
    SELECT l.service_point_id, a.account_id, l.local_date, l.component, l.tariff_version_id, l.amount
    FROM book.adjustments AS a
    JOIN book.adjustment_lines AS l ON l.adjustment_id = a.id
    WHERE l.component <> 'energy' AND a.state IN ('pending', 'rejected')
),
charged AS (
    SELECT d.service_point_id, d.account_id, d.local_date, d.component, d.tariff_version_id, sum(d.amount) AS amount
    FROM due AS d
    JOIN fixed AS f ON f.tariff_version_id = d.tariff_version_id AND f.component = d.component
    GROUP BY d.service_point_id, d.account_id, d.local_date, d.component, d.tariff_version_id
)
SELECT
    coalesce(e.service_point_id, c.service_point_id) AS service_point_id,
    coalesce(e.account_id, c.account_id) AS account_id,
    coalesce(e.local_date, c.local_date) AS local_date,
    coalesce(e.component, c.component) AS component,
    e.amount AS expected,
    c.amount AS charged
FROM expected AS e
FULL OUTER JOIN charged AS c
    ON c.service_point_id = e.service_point_id AND c.account_id = e.account_id AND c.local_date = e.local_date
    AND c.component = e.component AND c.tariff_version_id = e.version_id
WHERE coalesce(e.amount, 0) <> coalesce(c.amount, 0)
