-- title: Accounts | 账户
-- purpose: Customers' contracts and wallets.
-- column account: ; its name
-- column holder: ; who holds it
-- column site: ; the property
-- column kind: ; prepaid or postpaid
-- column policy: ; the cut-off policy's name
-- column location: ; room or area
-- column currency: ; what its wallet is kept in: the site's currency, or kWh or m3 where it buys units
-- column credit_limit: currency; how far below zero it may go
-- column cutoff_enabled: ; whether it may be cut off at all
-- column protected: ; why it is never cut off, or null
-- column opened_at: UTC; opened
-- column closed_at: UTC; closed, or null
SELECT
    a.name AS account,
    a.holder,
    s.name AS site,
    a.kind,
    y.name AS policy,
    l.name AS location,
    coalesce(u.unit, s.currency) AS currency,
    a.credit_limit,
    a.cutoff_enabled,
    a.protected,
    a.opened_at,
    a.closed_at
FROM book.accounts AS a
JOIN book.sites AS s ON s.id = a.site_id
LEFT JOIN book.unit_accounts AS u ON u.id = a.id
LEFT JOIN book.policies AS y ON y.id = a.policy_id
LEFT JOIN book.locations AS l ON l.id = a.location_id
