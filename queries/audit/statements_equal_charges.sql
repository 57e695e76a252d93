-- purpose: A closed month is stated as it was charged: the lines of each account's statement are the charges of that period,
--   rounded once, by the rule and to the digits that held for the site when the month was closed, with the remainder carried.
-- column account_id: ; whose
-- column local_month: ; 12 x year + month - 1
-- column stated: currency; exact amounts of the statement's lines
-- column charged: currency; charges of the period
-- column fault: ; what is wrong
WITH adjusted AS (
    SELECT DISTINCT l.transfer_id, a.posted_date
    FROM book.adjustments AS a
    JOIN book.adjustment_lines AS l ON l.adjustment_id = a.id
    WHERE a.state = 'approved'
),
dated AS (
    SELECT c.account_id, c.service_point_id, coalesce(j.posted_date, c.local_date) AS period_date, c.amount
    FROM adjusted AS j
    RIGHT JOIN lake.charges AS c ON c.transfer_id = j.transfer_id
),
closed AS (SELECT site_id, max(local_month) AS through FROM book.periods WHERE state = 'closed' GROUP BY site_id),
first_closed AS (SELECT site_id, min(local_month) AS since FROM book.periods WHERE state = 'closed' GROUP BY site_id),
charged AS (
    SELECT
        d.account_id, CAST(date_part('year', d.period_date) * 12 + date_part('month', d.period_date) - 1 AS BIGINT) AS local_month,
        sum(d.amount) AS amount
    FROM dated AS d
    JOIN book.service_points AS p ON p.id = d.service_point_id
    JOIN closed AS c ON c.site_id = p.site_id
    JOIN first_closed AS f ON f.site_id = p.site_id
    WHERE d.account_id <> 0
        AND date_part('year', d.period_date) * 12 + date_part('month', d.period_date) - 1 BETWEEN f.since AND c.through
    GROUP BY d.account_id, CAST(date_part('year', d.period_date) * 12 + date_part('month', d.period_date) - 1 AS BIGINT)
),
stated AS (
    SELECT account_id, local_month, sum(amount) AS amount
    FROM book.statement_lines
    WHERE withdrawn_at IS NULL
    GROUP BY account_id, local_month
),
rules AS (
    SELECT site_id, rounding, digits, since, lead(since) OVER (PARTITION BY site_id ORDER BY since) AS until
    FROM book.statement_roundings
),
ruled AS (
    SELECT
        l.account_id, l.local_month, l.amount, l.carried_in, l.rounded, l.carried_out, r.rounding,
        -- The least amount that can be paid.
        CAST(CASE r.digits WHEN 0 THEN 1 WHEN 3 THEN 0.001 ELSE 0.01 END AS DECIMAL(38, 9)) AS least
    FROM book.statement_lines AS l
    JOIN book.accounts AS a ON a.id = l.account_id
    LEFT JOIN rules AS r
        ON r.site_id = a.site_id AND r.since <= l.closed_at AND (r.until IS NULL OR l.closed_at < r.until)
)
SELECT
    coalesce(s.account_id, c.account_id) AS account_id, coalesce(s.local_month, c.local_month) AS local_month,
    s.amount AS stated, c.amount AS charged, 'the lines are not the charges of the period' AS fault
FROM stated AS s
FULL OUTER JOIN charged AS c ON c.account_id = s.account_id AND c.local_month = s.local_month
WHERE coalesce(s.amount, 0) <> coalesce(c.amount, 0)
UNION ALL
SELECT account_id, local_month, amount, rounded, 'a line does not add up, or is not rounded by the rule of its close'
FROM ruled
WHERE amount + carried_in <> rounded + carried_out
    OR abs(carried_out) * 2 > least
    OR rounded % least <> 0
    OR (
        abs(carried_out) * 2 = least
        AND CASE WHEN rounding = 'half-even' THEN rounded % (least * 2) <> 0 ELSE
            (carried_out > 0 AND rounded >= 0) OR (carried_out < 0 AND rounded <= 0) END
    )
