-- purpose: A meter has at most one counting reading at a moment.
-- column meter_id: ; which
-- column time: UTC; when
-- column readings: ; how many
SELECT meter_id, time, count(*) AS readings
FROM lake.readings
WHERE verdict IN (1, 2, 3)
GROUP BY meter_id, time
HAVING count(*) > 1
