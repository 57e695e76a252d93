-- title: Suspense | 待认领款项
-- purpose: Money that came in without a known owner, and what became of it.
-- column payment_key: ; the client's key under which it came
-- column payer: ; what was written on it
-- column amount: currency; how much
-- column currency: ; of the amount
-- column channel: ; how it came
-- column state: ; open, assigned or reversed
-- column received_at: UTC; received
-- column transfer_id: ; the transfer that received it
-- column account: ; its owner, once found
-- column assigned_at: UTC; given to its owner, or null
-- column assignment_id: ; the transfer that gave it, or null
-- column actor: ; who took it in
SELECT
    u.key AS payment_key, u.payer, u.amount, u.currency, u.channel, u.state, u.received_at, u.transfer_id,
    a.name AS account, u.assigned_at, u.assignment_id, u.actor
FROM book.suspense AS u
LEFT JOIN book.accounts AS a ON a.id = u.account_id
