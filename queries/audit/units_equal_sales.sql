-- purpose: Units in wallets were bought: each sale is its money, at the price that was published for then, rounded down to 0.001
--   unit; its transfers move exactly that; what refunds gave back of it is at most what it sold, and each refund of units
--   gives back what it names.
-- column account_id: ; whose
-- column sale_id: ; which sale, or null
-- column transfer_id: ; which transfer, or null
-- column fault: ; what is wrong
WITH money_in AS (
    SELECT t.id, t.account_id, t.amount
    FROM book.transfers AS t
    JOIN book.unit_accounts AS u ON u.id = t.account_id
    WHERE t.kind IN ('topup', 'suspense_assignment')
),
legs AS (
    SELECT
        t.linked_id,
        sum(CASE WHEN c.name LIKE 'wallet:%' THEN t.amount ELSE 0 END) AS units,
        sum(CASE WHEN c.name LIKE 'wallet:%' THEN 0 ELSE t.amount END) AS remainder
    FROM book.transfers AS t
    JOIN book.ledger_accounts AS c ON c.id = t.credit_id
    WHERE t.kind = 'unit_sale'
    GROUP BY t.linked_id
),
undone AS (SELECT DISTINCT linked_id FROM book.transfers WHERE kind = 'reversal'),
given AS (
    SELECT u.sale_id, sum(CAST(u.units AS DECIMAL(19, 0))) AS units
    FROM book.unit_refunds AS u
    JOIN book.refunds AS r ON r.id = u.refund_id
    WHERE r.state = 'paid'
    GROUP BY u.sale_id
),
prices AS (SELECT tariff_version_id, min(price) AS least, max(price) AS most FROM book.tariff_prices GROUP BY tariff_version_id),
sales AS (
    SELECT
        s.*,
        CAST(CAST(s.units AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 9)) AS quantity,
        CAST(CAST(s.price AS DECIMAL(19, 0)) * 0.000001 AS DECIMAL(38, 6)) AS each,
        CAST(CAST(s.units AS DECIMAL(19, 0)) * CAST(s.price AS DECIMAL(19, 0)) * 0.000000001 AS DECIMAL(38, 9)) AS cost
    FROM book.unit_sales AS s
),
refunded AS (
    SELECT
        r.transfer_id,
        sum(CAST(CAST(u.units AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 9))) AS units,
        sum(CAST(CAST(u.units AS DECIMAL(19, 0)) * CAST(s.price AS DECIMAL(19, 0)) * 0.000000001 AS DECIMAL(38, 9))) AS cost
    FROM book.unit_refunds AS u
    JOIN book.refunds AS r ON r.id = u.refund_id
    JOIN book.unit_sales AS s ON s.id = u.sale_id
    WHERE r.transfer_id IS NOT NULL
    GROUP BY r.transfer_id
),
given_back AS (
    SELECT t.id, t.account_id, t.amount
    FROM book.transfers AS t
    JOIN book.unit_accounts AS u ON u.id = t.account_id
    WHERE t.kind = 'refund'
),
paid_back AS (SELECT linked_id, sum(amount) AS amount FROM book.transfers WHERE kind = 'unit_refund' GROUP BY linked_id)
SELECT
    coalesce(s.account_id, m.account_id) AS account_id,
    s.id AS sale_id,
    coalesce(s.money_transfer_id, m.id) AS transfer_id,
    CASE
        WHEN s.id IS NULL THEN 'money that bought no units'
        WHEN m.id IS NULL OR m.account_id <> s.account_id OR m.amount <> s.money THEN 'its money is not what came in'
        WHEN s.money <> s.cost + s.remainder OR s.remainder < 0 OR s.remainder * 1000 >= s.each THEN 'it is not its money at its price'
        WHEN p.least IS NULL OR p.least <> s.each OR p.most <> s.each THEN 'its price is not the published one'
        WHEN l.units IS NULL OR l.units <> s.quantity OR l.remainder <> s.remainder THEN 'its transfers move other units or another remainder'
        WHEN (s.state = 'reversed') <> (u.linked_id IS NOT NULL) THEN 'its state is not what became of it'
        ELSE 'more was given back than sold'
    END AS fault
FROM sales AS s
FULL OUTER JOIN money_in AS m ON m.id = s.money_transfer_id
LEFT JOIN legs AS l ON l.linked_id = s.money_transfer_id
LEFT JOIN undone AS u ON u.linked_id = s.money_transfer_id
LEFT JOIN given AS g ON g.sale_id = s.id
LEFT JOIN prices AS p ON p.tariff_version_id = s.tariff_version_id
WHERE s.id IS NULL
    OR m.id IS NULL OR m.account_id <> s.account_id OR m.amount <> s.money
    OR s.money <> s.cost + s.remainder OR s.remainder < 0 OR s.remainder * 1000 >= s.each
    OR p.least IS NULL OR p.least <> s.each OR p.most <> s.each
    OR l.units IS NULL OR l.units <> s.quantity OR l.remainder <> s.remainder
    OR (s.state = 'reversed') <> (u.linked_id IS NOT NULL)
    OR (g.units IS NOT NULL AND (g.units > s.units OR s.state = 'reversed'))
UNION ALL
SELECT b.account_id, CAST(NULL AS BIGINT), coalesce(b.id, f.transfer_id), 'a refund of units is not what it names'
FROM given_back AS b
FULL OUTER JOIN refunded AS f ON f.transfer_id = b.id
LEFT JOIN paid_back AS y ON y.linked_id = b.id
WHERE b.id IS NULL OR f.transfer_id IS NULL OR f.units <> b.amount OR coalesce(y.amount, 0) <> f.cost
