-- purpose: In each closed month a minimum charge is what its bases lack to the minimum, owed by days, and nothing where they
--   reach it: by service point and account, all versions together. A month for which an adjustment waits is looked at when
--   that is decided.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_month: ; 12 x year + month - 1
-- column least: currency; the minimum by the days that are owed
-- column reached: currency; what its bases came to
-- column charged: currency; what was charged for the minimum
WITH minimums AS (
    SELECT tariff_version_id, component, CAST(price * 1000000000 AS BIGINT) AS nanos
    FROM book.tariff_components
    WHERE kind = 'minimum'
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
        c.service_point_id, p.site_id, c.account_id, v.id AS version_id,
        greatest(CAST(c.valid_from AS BIGINT), v.valid_from) AS term_from,
        least(coalesce(CAST(c.valid_to AS BIGINT), 9223372036854775807), v.valid_to) AS term_to
    FROM book.contracts AS c
    JOIN versions AS v ON v.tariff_id = c.tariff_id
    JOIN book.service_points AS p ON p.id = c.service_point_id
    WHERE c.superseded_at IS NULL AND v.id IN (SELECT tariff_version_id FROM minimums)
),
closed AS (SELECT site_id, max(local_month) AS through FROM book.periods WHERE state = 'closed' GROUP BY site_id),
first_closed AS (SELECT site_id, min(local_month) AS since FROM book.periods WHERE state = 'closed' GROUP BY site_id),
waiting AS (SELECT DISTINCT account_id, local_month FROM book.adjustments WHERE state = 'pending'),
days AS (
    SELECT
        s.site_id, CAST(s.utc_start AS BIGINT) AS day_start,
        CAST(date_part('year', s.local_date) * 12 + date_part('month', s.local_date) - 1 AS BIGINT) AS local_month,
        count(*) OVER (PARTITION BY s.site_id, date_trunc('month', s.local_date)) AS month_days,
        max(s.local_date) OVER (PARTITION BY s.site_id, date_trunc('month', s.local_date)) = s.local_date AS is_last
    FROM book.site_days AS s
),
owed AS (
    SELECT
        t.service_point_id, t.account_id, d.local_month, t.version_id,
        sum(CASE WHEN d.is_last THEN m.nanos - m.nanos / d.month_days * (d.month_days - 1) ELSE m.nanos / d.month_days END) AS nanos
    FROM terms AS t
    JOIN days AS d ON d.site_id = t.site_id AND d.day_start >= t.term_from AND d.day_start < t.term_to
    JOIN closed AS c ON c.site_id = t.site_id
    JOIN first_closed AS f ON f.site_id = t.site_id
    JOIN minimums AS m ON m.tariff_version_id = t.version_id
    WHERE d.local_month BETWEEN f.since AND c.through
    GROUP BY t.service_point_id, t.account_id, d.local_month, t.version_id
),
lines AS (
    SELECT
        l.service_point_id, l.account_id, l.component, l.tariff_version_id, l.amount,
        CAST(date_part('year', l.local_date) * 12 + date_part('month', l.local_date) - 1 AS BIGINT) AS local_month
    FROM lake.charges AS l
    WHERE l.tariff_version_id IN (SELECT tariff_version_id FROM minimums)
),
reached AS (
    SELECT l.service_point_id, l.account_id, l.local_month, sum(l.amount) AS amount
    FROM lines AS l
    JOIN book.component_bases AS b ON b.tariff_version_id = l.tariff_version_id AND b.base = l.component
    JOIN minimums AS m ON m.tariff_version_id = b.tariff_version_id AND m.component = b.component
    GROUP BY l.service_point_id, l.account_id, l.local_month
),
charged AS (
    SELECT l.service_point_id, l.account_id, l.local_month, sum(l.amount) AS amount
    FROM lines AS l
    JOIN minimums AS m ON m.tariff_version_id = l.tariff_version_id AND m.component = l.component
    GROUP BY l.service_point_id, l.account_id, l.local_month
),
least_of AS (
    SELECT service_point_id, account_id, local_month, CAST(CAST(sum(nanos) AS DECIMAL(29, 0)) * 0.000000001 AS DECIMAL(38, 9)) AS amount
    FROM owed
    GROUP BY service_point_id, account_id, local_month
)
SELECT
    o.service_point_id, o.account_id, o.local_month, o.amount AS least, coalesce(r.amount, 0) AS reached,
    coalesce(c.amount, 0) AS charged
FROM least_of AS o
LEFT JOIN waiting AS w ON w.account_id = o.account_id AND w.local_month = o.local_month
LEFT JOIN reached AS r
    ON r.service_point_id = o.service_point_id AND r.account_id = o.account_id AND r.local_month = o.local_month
LEFT JOIN charged AS c
    ON c.service_point_id = o.service_point_id AND c.account_id = o.account_id AND c.local_month = o.local_month
WHERE w.account_id IS NULL
    AND coalesce(c.amount, 0) <> CASE WHEN o.amount > coalesce(r.amount, 0) THEN o.amount - coalesce(r.amount, 0) ELSE 0 END
