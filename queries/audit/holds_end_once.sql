-- purpose: A hold stands or has ended; what was taken of it is at most what it held, and is one capture of that amount out
--   of its wallet; every capture belongs to one hold.
-- column hold_id: ; which hold, or null
-- column transfer_id: ; which capture, or null
-- column fault: ; what is wrong
WITH uses AS (SELECT transfer_id, count(*) AS times FROM book.holds WHERE transfer_id IS NOT NULL GROUP BY transfer_id),
captures AS (
    SELECT t.id, t.account_id, t.amount, d.name AS debit, d.account_id AS debit_of
    FROM book.transfers AS t
    LEFT JOIN book.ledger_accounts AS d ON d.id = t.debit_id
    WHERE t.kind = 'capture'
)
SELECT
    h.id AS hold_id,
    coalesce(h.transfer_id, c.id) AS transfer_id,
    CASE
        WHEN h.id IS NULL THEN 'a capture without a hold'
        WHEN h.amount <= 0 THEN 'its amount is not above zero'
        WHEN h.state NOT IN ('held', 'captured', 'released', 'expired') THEN 'its state is unknown'
        WHEN h.state = 'held' AND h.ended_at IS NOT NULL THEN 'it stands and has ended'
        WHEN h.state <> 'held' AND h.ended_at IS NULL THEN 'it ended at no time'
        WHEN h.state <> 'captured' AND h.transfer_id IS NOT NULL THEN 'it was not captured and has a transfer'
        WHEN h.state = 'captured' AND c.id IS NULL THEN 'it was captured without a transfer'
        WHEN c.amount > h.amount THEN 'more was taken than held'
        WHEN c.amount <> h.captured THEN 'its transfer has another amount'
        WHEN c.account_id <> h.account_id OR c.debit_of <> h.account_id OR c.debit NOT LIKE 'wallet:%' THEN 'its transfer is of another wallet'
        ELSE 'its transfer took several holds'
    END AS fault
FROM book.holds AS h
FULL OUTER JOIN captures AS c ON c.id = h.transfer_id
LEFT JOIN uses AS u ON u.transfer_id = h.transfer_id
WHERE h.id IS NULL
    OR h.amount <= 0
    OR h.state NOT IN ('held', 'captured', 'released', 'expired')
    OR (h.state = 'held') <> (h.ended_at IS NULL)
    OR (h.state <> 'captured' AND (h.transfer_id IS NOT NULL OR h.captured IS NOT NULL))
    OR (h.state = 'captured' AND (c.id IS NULL OR h.captured IS NULL OR c.amount > h.amount OR c.amount <> h.captured
        OR c.account_id <> h.account_id OR c.debit_of IS NULL OR c.debit_of <> h.account_id OR c.debit NOT LIKE 'wallet:%'
        OR u.times > 1))
