-- title: Adjustments | 调整
-- purpose: What a closed month should have cost more or less, with who proposed and who decided it.
-- column adjustment_id: ; its number
-- column account: ; whose wallet
-- column utility: ; electricity, water, gas or heat
-- column month: ; first day of the closed month
-- column state: ; pending, approved, rejected, or superseded by one that includes it
-- column cause: ; late, apply, correction or rerate
-- column detail: ; in words
-- column difference: currency; what the account owes more; below zero in its favour
-- column currency: ; of the difference: kWh or m3 where the account buys units
-- column proposed_by: ; who brought it about
-- column proposed_at: UTC; when
-- column decided_by: ; who decided, adjustment_limit where nobody had to
-- column decided_at: UTC; when
-- column reason: ; why it was decided so
-- column posted_date: ; the local day on which it was posted: it shows in that month's statement
-- column superseded_by: ; the adjustment that includes it
SELECT
    a.id AS adjustment_id,
    c.name AS account,
    a.utility,
    make_date(CAST(a.local_month / 12 AS INT), CAST(a.local_month % 12 + 1 AS INT), 1) AS month,
    a.state,
    a.cause,
    a.detail,
    a.difference,
    coalesce(u.unit, s.currency) AS currency,
    a.actor AS proposed_by,
    a.proposed_at,
    a.decided_by,
    a.decided_at,
    a.reason,
    a.posted_date,
    a.superseded_by
FROM book.adjustments AS a
JOIN book.accounts AS c ON c.id = a.account_id
JOIN book.sites AS s ON s.id = c.site_id
LEFT JOIN book.unit_accounts AS u ON u.id = c.id
