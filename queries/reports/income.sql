-- title: Income | 收入
-- purpose: By local day and composition: money received by channel, usage by utility, and units sold beforehand by utility. What
--   was reversed or refunded counts on the day of that; money in suspense once its owner is found. Usage of accounts that buy
--   units is in kWh or m3: their money came in when they bought.
-- period: month
-- parameter from: first local day
-- parameter to: last local day
-- column local_date: ; day
-- column composition: ; top-ups received, usage charged, or units sold
-- column item: ; channel, or utility with the component where it is not energy
-- column gross: currency; received, charged or sold
-- column reversed: currency; of these undone by reversals; below zero
-- column refunded: currency; paid back, less refunds that were undone; below zero
-- column amount: currency; gross, reversed and refunded together: net
-- column currency: ; a currency, or kWh or m3
-- column entries: ; payments, movements or charge lines
-- totals: gross reversed refunded amount entries by composition
-- chart: stacked-bars x=local_date y=amount series=item panel=composition unit=currency
WITH days AS (SELECT site, local_date, utc_start, utc_end FROM site_days WHERE local_date BETWEEN $from AND $to),
-- What moved money by a channel, or sold and gave back units of a utility: in (1) or out (-1), as gross or refunded.
channelled AS (
    SELECT transfer_id, 'top-ups' AS composition, channel AS item, 1 AS sign, 'gross' AS part FROM payments
    WHERE transfer_id IS NOT NULL
    UNION ALL
    SELECT t.transfer_id, 'top-ups', s.channel, 1, 'gross'
    FROM transfers AS t
    JOIN suspense AS s ON s.transfer_id = t.linked_id
    WHERE t.kind = 'suspense_assignment'
    UNION ALL
    SELECT t.transfer_id, 'top-ups', r.channel, -1, 'refunded'
    FROM transfers AS t
    JOIN refunds AS r ON r.transfer_id = coalesce(t.linked_id, t.transfer_id)
    WHERE t.kind IN ('refund', 'unit_refund') AND t.credit LIKE 'cash:%'
    UNION ALL
    SELECT transfer_id, 'units sold', split_part(credit, ':', 2), 1, 'gross'
    FROM transfers
    WHERE credit LIKE 'revenue:%:units%' AND kind <> 'reversal'
    UNION ALL
    SELECT transfer_id, 'units sold', split_part(debit, ':', 2), -1, CASE WHEN kind = 'unit_refund' THEN 'refunded' ELSE 'gross' END
    FROM transfers
    WHERE debit LIKE 'revenue:%:units%' AND kind <> 'reversal'
),
moved AS (
    SELECT t.account, t.booked_at, t.currency, c.composition, c.item, c.part, CAST(t.amount * c.sign AS DECIMAL(38, 9)) AS amount
    FROM channelled AS c
    JOIN transfers AS t ON t.transfer_id = c.transfer_id
    UNION ALL
    SELECT
        t.account, t.booked_at, t.currency, c.composition, c.item, CASE WHEN c.part = 'gross' THEN 'reversed' ELSE c.part END,
        CAST(-t.amount * c.sign AS DECIMAL(38, 9))
    FROM channelled AS c
    JOIN transfers AS t ON t.linked_id = c.transfer_id AND t.kind = 'reversal'
),
dated AS (
    SELECT
        d.local_date, m.composition, m.item, m.currency,
        CASE WHEN m.part = 'gross' THEN m.amount ELSE 0 END AS gross,
        CASE WHEN m.part = 'reversed' THEN m.amount ELSE 0 END AS reversed,
        CASE WHEN m.part = 'refunded' THEN m.amount ELSE 0 END AS refunded,
        1 AS entries
    FROM moved AS m
    JOIN accounts AS a ON a.account = m.account
    JOIN days AS d ON d.site = a.site AND m.booked_at >= d.utc_start AND m.booked_at < d.utc_end
    UNION ALL
    SELECT
        local_date, 'usage', CASE WHEN component = 'energy' THEN utility ELSE utility || ', ' || component END, currency, amount,
        0, 0, 1
    FROM charges
    -- A closed month's income stays as it was: what adjusts it counts where it was posted.
    WHERE local_date BETWEEN $from AND $to AND stated_on = local_date
    UNION ALL
    SELECT posted_date, 'usage', utility || ' adjusted', currency, difference, 0, 0, 1
    FROM adjustments
    WHERE state = 'approved' AND posted_date BETWEEN $from AND $to
)
SELECT
    local_date, composition, item,
    CAST(sum(gross) AS DECIMAL(38, 9)) AS gross,
    CAST(sum(reversed) AS DECIMAL(38, 9)) AS reversed,
    CAST(sum(refunded) AS DECIMAL(38, 9)) AS refunded,
    CAST(sum(gross + reversed + refunded) AS DECIMAL(38, 9)) AS amount,
    currency,
    sum(entries) AS entries
FROM dated
GROUP BY local_date, composition, item, currency
ORDER BY local_date, composition, currency, item
