-- title: Supplies kept on | 保电
-- purpose: Whose power stays on until a moment, whatever they owe, as people said it.
-- column keep_id: ; its number
-- column account: ; whose
-- column from_time: UTC; when it was said
-- column until_time: UTC; until when
-- column reason: ; why
-- column actor: ; who said so
-- column ended_at: UTC; when somebody ended it or said something else; null where nobody did
-- column ended_by: ; who
-- column stands: ; true while it holds cuts
SELECT
    k.id AS keep_id, a.name AS account, k.from_time, k.until_time, k.reason, k.actor, k.ended_at, k.ended_by,
    k.ended_at IS NULL AND k.until_time > now() AS stands
FROM book.keep_power AS k
JOIN book.accounts AS a ON a.id = k.account_id
