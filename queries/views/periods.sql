-- title: Periods | 账期
-- purpose: The months of each site that were reviewed or closed. A month without a row is open; all months up to the last
--   closed one are closed.
-- column site: ; the property
-- column month: ; first day of the local month
-- column state: ; open (again), review or closed
-- column changed_at: UTC; since when
-- column actor: ; who changed it
-- column reason: ; why, where it was opened again
SELECT
    s.name AS site,
    make_date(CAST(p.local_month / 12 AS INT), CAST(p.local_month % 12 + 1 AS INT), 1) AS month,
    p.state,
    p.changed_at,
    p.actor,
    p.reason
FROM book.periods AS p
JOIN book.sites AS s ON s.id = p.site_id
