-- title: Transfers | 记账
-- purpose: Immutable double-entry money movements; a debit and a credit of the same amount.
-- column transfer_id: ; its number
-- column kind: ; topup, usage, usage_difference, reversal, adjustment (of a closed month, or by a person), refund, bonus,
--   capture, suspense, suspense_assignment, arrears, unit_sale (what money bought) or unit_refund (what units given back cost)
-- column debit: ; the ledger account that gives
-- column credit: ; the ledger account that receives
-- column amount: currency; above zero
-- column currency: ; of the amount: a currency, or kWh or m3
-- column account: ; the customer's account that it concerns; null while nobody knows it
-- column local_date: ; the day of usage, or null
-- column linked_id: ; the transfer that it corrects, or null
-- column booked_at: UTC; when it was written
-- column effective_at: UTC; when it counts
-- column memo: ; for people
SELECT
    t.id AS transfer_id,
    t.kind,
    d.name AS debit,
    c.name AS credit,
    t.amount,
    d.currency,
    a.name AS account,
    t.local_date,
    t.linked_id,
    t.booked_at,
    t.effective_at,
    t.memo
FROM book.transfers AS t
LEFT JOIN book.ledger_accounts AS d ON d.id = t.debit_id
LEFT JOIN book.ledger_accounts AS c ON c.id = t.credit_id
LEFT JOIN book.accounts AS a ON a.id = t.account_id
