-- purpose: The ledger account suspense of each currency holds what the list of money without an owner says is open.
-- column currency: ; which
-- column ledger: currency; what the ledger account holds
-- column list: currency; what is open
WITH accounts AS (
    SELECT id, currency FROM book.ledger_accounts WHERE name = 'suspense' OR name LIKE 'suspense:%'
),
legs AS (
    SELECT a.currency, t.amount FROM book.transfers AS t JOIN accounts AS a ON a.id = t.credit_id
    UNION ALL
    SELECT a.currency, -t.amount FROM book.transfers AS t JOIN accounts AS a ON a.id = t.debit_id
),
held AS (SELECT currency, sum(amount) AS amount FROM legs GROUP BY currency),
listed AS (SELECT currency, sum(amount) AS amount FROM book.suspense WHERE state = 'open' GROUP BY currency)
SELECT coalesce(h.currency, l.currency) AS currency, h.amount AS ledger, l.amount AS list
FROM held AS h
FULL OUTER JOIN listed AS l ON l.currency = h.currency
WHERE coalesce(h.amount, 0) <> coalesce(l.amount, 0)
