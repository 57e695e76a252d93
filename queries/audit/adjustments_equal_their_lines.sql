-- purpose: Each adjustment equals its lines; exactly those of an approved one are charged, under the number that posted them.
-- column adjustment_id: ; which
-- column state: ; pending, approved or rejected
-- column difference: currency; as proposed
-- column lines: currency; what its lines sum to
-- column charged: currency; what the charges under its numbers sum to
WITH lines AS (
    SELECT adjustment_id, sum(amount) AS amount, count(nullif(transfer_id, 0)) AS posted, count(*) AS lines
    FROM book.adjustment_lines
    GROUP BY adjustment_id
),
numbers AS (SELECT DISTINCT adjustment_id, transfer_id FROM book.adjustment_lines WHERE transfer_id <> 0),
charged AS (
    SELECT n.adjustment_id, sum(c.amount) AS amount
    FROM numbers AS n
    JOIN lake.charges AS c ON c.transfer_id = n.transfer_id
    GROUP BY n.adjustment_id
)
SELECT a.id AS adjustment_id, a.state, a.difference, l.amount AS lines, c.amount AS charged
FROM book.adjustments AS a
LEFT JOIN lines AS l ON l.adjustment_id = a.id
LEFT JOIN charged AS c ON c.adjustment_id = a.id
WHERE a.state <> 'superseded' AND (
    coalesce(l.amount, 0) <> a.difference
    OR (a.state = 'approved' AND (l.posted <> l.lines OR coalesce(c.amount, 0) <> a.difference))
    OR (a.state <> 'approved' AND l.posted > 0))
