-- title: Payments | 充值
-- purpose: Money that customers paid in, with its state; what it bought where an account is kept in units: unit_sales.
-- column payment_key: ; the client's key, unique for ever
-- column account: ; who is credited
-- column channel: ; cash, or a provider's channel
-- column provider: ; who took the money
-- column provider_transaction: ; its number there
-- column amount: currency; how much
-- column currency: ; of the amount
-- column state: ; created, pending, posted, voided or expired
-- column created_at: UTC; entered
-- column posted_at: UTC; posted, or null
-- column transfer_id: ; the transfer that posted it, or null
-- column actor: ; who entered it
SELECT
    y.key AS payment_key,
    a.name AS account,
    y.channel,
    y.provider,
    y.provider_transaction,
    y.amount,
    s.currency,
    y.state,
    y.created_at,
    y.posted_at,
    y.transfer_id,
    y.actor
FROM book.payments AS y
JOIN book.accounts AS a ON a.id = y.account_id
JOIN book.sites AS s ON s.id = a.site_id
