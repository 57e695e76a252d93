-- purpose: No account ever had more refunded than the cash that it had paid in by then; each refund was asked for once, and
--   above the limit by another person than the one who approved it.
-- column account_id: ; whose, or null
-- column transfer_id: ; which refund, or null
-- column fault: ; what is wrong
WITH moves AS (
    SELECT
        t.id, t.account_id, t.kind,
        CASE WHEN w.id IS NOT NULL THEN t.amount ELSE -t.amount END AS amount
    FROM book.transfers AS t
    LEFT JOIN book.transfers AS o ON o.id = t.linked_id AND t.kind = 'reversal'
    LEFT JOIN book.ledger_accounts AS w
        ON w.id = t.credit_id AND w.account_id = t.account_id AND w.name LIKE 'wallet:%'
    LEFT JOIN book.ledger_accounts AS d
        ON d.id = t.debit_id AND d.account_id = t.account_id AND d.name LIKE 'wallet:%'
    -- Money that buys units touches no wallet; the units do.
    WHERE coalesce(o.kind, t.kind) IN ('topup', 'suspense_assignment', 'refund', 'unit_sale')
        AND (w.id IS NOT NULL OR d.id IS NOT NULL)
),
running AS (
    SELECT
        id, account_id, kind,
        sum(amount) OVER (PARTITION BY account_id ORDER BY id ROWS UNBOUNDED PRECEDING) AS cash
    FROM moves
),
uses AS (SELECT transfer_id, count(*) AS times FROM book.refunds WHERE transfer_id IS NOT NULL GROUP BY transfer_id),
transfers AS (SELECT id, account_id, amount FROM book.transfers WHERE kind = 'refund'),
-- What units were bought for.
worth AS (
    SELECT
        u.refund_id,
        sum(CAST(CAST(u.units AS DECIMAL(19, 0)) * CAST(s.price AS DECIMAL(19, 0)) * 0.000000001 AS DECIMAL(38, 9))) AS amount
    FROM book.unit_refunds AS u
    JOIN book.unit_sales AS s ON s.id = u.sale_id
    GROUP BY u.refund_id
)
SELECT account_id, id AS transfer_id, 'more was refunded than paid in' AS fault
FROM running
WHERE kind = 'refund' AND cash < 0
UNION ALL
SELECT
    coalesce(t.account_id, r.account_id),
    coalesce(t.id, r.transfer_id),
    CASE
        WHEN r.id IS NULL THEN 'a refund that nobody asked for'
        WHEN r.state NOT IN ('requested', 'paid', 'rejected', 'reversed') THEN 'its state is unknown'
        WHEN r.state IN ('requested', 'rejected') THEN 'it is not to be paid and has a transfer'
        WHEN t.id IS NULL THEN 'it was paid without a transfer'
        WHEN t.amount <> r.amount OR t.account_id <> r.account_id THEN 'its transfer has another amount or account'
        WHEN u.times > 1 THEN 'its transfer paid several refunds'
        ELSE 'nobody else approved it'
    END
FROM book.refunds AS r
FULL OUTER JOIN transfers AS t ON t.id = r.transfer_id
LEFT JOIN uses AS u ON u.transfer_id = r.transfer_id
LEFT JOIN worth AS m ON m.refund_id = r.id
WHERE r.id IS NULL
    OR r.state NOT IN ('requested', 'paid', 'rejected', 'reversed')
    OR (r.state IN ('requested', 'rejected') AND r.transfer_id IS NOT NULL)
    OR (r.state IN ('paid', 'reversed') AND (t.id IS NULL OR t.amount <> r.amount OR t.account_id <> r.account_id OR u.times > 1
        OR r.decided_by IS NULL OR (coalesce(m.amount, r.amount) > r.approval_above AND r.decided_by = r.proposed_by)))
