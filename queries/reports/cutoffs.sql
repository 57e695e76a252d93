-- title: Cut-offs and reconnections | 停复供记录
-- purpose: Every relay or valve command of the period with its end.
-- period: month
-- parameter from: first local day
-- parameter to: last local day
-- column created_at: UTC; created
-- column account: ; account
-- column holder: ; holder
-- column meter: ; meter
-- column action: ; open cuts off, close reconnects
-- column state: ; how it ended
-- column reason: ; why
-- column actor: ; who
-- column sent_at: UTC; sent
-- column ended_at: UTC; ended
-- column attempts: ; attempts
SELECT
    c.created_at, c.account, a.holder, c.meter, c.action, c.state, c.reason, c.actor, c.sent_at, c.ended_at, c.attempts
FROM commands AS c
JOIN accounts AS a ON a.account = c.account
JOIN site_days AS d ON d.site = a.site AND d.local_date BETWEEN $from AND $to
    AND c.created_at >= d.utc_start AND c.created_at < d.utc_end
ORDER BY c.created_at, c.command_id
