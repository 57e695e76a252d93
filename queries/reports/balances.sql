-- title: Balances | 余额
-- purpose: What each open account has left, and for how many days: each coming day is forecast to cost what the last 14 like
--   days (workday, weekend, holiday) with data cost on average.
-- period: month
-- parameter last: the last local day with data
-- column account: ; account
-- column holder: ; holder
-- column balance: currency; posted minus unposted minus held
-- column currency: ; currency
-- column cost_per_day: currency; mean of the coming seven days' forecast; null without history
-- column days_left: days; whole days until the balance is used up; 90 stands for 90 and more; null without history
-- column as_of: UTC; the oldest reading that the balance rests on
-- totals: balance
-- chart: horizontal-bars x=balance y=account,holder unit=currency top=25 order=ascending
WITH spent AS (
    SELECT account, local_date, sum(amount) AS cost
    FROM charges
    WHERE local_date BETWEEN CAST($last AS DATE) - INTERVAL '150 days' AND CAST($last AS DATE)
    GROUP BY account, local_date
),
open_accounts AS (SELECT account, holder, site, currency FROM accounts WHERE closed_at IS NULL),
ranked AS (
    SELECT
        s.account, d.day_type, s.cost,
        row_number() OVER (PARTITION BY s.account, d.day_type ORDER BY s.local_date DESC) AS place
    FROM spent AS s
    JOIN open_accounts AS a ON a.account = s.account
    JOIN site_days AS d ON d.site = a.site AND d.local_date = s.local_date
),
like_days AS (
    SELECT account, day_type, CAST(sum(cost) / count(*) AS DECIMAL(38, 9)) AS cost
    FROM ranked
    WHERE place <= 14
    GROUP BY account, day_type
),
any_day AS (SELECT account, CAST(avg(cost) AS DECIMAL(38, 9)) AS cost FROM like_days GROUP BY account),
coming AS (
    SELECT
        a.account,
        row_number() OVER (PARTITION BY a.account ORDER BY d.local_date) AS day,
        coalesce(l.cost, y.cost) AS cost
    FROM open_accounts AS a
    JOIN site_days AS d ON d.site = a.site
        AND d.local_date > CAST($last AS DATE) AND d.local_date <= CAST($last AS DATE) + INTERVAL '90 days'
    JOIN any_day AS y ON y.account = a.account
    LEFT JOIN like_days AS l ON l.account = a.account AND l.day_type = d.day_type
),
running AS (
    SELECT
        account, day, cost,
        sum(cost) OVER (PARTITION BY account ORDER BY day ROWS UNBOUNDED PRECEDING) AS used
    FROM coming
),
forecast AS (
    SELECT
        r.account,
        CAST(sum(CASE WHEN r.day <= 7 THEN r.cost ELSE 0 END) / 7 AS DECIMAL(38, 2)) AS cost_per_day,
        sum(CASE WHEN r.used <= b.balance THEN 1 ELSE 0 END) AS days_left
    FROM running AS r
    JOIN balances AS b ON b.account = r.account
    GROUP BY r.account
)
SELECT a.account, a.holder, b.balance, a.currency, f.cost_per_day, f.days_left, b.as_of
FROM open_accounts AS a
JOIN balances AS b ON b.account = a.account
LEFT JOIN forecast AS f ON f.account = a.account
ORDER BY b.balance, a.account
