-- purpose: Every movement of money that somebody ordered has one key, which is kept with its result.
-- column key: ; which key, or null
-- column transfer_id: ; which transfer, or null
-- column fault: ; what is wrong
WITH ordered AS (
    -- What money bought follows its payment, and is undone with it.
    SELECT t.id, t.kind
    FROM book.transfers AS t
    LEFT JOIN book.transfers AS o ON o.id = t.linked_id AND o.kind IN ('unit_sale', 'unit_refund')
    WHERE t.kind IN ('topup', 'bonus', 'capture', 'reversal', 'suspense', 'suspense_assignment') AND o.id IS NULL
),
kept AS (SELECT key, kind, content_hash, transfer_id, subject_id FROM book.money_keys),
uses AS (SELECT transfer_id, count(*) AS times FROM kept WHERE transfer_id IS NOT NULL GROUP BY transfer_id)
SELECT
    k.key,
    coalesce(o.id, k.transfer_id) AS transfer_id,
    CASE
        WHEN k.key IS NULL THEN 'a movement without a key'
        WHEN o.kind <> replace(k.kind, 'hold_capture', 'capture') THEN 'its key is of another kind'
        ELSE 'its transfer has several keys'
    END AS fault
FROM ordered AS o
LEFT JOIN kept AS k ON k.transfer_id = o.id
LEFT JOIN uses AS u ON u.transfer_id = o.id
WHERE k.key IS NULL OR o.kind <> replace(k.kind, 'hold_capture', 'capture') OR u.times > 1
UNION ALL
SELECT k.key, k.transfer_id, 'its transfer does not exist'
FROM kept AS k
LEFT JOIN book.transfers AS t ON t.id = k.transfer_id
WHERE k.transfer_id IS NOT NULL AND t.id IS NULL
UNION ALL
SELECT y.key, y.transfer_id, 'a payment whose key is kept with another result'
FROM book.payments AS y
LEFT JOIN kept AS k ON k.key = y.key
WHERE k.key IS NULL OR k.kind <> 'topup' OR coalesce(k.transfer_id, 0) <> coalesce(y.transfer_id, 0)
UNION ALL
SELECT k.key, k.transfer_id, 'its content is not kept'
FROM kept AS k
WHERE character_length(k.content_hash) <> 64 AND (k.kind <> 'topup' OR k.content_hash <> '')
UNION ALL
SELECT k.key, r.transfer_id, 'a refund with several keys, or none'
FROM book.refunds AS r
LEFT JOIN (SELECT min(key) AS key, subject_id, count(*) AS times FROM kept WHERE kind IN ('refund', 'closing') GROUP BY subject_id) AS k
    ON k.subject_id = r.id
WHERE k.times IS NULL OR k.times <> 1
