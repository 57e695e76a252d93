-- purpose: Each transfer that posted usage or adjusted it equals the charge lines that name it, of the same account; a line that costs something
--   names a transfer that exists.
-- column transfer_id: ; which
-- column account_id: ; of the transfer or of its lines
-- column posted: currency; what the transfer takes from the wallet
-- column lines: currency; what its lines sum to
WITH lines AS (
    SELECT transfer_id, account_id, sum(amount) AS amount FROM lake.charges WHERE transfer_id <> 0 GROUP BY transfer_id, account_id
),
posted AS (
    SELECT t.id, t.account_id, CASE WHEN d.account_id IS NOT NULL THEN t.amount ELSE -t.amount END AS amount
    FROM book.transfers AS t
    LEFT JOIN book.ledger_accounts AS d ON d.id = t.debit_id
    WHERE t.kind IN ('usage', 'usage_difference') OR t.id IN (SELECT transfer_id FROM book.adjustment_lines)
)
SELECT
    coalesce(p.id, l.transfer_id) AS transfer_id,
    coalesce(p.account_id, l.account_id) AS account_id,
    p.amount AS posted,
    l.amount AS lines
FROM posted AS p
FULL OUTER JOIN lines AS l ON l.transfer_id = p.id AND l.account_id = p.account_id
WHERE coalesce(p.amount, 0) <> coalesce(l.amount, 0)
