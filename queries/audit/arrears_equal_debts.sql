-- purpose: What an account that was closed by command owes, by its payments and charge lines, is in its arrears, not in its
--   wallet; no other account has arrears.
-- column account_id: ; whose
-- column arrears: currency; what the ledger account holds
-- column debt: currency; charges and whatever else was taken, less all that came in
WITH wallets AS (
    SELECT id, account_id FROM book.ledger_accounts WHERE account_id IS NOT NULL AND name LIKE 'wallet:%'
),
movements AS (
    SELECT w.account_id, t.amount
    FROM book.transfers AS t JOIN wallets AS w ON w.id = t.credit_id
    WHERE t.kind NOT IN ('usage', 'usage_difference', 'arrears')
    UNION ALL
    SELECT w.account_id, -t.amount
    FROM book.transfers AS t JOIN wallets AS w ON w.id = t.debit_id
    WHERE t.kind NOT IN ('usage', 'usage_difference', 'arrears')
    UNION ALL
    SELECT account_id, -amount FROM lake.charges
),
left_over AS (SELECT account_id, sum(amount) AS amount FROM movements GROUP BY account_id),
owed AS (
    SELECT l.account_id, sum(CASE WHEN l.id = t.debit_id THEN t.amount ELSE -t.amount END) AS amount
    FROM book.transfers AS t
    JOIN book.ledger_accounts AS l ON (l.id = t.debit_id OR l.id = t.credit_id)
    WHERE l.name LIKE 'arrears:%'
    GROUP BY l.account_id
)
SELECT
    coalesce(o.account_id, c.account_id) AS account_id,
    o.amount AS arrears,
    CASE WHEN c.account_id IS NULL THEN 0 ELSE greatest(-coalesce(b.amount, 0), 0) END AS debt
FROM book.closings AS c
FULL OUTER JOIN owed AS o ON o.account_id = c.account_id
LEFT JOIN left_over AS b ON b.account_id = coalesce(c.account_id, o.account_id)
WHERE coalesce(o.amount, 0) <> CASE WHEN c.account_id IS NULL THEN 0 ELSE greatest(-coalesce(b.amount, 0), 0) END
