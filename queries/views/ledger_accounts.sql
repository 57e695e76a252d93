-- title: Ledger accounts | 总账科目
-- purpose: All ledger accounts with what was debited and credited: a trial balance. In each currency the balances sum to
--   zero.
-- column ledger_account: ; its name: wallet:ACCOUNT, bonus, emergency:ACCOUNT, arrears:ACCOUNT, deposit:ACCOUNT,
--   cash:CHANNEL, clearing:PROVIDER, revenue:UTILITY, revenue:UTILITY:COMPONENT (units: sold beforehand), revenue:fees, tax:NAME,
--   rounding or suspense; in kWh or m3 also units:UTILITY (sold beforehand) and delivered:UTILITY (of these used)
-- column kind: ; asset, liability, income or expense
-- column account: ; the customer's account that it belongs to, or null
-- column currency: ; of the amounts: a currency, or kWh or m3
-- column debits: currency; the sum of its debits
-- column credits: currency; the sum of its credits
-- column balance: currency; debits minus credits: above zero for what we have, below zero for what we owe or earned
-- column transfers: ; how many transfers touch it
WITH legs AS (
    SELECT debit_id AS ledger_id, amount AS debit, CAST(0 AS DECIMAL(38, 9)) AS credit FROM book.transfers
    UNION ALL
    SELECT credit_id, CAST(0 AS DECIMAL(38, 9)), amount FROM book.transfers
),
sums AS (
    SELECT ledger_id, sum(debit) AS debits, sum(credit) AS credits, count(*) AS transfers FROM legs GROUP BY ledger_id
)
SELECT
    l.name AS ledger_account,
    l.kind,
    a.name AS account,
    l.currency,
    CAST(coalesce(s.debits, 0) AS DECIMAL(38, 9)) AS debits,
    CAST(coalesce(s.credits, 0) AS DECIMAL(38, 9)) AS credits,
    CAST(coalesce(s.debits, 0) - coalesce(s.credits, 0) AS DECIMAL(38, 9)) AS balance,
    coalesce(s.transfers, 0) AS transfers
FROM book.ledger_accounts AS l
LEFT JOIN sums AS s ON s.ledger_id = l.id
LEFT JOIN book.accounts AS a ON a.id = l.account_id
