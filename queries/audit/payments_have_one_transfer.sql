-- purpose: Each posted payment has exactly one top-up transfer of the same account and amount, and no other payment has it.
-- column payment_key: ; which payment, or null
-- column transfer_id: ; which transfer, or null
-- column fault: ; what is wrong
WITH uses AS (SELECT transfer_id, count(*) AS times FROM book.payments WHERE transfer_id IS NOT NULL GROUP BY transfer_id)
SELECT
    y.key AS payment_key,
    coalesce(y.transfer_id, t.id) AS transfer_id,
    CASE
        WHEN y.id IS NULL THEN 'a top-up without a payment'
        WHEN y.state <> 'posted' THEN 'a payment that is not posted has a transfer'
        WHEN t.id IS NULL THEN 'a posted payment without its top-up'
        WHEN t.amount <> y.amount THEN 'its transfer has another amount'
        WHEN t.account_id <> y.account_id THEN 'its transfer is of another account'
        ELSE 'its transfer has several payments'
    END AS fault
FROM book.payments AS y
FULL OUTER JOIN (SELECT * FROM book.transfers WHERE kind = 'topup') AS t ON t.id = y.transfer_id
LEFT JOIN uses AS u ON u.transfer_id = y.transfer_id
WHERE y.id IS NULL
    OR (y.state <> 'posted' AND y.transfer_id IS NOT NULL)
    OR (y.state = 'posted' AND (t.id IS NULL OR t.amount <> y.amount OR t.account_id <> y.account_id OR u.times > 1))
