-- title: Relay commands | 通断指令
-- purpose: Every relay or valve command with its end. A command is not an effect: see observed in supply_states.
-- column command_id: ; its number
-- column meter: ; serial number
-- column account: ; who is supplied
-- column action: ; open or close
-- column state: ; created, approved, queued, sent, acknowledged, verified, acknowledged_without_load_proof, contradicted,
--   failed, timed_out or cancelled
-- column is_open: ; true until it ends
-- column reason: ; why
-- column actor: ; who
-- column created_at: UTC; created
-- column expires_at: UTC; not sent after this
-- column sent_at: UTC; sent, or null
-- column ended_at: UTC; ended, or null
-- column attempts: ; how often it was sent
SELECT
    c.id AS command_id, m.serial AS meter, a.name AS account, c.action, c.state, c.open AS is_open, c.reason, c.actor,
    c.created_at, c.expires_at, c.sent_at, c.ended_at, c.attempts
FROM book.commands AS c
JOIN book.meters AS m ON m.id = c.meter_id
LEFT JOIN book.accounts AS a ON a.id = c.account_id
