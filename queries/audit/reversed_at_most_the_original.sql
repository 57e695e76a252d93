-- purpose: A reversal moves back what a linked transfer moved, between the same ledger accounts; all reversals of a transfer
--   together are at most its amount, and none is of a reversal or of usage.
-- column transfer_id: ; which was reversed, or the reversal that has no original
-- column reversed: currency; by how much
-- column amount: currency; what it moved
-- column fault: ; what is wrong
WITH reversals AS (SELECT id, linked_id, amount, debit_id, credit_id FROM book.transfers WHERE kind = 'reversal'),
totals AS (SELECT linked_id, sum(amount) AS reversed, count(*) AS times FROM reversals GROUP BY linked_id)
SELECT
    coalesce(r.linked_id, r.id) AS transfer_id,
    s.reversed,
    o.amount,
    CASE
        WHEN o.id IS NULL THEN 'a reversal of nothing'
        WHEN o.kind IN ('reversal', 'usage', 'usage_difference', 'arrears') THEN 'a reversal of what is not reversed'
        WHEN r.debit_id <> o.credit_id OR r.credit_id <> o.debit_id THEN 'it moves between other ledger accounts'
        WHEN s.reversed > o.amount THEN 'more was reversed than moved'
        ELSE 'a payment that was reversed twice'
    END AS fault
FROM reversals AS r
LEFT JOIN book.transfers AS o ON o.id = r.linked_id
LEFT JOIN totals AS s ON s.linked_id = r.linked_id
WHERE o.id IS NULL
    OR o.kind IN ('reversal', 'usage', 'usage_difference', 'arrears')
    OR r.debit_id <> o.credit_id OR r.credit_id <> o.debit_id
    OR s.reversed > o.amount
    OR (s.times > 1 AND o.kind IN ('topup', 'refund', 'suspense', 'suspense_assignment'))
