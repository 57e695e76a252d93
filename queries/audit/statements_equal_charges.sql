-- purpose: A closed month is stated as it was charged: the lines of each account's statement are the charges of that period,
--   rounded once, with the remainder carried.
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
)
SELECT
    coalesce(s.account_id, c.account_id) AS account_id, coalesce(s.local_month, c.local_month) AS local_month,
    s.amount AS stated, c.amount AS charged, 'the lines are not the charges of the period' AS fault
FROM stated AS s
FULL OUTER JOIN charged AS c ON c.account_id = s.account_id AND c.local_month = s.local_month
WHERE coalesce(s.amount, 0) <> coalesce(c.amount, 0)
UNION ALL
SELECT account_id, local_month, amount, rounded, 'a line does not add up, or is rounded by more than half a cent'
FROM book.statement_lines
WHERE amount + carried_in <> rounded + carried_out OR carried_out > 0.005 OR carried_out < -0.005
    OR rounded <> CAST(round(rounded, 2) AS DECIMAL(38, 9))
