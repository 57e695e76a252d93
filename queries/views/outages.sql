-- title: Outages | 停电记录
-- purpose: When a meter had no supply, as people stated it: a run of zeros. What an interval around it measured flowed
--   outside it.
-- column outage_id: ; its number
-- column meter: ; serial number
-- column from_time: UTC; the first moment without supply
-- column to_time: UTC; the first moment with it again
-- column reason: ; why
-- column actor: ; who said so
-- column recorded_at: UTC; when
-- column withdrawn_at: UTC; when somebody said that it was none; null while it stands
-- column withdrawn_by: ; who
SELECT
    o.id AS outage_id, m.serial AS meter, o.from_time, o.to_time, o.reason, o.actor, o.recorded_at, o.withdrawn_at,
    o.withdrawn_by
FROM book.outages AS o
JOIN book.meters AS m ON m.id = o.meter_id
