-- purpose: Of each service point that always had a contract, the charges add up to the intervals: no energy is lost, none is
--   charged twice. What waits for approval, or was rejected, in a closed month counts too.
-- column service_point_id: ; which
-- column intervals: kWh, m3 or GJ; what was used
-- column charges: kWh, m3 or GJ; what was charged
WITH used AS (
    SELECT i.service_point_id, i.epoch_id, i.start_time, i.end_time, i.quantity, count(c.id) AS contracts
    FROM book.contracts AS c
    RIGHT JOIN intervals AS i ON c.service_point_id = i.service_point_id AND c.superseded_at IS NULL
        AND c.valid_from <= i.start_time AND (c.valid_to IS NULL OR i.end_time <= c.valid_to)
    GROUP BY i.service_point_id, i.epoch_id, i.start_time, i.end_time, i.quantity
),
totals AS (
    SELECT service_point_id, sum(quantity) AS quantity, min(contracts) AS contracts FROM used GROUP BY service_point_id
),
due AS (
    SELECT service_point_id, quantity FROM lake.charges WHERE component = 'energy'
    UNION ALL
    SELECT l.service_point_id, l.quantity
    FROM book.adjustments AS a
    JOIN book.adjustment_lines AS l ON l.adjustment_id = a.id
    WHERE l.component = 'energy' AND a.state IN ('pending', 'rejected')
),
charged AS (
    SELECT service_point_id, CAST(sum(CAST(quantity AS DECIMAL(38, 0))) * 0.001 AS DECIMAL(38, 3)) AS quantity
    FROM due
    GROUP BY service_point_id
)
SELECT
    coalesce(u.service_point_id, c.service_point_id) AS service_point_id,
    u.quantity AS intervals,
    c.quantity AS charges
FROM totals AS u
FULL OUTER JOIN charged AS c ON c.service_point_id = u.service_point_id
WHERE coalesce(u.contracts, 1) > 0 AND coalesce(u.quantity, 0) <> coalesce(c.quantity, 0)
