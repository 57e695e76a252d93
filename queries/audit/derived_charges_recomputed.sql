-- purpose: In each closed month a charge for another service's volume is price x volume: the volume that the other service was
--   charged on the days of each version (the account's own, where it pays there), its share rounded down on the month's running
--   total, capped, and divided by tiers; by service point, account, tariff version and tier. That the other service was charged
--   what its intervals say, the audits of intervals prove. A month with an adjustment that waits or was rejected is not looked at.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_month: ; 12 x year + month - 1
-- column component: ; what is charged
-- column tariff_version_id: ; which version
-- column tier: ; from 1; 0 where there is one price
-- column volume: 1/1000 units; what is expected to be charged
-- column quantity: 1/1000 units; what was charged
-- column expected: currency; volume x price
-- column charged: currency; what was charged
WITH versions AS (
    SELECT
        id, tariff_id, CAST(valid_from AS BIGINT) AS valid_from,
        coalesce(lead(CAST(valid_from AS BIGINT)) OVER (PARTITION BY tariff_id ORDER BY valid_from), 9223372036854775807) AS valid_to
    FROM book.tariff_versions
    WHERE superseded_at IS NULL
),
closed AS (
    SELECT site_id, min(local_month) AS since, max(local_month) AS through FROM book.periods WHERE state = 'closed' GROUP BY site_id
),
decided AS (SELECT DISTINCT account_id, local_month FROM book.adjustments WHERE state IN ('pending', 'rejected')),
-- Where such a tariff ever holds, and the sources that the contracts there name.
concerned AS (
    SELECT DISTINCT c.service_point_id
    FROM book.contracts AS c
    JOIN book.tariff_versions AS v ON v.tariff_id = c.tariff_id
    WHERE v.id IN (SELECT tariff_version_id FROM book.derived_tiers)
),
reached AS (
    SELECT service_point_id FROM concerned
    UNION
    SELECT CAST(f.value AS INT)
    FROM book.contract_facts AS f
    JOIN book.contracts AS c ON c.id = f.contract_id
    WHERE f.kind = 'source' AND c.service_point_id IN (SELECT service_point_id FROM concerned)
),
contracts AS (
    SELECT
        c.id, c.service_point_id, p.site_id, c.account_id, c.tariff_id, CAST(c.valid_from AS BIGINT) AS valid_from,
        coalesce(CAST(c.valid_to AS BIGINT), 9223372036854775807) AS valid_to
    FROM book.contracts AS c
    JOIN book.service_points AS p ON p.id = c.service_point_id
    WHERE c.superseded_at IS NULL AND c.service_point_id IN (SELECT service_point_id FROM reached)
),
days AS (
    SELECT
        s.site_id, s.local_date, CAST(s.utc_start AS BIGINT) AS day_start, CAST(s.utc_end AS BIGINT) AS day_end,
        CAST(date_part('year', s.local_date) * 12 + date_part('month', s.local_date) - 1 AS BIGINT) AS local_month
    FROM book.site_days AS s
    WHERE s.site_id IN (SELECT site_id FROM closed)
),
months AS (
    SELECT site_id, local_month, min(day_start) AS month_start, max(day_end) AS month_end FROM days GROUP BY site_id, local_month
),
-- Each version of a contract in each month, with the days that it owes: none where it held for some hours. Only where there is
-- such a charge.
held AS (
    SELECT
        c.service_point_id, c.account_id, c.id AS contract_id, c.valid_from AS contract_from, v.id AS version_id,
        v.valid_from AS version_from, m.local_month, min(d.local_date) AS first_date, max(d.local_date) AS last_date
    FROM contracts AS c
    JOIN versions AS v ON v.tariff_id = c.tariff_id
    JOIN months AS m ON m.site_id = c.site_id
        AND greatest(c.valid_from, v.valid_from, m.month_start) < least(c.valid_to, v.valid_to, m.month_end)
    LEFT JOIN days AS d ON d.site_id = m.site_id AND d.local_month = m.local_month
        AND d.day_start >= greatest(c.valid_from, v.valid_from) AND d.day_start < least(c.valid_to, v.valid_to)
    WHERE c.service_point_id IN (
        SELECT o.service_point_id
        FROM contracts AS o
        JOIN book.tariff_versions AS t ON t.tariff_id = o.tariff_id
        WHERE t.id IN (SELECT tariff_version_id FROM book.derived_tiers)
    )
    GROUP BY c.service_point_id, c.account_id, c.id, c.valid_from, v.id, v.valid_from, m.local_month
),
-- Consecutive days under one version are one stretch, whichever contract they are of; what owes no day goes with either side.
begun AS (
    SELECT
        *,
        CASE WHEN lag(version_id) OVER (PARTITION BY service_point_id, account_id, local_month ORDER BY contract_from, version_from)
                    = version_id
                AND (first_date IS NULL
                    OR coalesce(CAST(lag(last_date) IGNORE NULLS OVER (PARTITION BY service_point_id, account_id, local_month
                        ORDER BY contract_from, version_from) AS INT) + 1 = CAST(first_date AS INT), true))
            THEN 0 ELSE 1 END AS begins
    FROM held
),
-- The first contract of a stretch names its sources.
runs AS (
    SELECT
        service_point_id, account_id, version_id, local_month, place, min(first_date) AS first_date, max(last_date) AS last_date,
        max(CASE WHEN begins = 1 THEN contract_id END) AS contract_id
    FROM (
        SELECT
            *,
            sum(begins) OVER (PARTITION BY service_point_id, account_id, local_month ORDER BY contract_from, version_from) AS place
        FROM begun
    )
    GROUP BY service_point_id, account_id, version_id, local_month, place
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY service_point_id, account_id, local_month, version_id ORDER BY place) AS nth,
        lead(first_date) IGNORE NULLS OVER (PARTITION BY service_point_id, account_id, local_month ORDER BY place) AS next_date
    FROM runs
),
sourced AS (
    SELECT
        r.*, t.source, CASE WHEN t.source = 'energy' THEN r.service_point_id ELSE CAST(f.value AS INT) END AS source_id
    FROM placed AS r
    JOIN (SELECT DISTINCT tariff_version_id, source FROM book.derived_tiers) AS t ON t.tariff_version_id = r.version_id
    LEFT JOIN book.contract_facts AS f ON f.contract_id = r.contract_id AND f.kind = 'source' AND f.name = t.source
),
-- Who pays at a service point in a month.
payers AS (
    SELECT DISTINCT c.service_point_id, c.account_id, m.local_month
    FROM contracts AS c
    JOIN months AS m ON m.site_id = c.site_id AND c.valid_from < m.month_end AND c.valid_to > m.month_start
),
lines AS (
    SELECT
        service_point_id, account_id, local_date, component, tier, tariff_version_id, quantity, amount,
        CAST(date_part('year', local_date) * 12 + date_part('month', local_date) - 1 AS BIGINT) AS local_month
    FROM lake.charges
    WHERE service_point_id IN (SELECT service_point_id FROM reached)
),
-- Of its own use what was charged under the version; of another's its own there, or whoever's on the days. What was charged
-- before the first day that is owed goes with the first stretch.
volumes AS (
    SELECT
        r.service_point_id, r.account_id, r.local_month, r.version_id, r.source, r.place,
        coalesce(sum(CAST(l.quantity AS DECIMAL(19, 0))), 0) AS volume
    FROM sourced AS r
    LEFT JOIN payers AS y ON y.service_point_id = r.source_id AND y.account_id = r.account_id AND y.local_month = r.local_month
    LEFT JOIN lines AS l ON l.service_point_id = r.source_id AND l.local_month = r.local_month AND l.component = 'energy'
        AND CASE
            WHEN r.source_id = r.service_point_id
                THEN l.account_id = r.account_id AND l.tariff_version_id = r.version_id AND r.nth = 1
            WHEN y.account_id IS NOT NULL
                THEN l.account_id = r.account_id AND (r.place = 1 OR l.local_date >= r.first_date)
                    AND (r.next_date IS NULL OR l.local_date < r.next_date)
            ELSE l.local_date BETWEEN r.first_date AND r.last_date END
    GROUP BY r.service_point_id, r.account_id, r.local_month, r.version_id, r.source, r.place
),
-- A running total is each source's, whatever charges go by it: another version may name another.
totals AS (
    SELECT
        *, sum(volume) OVER (PARTITION BY service_point_id, account_id, local_month, source ORDER BY place) AS after
    FROM volumes
),
counted AS (
    SELECT
        v.service_point_id, v.account_id, v.local_month, t.component, v.version_id, t.tier, t.lower, t.upper, t.price,
        CAST(v.after * t.share AS DECIMAL(38, 0)) AS after_share, CAST((v.after - v.volume) * t.share AS DECIMAL(38, 0)) AS before_share,
        t.cap
    FROM totals AS v
    JOIN book.derived_tiers AS t ON t.tariff_version_id = v.version_id AND t.source = v.source
),
shared AS (
    SELECT
        *,
        CAST((after_share - (after_share % 1000000 + 1000000) % 1000000) / 1000000 AS DECIMAL(38, 0)) AS after_floor,
        CAST((before_share - (before_share % 1000000 + 1000000) % 1000000) / 1000000 AS DECIMAL(38, 0)) AS before_floor
    FROM counted
),
capped AS (
    SELECT
        *, CASE WHEN cap < after_floor THEN cap ELSE after_floor END AS after_charged,
        CASE WHEN cap < before_floor THEN cap ELSE before_floor END AS before_charged
    FROM shared
),
tiered AS (
    SELECT
        service_point_id, account_id, local_month, component, version_id, tier, price,
        CASE WHEN lower IS NULL THEN least(after_charged, coalesce(upper, after_charged))
            ELSE greatest(least(after_charged, coalesce(upper, after_charged)) - lower, 0) END
        - CASE WHEN lower IS NULL THEN least(before_charged, coalesce(upper, before_charged))
            ELSE greatest(least(before_charged, coalesce(upper, before_charged)) - lower, 0) END AS volume
    FROM capped
),
expected AS (
    SELECT
        service_point_id, account_id, local_month, component, version_id, tier, sum(volume) AS volume,
        sum(CAST(CAST(volume AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(22, 3)) * CAST(price AS DECIMAL(16, 6))) AS amount
    FROM tiered
    GROUP BY service_point_id, account_id, local_month, component, version_id, tier
),
charged AS (
    SELECT
        service_point_id, account_id, local_month, component, tariff_version_id, tier,
        sum(CAST(quantity AS DECIMAL(19, 0))) AS quantity, sum(amount) AS amount
    FROM (
        SELECT
            l.service_point_id, l.account_id, l.component, l.tariff_version_id, l.tier, l.quantity, l.amount,
            CAST(date_part('year', l.local_date) * 12 + date_part('month', l.local_date) - 1 AS BIGINT) AS local_month
        FROM (SELECT DISTINCT tariff_version_id, component FROM book.derived_tiers) AS t
        JOIN lake.charges AS l ON l.tariff_version_id = t.tariff_version_id AND l.component = t.component
    )
    GROUP BY service_point_id, account_id, local_month, component, tariff_version_id, tier
),
compared AS (
    SELECT
        coalesce(e.service_point_id, c.service_point_id) AS service_point_id,
        coalesce(e.account_id, c.account_id) AS account_id,
        coalesce(e.local_month, c.local_month) AS local_month,
        coalesce(e.component, c.component) AS component,
        coalesce(e.version_id, c.tariff_version_id) AS tariff_version_id,
        coalesce(e.tier, c.tier) AS tier,
        coalesce(e.volume, 0) AS volume, coalesce(c.quantity, 0) AS quantity,
        coalesce(e.amount, 0) AS expected, coalesce(c.amount, 0) AS charged
    FROM expected AS e
    FULL OUTER JOIN charged AS c
        ON c.service_point_id = e.service_point_id AND c.account_id = e.account_id AND c.local_month = e.local_month
        AND c.component = e.component AND c.tariff_version_id = e.version_id AND c.tier = e.tier
)
SELECT
    c.service_point_id, c.account_id, c.local_month, c.component, c.tariff_version_id, c.tier, c.volume, c.quantity, c.expected,
    c.charged
FROM compared AS c
JOIN book.service_points AS p ON p.id = c.service_point_id
JOIN closed AS k ON k.site_id = p.site_id
LEFT JOIN decided AS d ON d.account_id = c.account_id AND d.local_month = c.local_month
WHERE d.account_id IS NULL AND c.local_month BETWEEN k.since AND k.through
    AND (c.volume <> c.quantity OR c.expected <> c.charged)
