-- purpose: The sum over all ledger accounts is zero in each currency.
-- column currency: ; which
-- column total: currency; what it sums to
WITH legs AS (
    SELECT credit_id AS ledger_account_id, amount FROM book.transfers
    UNION ALL
    SELECT debit_id, -amount FROM book.transfers
)
SELECT l.currency, sum(g.amount) AS total
FROM legs AS g
LEFT JOIN book.ledger_accounts AS l ON l.id = g.ledger_account_id
GROUP BY l.currency
HAVING sum(g.amount) <> 0
