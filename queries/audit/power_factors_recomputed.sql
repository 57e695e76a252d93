-- purpose: In each closed month a power-factor adjustment is the percentage that the table gives for active energy and reactive
--   energy as they were charged, of the components that it names: by service point, account and tariff version, rounded to 1e-9,
--   halves away from zero: once, or once for each of several contracts of a month. Whether a factor is reached is told from
--   squares, without a root. A month with an adjustment that waits or was rejected is not looked at.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_month: ; 12 x year + month - 1
-- column component: ; what is charged
-- column tariff_version_id: ; which version
-- column active: 1/1000 kWh; of the month, all versions together
-- column reactive: 1/1000 kvarh; null where the contract names no such service point
-- column expected: currency; rate x base
-- column charged: currency; what was charged
WITH tables AS (
    SELECT
        tariff_version_id, component, step, rate,
        -- The least number of steps that is rounded to the percentage's factor or more.
        (at_least + step - 1) / step AS steps, at_least
    FROM book.factor_steps
),
closed AS (
    SELECT site_id, min(local_month) AS since, max(local_month) AS through FROM book.periods WHERE state = 'closed' GROUP BY site_id
),
decided AS (SELECT DISTINCT account_id, local_month FROM book.adjustments WHERE state IN ('pending', 'rejected')),
-- Where such a tariff ever holds, and where the contracts there say that reactive energy is measured.
concerned AS (
    SELECT DISTINCT c.service_point_id
    FROM book.contracts AS c
    JOIN book.tariff_versions AS v ON v.tariff_id = c.tariff_id
    WHERE v.id IN (SELECT tariff_version_id FROM tables)
),
reached AS (
    SELECT service_point_id FROM concerned
    UNION
    SELECT CAST(f.value AS INT)
    FROM book.contract_facts AS f
    JOIN book.contracts AS c ON c.id = f.contract_id
    WHERE f.kind = 'reactive' AND c.service_point_id IN (SELECT service_point_id FROM concerned)
),
contracts AS (
    SELECT
        c.id, c.service_point_id, p.site_id, c.account_id, CAST(c.valid_from AS BIGINT) AS valid_from,
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
    SELECT d.site_id, d.local_month, min(d.day_start) AS month_start, max(d.day_end) AS month_end
    FROM days AS d
    JOIN closed AS c ON c.site_id = d.site_id
    WHERE d.local_month BETWEEN c.since AND c.through
    GROUP BY d.site_id, d.local_month
),
-- Who had a contract in a month; the last one names the service point of reactive energy.
parties AS (
    SELECT service_point_id, site_id, account_id, local_month, reactive_id, contracts
    FROM (
        SELECT
            c.service_point_id, c.site_id, c.account_id, m.local_month, CAST(f.value AS INT) AS reactive_id,
            row_number() OVER (PARTITION BY c.service_point_id, c.account_id, m.local_month ORDER BY c.valid_from DESC) AS place,
            count(*) OVER (PARTITION BY c.service_point_id, c.account_id, m.local_month) AS contracts
        FROM contracts AS c
        JOIN months AS m ON m.site_id = c.site_id AND c.valid_from < m.month_end AND c.valid_to > m.month_start
        LEFT JOIN book.contract_facts AS f ON f.contract_id = c.id AND f.kind = 'reactive'
    )
    WHERE place = 1
),
lines AS (
    SELECT
        service_point_id, account_id, local_date, component, tariff_version_id, quantity, amount,
        CAST(date_part('year', local_date) * 12 + date_part('month', local_date) - 1 AS BIGINT) AS local_month
    FROM lake.charges
    WHERE service_point_id IN (SELECT service_point_id FROM reached)
),
actives AS (
    SELECT service_point_id, account_id, local_month, sum(CAST(quantity AS DECIMAL(19, 0))) AS active
    FROM lines
    WHERE component = 'energy'
    GROUP BY service_point_id, account_id, local_month
),
-- Its own there, where the account pays there; else whoever's on the days that it owes here.
reactives AS (
    SELECT p.service_point_id, p.account_id, p.local_month, sum(CAST(l.quantity AS DECIMAL(19, 0))) AS reactive
    FROM parties AS p
    LEFT JOIN parties AS o ON o.service_point_id = p.reactive_id AND o.account_id = p.account_id AND o.local_month = p.local_month
    JOIN lines AS l ON l.service_point_id = p.reactive_id AND l.local_month = p.local_month AND l.component = 'energy'
    LEFT JOIN (
        SELECT DISTINCT c.service_point_id, c.account_id, d.local_date
        FROM contracts AS c
        JOIN days AS d ON d.site_id = c.site_id AND d.day_start >= c.valid_from AND d.day_start < c.valid_to
        WHERE c.service_point_id IN (SELECT service_point_id FROM parties WHERE reactive_id IS NOT NULL)
    ) AS w ON w.service_point_id = p.service_point_id AND w.account_id = p.account_id AND w.local_date = l.local_date
    WHERE CASE WHEN o.account_id IS NOT NULL THEN l.account_id = p.account_id ELSE w.local_date IS NOT NULL END
    GROUP BY p.service_point_id, p.account_id, p.local_month
),
measured AS (
    SELECT
        p.service_point_id, p.account_id, p.local_month, coalesce(a.active, 0) AS active,
        CASE WHEN p.reactive_id IS NOT NULL THEN coalesce(r.reactive, 0) END AS reactive, p.contracts
    FROM parties AS p
    LEFT JOIN actives AS a ON a.service_point_id = p.service_point_id AND a.account_id = p.account_id AND a.local_month = p.local_month
    LEFT JOIN reactives AS r ON r.service_point_id = p.service_point_id AND r.account_id = p.account_id AND r.local_month = p.local_month
),
bases AS (
    SELECT
        l.service_point_id, l.account_id, l.local_month, t.component, l.tariff_version_id, sum(l.amount) AS amount
    FROM (SELECT DISTINCT tariff_version_id, component FROM tables) AS t
    JOIN book.component_bases AS b ON b.tariff_version_id = t.tariff_version_id AND b.component = t.component
    JOIN lines AS l ON l.tariff_version_id = b.tariff_version_id AND l.component = b.base
    GROUP BY l.service_point_id, l.account_id, l.local_month, t.component, l.tariff_version_id
),
-- A factor of k steps is reached when ((2k - 1) x step)^2 x (active^2 + reactive^2) <= (2 x 1000)^2 x active^2.
rated AS (
    SELECT
        b.service_point_id, b.account_id, b.local_month, b.component, b.tariff_version_id, b.amount, m.active, m.reactive, m.contracts,
        t.rate,
        row_number() OVER (PARTITION BY b.service_point_id, b.account_id, b.local_month, b.component, b.tariff_version_id
            ORDER BY t.at_least DESC) AS place
    FROM bases AS b
    JOIN measured AS m ON m.service_point_id = b.service_point_id AND m.account_id = b.account_id AND m.local_month = b.local_month
    JOIN tables AS t ON t.tariff_version_id = b.tariff_version_id AND t.component = b.component
    WHERE m.active > 0 AND m.reactive IS NOT NULL
        AND CASE WHEN t.steps = 0 THEN true
            WHEN t.steps > 1000 / t.step THEN false
            ELSE CAST((2 * t.steps - 1) * t.step * ((2 * t.steps - 1) * t.step) AS DECIMAL(7, 0))
                    * CAST(CAST(m.active AS DECIMAL(15, 0)) * CAST(m.active AS DECIMAL(15, 0))
                        + CAST(m.reactive AS DECIMAL(15, 0)) * CAST(m.reactive AS DECIMAL(15, 0)) AS DECIMAL(31, 0))
                <= CAST(4000000 AS DECIMAL(7, 0))
                    * CAST(CAST(m.active AS DECIMAL(15, 0)) * CAST(m.active AS DECIMAL(15, 0)) AS DECIMAL(31, 0)) END
),
expected AS (
    SELECT
        service_point_id, account_id, local_month, component, tariff_version_id, active, reactive, contracts,
        CAST(round(CAST(amount AS DECIMAL(29, 9)) * CAST(rate AS DECIMAL(8, 6)), 9) AS DECIMAL(38, 9)) AS amount
    FROM rated
    WHERE place = 1
),
charged AS (
    SELECT service_point_id, account_id, local_month, component, tariff_version_id, sum(amount) AS amount
    FROM (
        SELECT
            l.service_point_id, l.account_id, l.component, l.tariff_version_id, l.amount,
            CAST(date_part('year', l.local_date) * 12 + date_part('month', l.local_date) - 1 AS BIGINT) AS local_month
        FROM (SELECT DISTINCT tariff_version_id, component FROM tables) AS t
        JOIN lake.charges AS l ON l.tariff_version_id = t.tariff_version_id AND l.component = t.component
    )
    GROUP BY service_point_id, account_id, local_month, component, tariff_version_id
),
compared AS (
    SELECT
        coalesce(e.service_point_id, c.service_point_id) AS service_point_id,
        coalesce(e.account_id, c.account_id) AS account_id,
        coalesce(e.local_month, c.local_month) AS local_month,
        coalesce(e.component, c.component) AS component,
        coalesce(e.tariff_version_id, c.tariff_version_id) AS tariff_version_id,
        e.active, e.reactive, coalesce(e.contracts, 1) AS contracts,
        coalesce(e.amount, 0) AS expected, coalesce(c.amount, 0) AS charged
    FROM expected AS e
    FULL OUTER JOIN charged AS c
        ON c.service_point_id = e.service_point_id AND c.account_id = e.account_id AND c.local_month = e.local_month
        AND c.component = e.component AND c.tariff_version_id = e.tariff_version_id
)
SELECT
    c.service_point_id, c.account_id, c.local_month, c.component, c.tariff_version_id, c.active, c.reactive, c.expected, c.charged
FROM compared AS c
JOIN book.service_points AS p ON p.id = c.service_point_id
JOIN closed AS k ON k.site_id = p.site_id
LEFT JOIN decided AS d ON d.account_id = c.account_id AND d.local_month = c.local_month
WHERE d.account_id IS NULL AND c.account_id <> 0 AND c.local_month BETWEEN k.since AND k.through
    AND abs(c.expected - c.charged) > CAST(c.contracts - 1 AS DECIMAL(9, 0)) * 0.000000001
