-- title: Holds | 冻结
-- purpose: Money set aside in wallets. While a hold stands, it is not part of the balance.
-- column hold_id: ; its number
-- column account: ; whose wallet
-- column amount: currency; how much
-- column currency: ; of the amount: kWh or m3 where the account buys units
-- column reason: ; why
-- column state: ; held, captured, released or expired
-- column placed_at: UTC; placed
-- column expires_at: UTC; when it expires by itself, or null
-- column ended_at: UTC; captured, released or expired, or null
-- column captured: currency; what was taken of it, or null
-- column transfer_id: ; the transfer that took it, or null
-- column actor: ; who placed it
SELECT
    h.id AS hold_id, a.name AS account, h.amount, coalesce(u.unit, s.currency) AS currency, h.reason, h.state, h.placed_at, h.expires_at, h.ended_at,
    h.captured, h.transfer_id, h.actor
FROM book.holds AS h
JOIN book.accounts AS a ON a.id = h.account_id
JOIN book.sites AS s ON s.id = a.site_id
LEFT JOIN book.unit_accounts AS u ON u.id = a.id
