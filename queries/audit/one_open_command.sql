-- purpose: A meter has at most one open command, and a command that ended is not open.
-- column meter_id: ; which
-- column open_commands: ; how many
-- column ended: ; how many of them have ended
SELECT meter_id, count(*) AS open_commands, count(ended_at) AS ended
FROM book.commands
WHERE open
GROUP BY meter_id
HAVING count(*) > 1 OR count(ended_at) > 0
