-- purpose: Each transfer moves more than zero between two different ledger accounts of one currency, and a wallet that it
--   touches belongs to its account.
-- column transfer_id: ; which
-- column fault: ; what is wrong
SELECT
    t.id AS transfer_id,
    CASE
        WHEN t.amount IS NULL OR t.amount <= 0 THEN 'its amount is not above zero'
        WHEN t.debit_id = t.credit_id THEN 'it debits and credits one account'
        WHEN d.id IS NULL THEN 'its debit account does not exist'
        WHEN c.id IS NULL THEN 'its credit account does not exist'
        WHEN d.currency <> c.currency THEN 'its accounts have two currencies'
        ELSE 'it touches the wallet of another account'
    END AS fault
FROM book.transfers AS t
LEFT JOIN book.ledger_accounts AS d ON d.id = t.debit_id
LEFT JOIN book.ledger_accounts AS c ON c.id = t.credit_id
WHERE t.amount IS NULL OR t.amount <= 0 OR t.debit_id = t.credit_id OR d.id IS NULL OR c.id IS NULL
    OR d.currency <> c.currency OR d.account_id <> t.account_id OR c.account_id <> t.account_id
