-- title: Income | 收入
-- purpose: By local day and composition: top-ups received by channel, and usage revenue by utility.
-- period: month
-- parameter from: first local day
-- parameter to: last local day
-- column local_date: ; day
-- column composition: ; top-ups received, or usage charged
-- column item: ; channel, or utility with the component where it is not energy
-- column amount: currency; how much
-- column currency: ; currency
-- column entries: ; payments or charge lines
-- totals: amount entries by composition
-- chart: stacked-bars x=local_date y=amount series=item panel=composition unit=currency
WITH days AS (SELECT site, local_date, utc_start, utc_end FROM site_days WHERE local_date BETWEEN $from AND $to),
paid AS (
    SELECT d.local_date, y.channel, y.amount, y.currency
    FROM payments AS y
    JOIN accounts AS a ON a.account = y.account
    JOIN days AS d ON d.site = a.site AND y.posted_at >= d.utc_start AND y.posted_at < d.utc_end
    WHERE y.state = 'posted'
)
SELECT
    local_date, 'top-ups' AS composition, channel AS item, CAST(sum(amount) AS DECIMAL(38, 9)) AS amount, currency,
    count(*) AS entries
FROM paid
GROUP BY local_date, channel, currency
UNION ALL
SELECT
    c.local_date, 'usage', CASE WHEN c.component = 'energy' THEN c.utility ELSE c.utility || ', ' || c.component END, CAST(sum(c.amount) AS DECIMAL(38, 9)), a.currency, count(*)
FROM accounts AS a
JOIN charges AS c ON c.account = a.account
-- A closed month's income stays as it was: what adjusts it counts where it was posted.
WHERE c.local_date BETWEEN $from AND $to AND c.stated_on = c.local_date
GROUP BY c.local_date, c.utility, c.component, a.currency
UNION ALL
SELECT posted_date, 'usage', utility || ' adjusted', CAST(sum(difference) AS DECIMAL(38, 9)), currency, count(*)
FROM adjustments
WHERE state = 'approved' AND posted_date BETWEEN $from AND $to
GROUP BY posted_date, utility, currency
ORDER BY local_date, composition, currency, item
