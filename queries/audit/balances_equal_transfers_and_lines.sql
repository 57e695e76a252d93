-- purpose: Each balance equals what was paid in and adjusted, minus every charge line ever rated, posted or not,
--   and every hold that stands.
-- column account: ; which
-- column balance: currency; as the view says
-- column recomputed: currency; from payments, adjustments, charge lines and holds
WITH wallets AS (
    SELECT id, account_id FROM book.ledger_accounts WHERE account_id IS NOT NULL AND name LIKE 'wallet:%'
),
-- What charge lines stand behind counts by them.
others AS (
    SELECT id, debit_id, credit_id, amount
    FROM book.transfers
    WHERE kind NOT IN ('usage', 'usage_difference') AND id NOT IN (SELECT transfer_id FROM book.adjustment_lines)
),
movements AS (
    SELECT w.account_id, t.amount FROM others AS t JOIN wallets AS w ON w.id = t.credit_id
    UNION ALL
    SELECT w.account_id, -t.amount FROM others AS t JOIN wallets AS w ON w.id = t.debit_id
    UNION ALL
    SELECT account_id, -amount FROM lake.charges
    UNION ALL
    SELECT account_id, -amount FROM book.holds WHERE state = 'held'
),
recomputed AS (SELECT account_id, sum(amount) AS amount FROM movements GROUP BY account_id)
SELECT b.account, b.balance, CAST(coalesce(r.amount, 0) AS DECIMAL(38, 9)) AS recomputed
FROM balances AS b
JOIN book.accounts AS a ON a.name = b.account
LEFT JOIN recomputed AS r ON r.account_id = a.id
WHERE b.balance <> coalesce(r.amount, 0)
