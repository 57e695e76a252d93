-- title: Refunds | 退款
-- purpose: Money given back to customers, and requests for it that wait for a second person.
-- column refund_id: ; its number
-- column account: ; from whose wallet
-- column amount: currency; how much
-- column currency: ; of the amount: kWh or m3 where the account buys units; approval_above is money
-- column channel: ; how it is paid
-- column reason: ; why
-- column state: ; requested, paid, rejected or reversed
-- column approval_above: currency; the site's refund_limit at the time: above it a second person approves
-- column proposed_by: ; who asked for it
-- column proposed_at: UTC; asked
-- column decided_by: ; who paid, approved or rejected it, or null
-- column decided_at: UTC; decided, or null
-- column transfer_id: ; the transfer that paid it, or null
SELECT
    r.id AS refund_id, a.name AS account, r.amount, coalesce(u.unit, s.currency) AS currency, r.channel, r.reason, r.state, r.approval_above,
    r.proposed_by, r.proposed_at, r.decided_by, r.decided_at, r.transfer_id
FROM book.refunds AS r
JOIN book.accounts AS a ON a.id = r.account_id
JOIN book.sites AS s ON s.id = a.site_id
LEFT JOIN book.unit_accounts AS u ON u.id = a.id
