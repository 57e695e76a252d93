-- purpose: Of each gap (an interval of more than two hours, its outages left out) and of each interval with a stated outage in
--   it, the slots of book.divided_intervals are what plain SQL makes of the readings before: each hour of the gap has the share
--   that the same hour of the clock has on the like days (workday, weekend, holiday) among the 21 before, three at least, each
--   covered from midnight to midnight by intervals of up to two hours; rounded down, the remainder in the last slot. Where
--   there is no such shape, there is no slot, or one for each stretch around the outages.
-- column service_point_id: ; which
-- column epoch_id: ; which installation
-- column to_time: microseconds UTC; where the interval ends
-- column slot_from: microseconds UTC; where the slot begins
-- column expected: 1/1000 kWh or m3; what the like days give
-- column found: 1/1000 kWh or m3; what was allocated
-- column expected_allocation: ; profile or linear
-- column found_allocation: ; as the book says
WITH installed AS (
    SELECT e.id, e.meter_id, CAST(e.valid_from AS BIGINT) AS valid_from, p.site_id
    FROM book.epochs AS e
    JOIN book.service_points AS p ON p.id = e.service_point_id
),
-- Outages that touch or overlap are one.
stated AS (
    SELECT
        meter_id, CAST(from_time AS BIGINT) AS out_from, CAST(to_time AS BIGINT) AS out_to,
        max(CAST(to_time AS BIGINT)) OVER (
            PARTITION BY meter_id ORDER BY from_time, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS dark_until
    FROM book.outages
    WHERE withdrawn_at IS NULL
),
islands AS (
    SELECT
        meter_id, out_from, out_to,
        sum(CASE WHEN dark_until >= out_from THEN 0 ELSE 1 END) OVER (
            PARTITION BY meter_id ORDER BY out_from, out_to ROWS UNBOUNDED PRECEDING) AS island
    FROM stated
),
outages AS (
    SELECT meter_id, min(out_from) AS out_from, max(out_to) AS out_to FROM islands GROUP BY meter_id, island
),
marked AS (
    SELECT
        service_point_id, epoch_id, CAST(start_time AS BIGINT) AS start_us, CAST(end_time AS BIGINT) AS end_us,
        CAST(quantity * 1000 AS DECIMAL(38, 0)) AS quantity
    FROM intervals
),
-- Service points with a gap, an outage, or a slot: all others have nothing to prove.
wanted AS (
    SELECT DISTINCT service_point_id FROM marked WHERE end_us - start_us > 7200000000 AND quantity > 0
    UNION
    SELECT service_point_id FROM book.divided_intervals
    UNION
    SELECT e.service_point_id FROM book.epochs AS e JOIN outages AS o ON o.meter_id = e.meter_id
),
spans AS (
    SELECT
        m.service_point_id, m.epoch_id, e.meter_id, e.site_id, m.start_us, m.end_us, m.quantity,
        greatest(m.start_us, e.valid_from) AS begin_us
    FROM wanted AS w
    JOIN marked AS m ON m.service_point_id = w.service_point_id
    JOIN installed AS e ON e.id = m.epoch_id
    WHERE m.start_us < m.end_us
),
dark AS (
    SELECT
        s.epoch_id, s.start_us, s.end_us, greatest(o.out_from, s.start_us) AS dark_from, least(o.out_to, s.end_us) AS dark_to
    FROM outages AS o
    JOIN spans AS s ON s.meter_id = o.meter_id AND o.out_from < s.end_us AND s.start_us < o.out_to
),
-- An interval wholly within an outage, in which something flowed all the same, contradicts it.
lit AS (
    SELECT epoch_id, start_us, end_us, end_us - start_us - sum(dark_to - dark_from) AS live_us
    FROM dark
    GROUP BY epoch_id, start_us, end_us
    HAVING end_us - start_us > sum(dark_to - dark_from)
),
measured AS (
    SELECT s.*, coalesce(l.live_us, s.end_us - s.start_us) AS live_us, l.live_us IS NOT NULL AS is_touched
    FROM lit AS l
    RIGHT JOIN spans AS s ON s.epoch_id = l.epoch_id AND s.start_us = l.start_us AND s.end_us = l.end_us
),
around AS (
    SELECT epoch_id, start_us, end_us, dark_from, dark_to, true AS is_dark FROM dark
    UNION ALL
    SELECT
        epoch_id, start_us, end_us,
        coalesce(lag(dark_to) OVER (PARTITION BY epoch_id, start_us, end_us ORDER BY dark_from), start_us), dark_from, false
    FROM dark
    UNION ALL
    SELECT epoch_id, start_us, end_us, max(dark_to), end_us, false FROM dark GROUP BY epoch_id, start_us, end_us
),
-- Each interval in its stretches with supply and without; what it measured is divided over those with, by time.
stretches AS (
    SELECT
        m.service_point_id, m.epoch_id, m.start_us, m.end_us, m.quantity AS total, a.dark_from AS piece_from,
        a.dark_to AS piece_to, a.is_dark,
        CASE WHEN a.is_dark THEN CAST(0 AS DECIMAL(38, 0)) ELSE CAST((m.quantity * (a.dark_to - a.dark_from)
            - (m.quantity * (a.dark_to - a.dark_from)) % m.live_us) / m.live_us AS DECIMAL(38, 0)) END AS share,
        max(CASE WHEN NOT a.is_dark THEN a.dark_to END) OVER (PARTITION BY m.epoch_id, m.start_us, m.end_us) AS last_to
    FROM measured AS m
    JOIN around AS a ON a.epoch_id = m.epoch_id AND a.start_us = m.start_us AND a.end_us = m.end_us
    WHERE m.is_touched AND a.dark_from < a.dark_to
),
pieces AS (
    SELECT
        service_point_id, epoch_id, start_us, end_us, piece_from, piece_to, is_dark,
        CASE WHEN NOT is_dark AND piece_to = last_to
            THEN total - sum(share) OVER (PARTITION BY epoch_id, start_us, end_us) + share ELSE share END AS quantity
    FROM stretches
    UNION ALL
    SELECT service_point_id, epoch_id, start_us, end_us, start_us, end_us, false, quantity FROM measured WHERE NOT is_touched
),
gaps AS (
    SELECT * FROM measured WHERE live_us > 7200000000 AND quantity > 0
),
span AS (
    SELECT min(start_us) AS first_us, max(end_us) AS last_us FROM spans
),
days AS (
    SELECT
        d.site_id, d.local_date, d.day_type, CAST(d.utc_start AS BIGINT) AS utc_start, CAST(d.utc_end AS BIGINT) AS utc_end,
        d.wall_start, CAST(d.jump_at AS BIGINT) AS jump_at, d.jump_wall
    FROM book.site_days AS d
    CROSS JOIN span AS s
    WHERE CAST(d.utc_end AS BIGINT) > s.first_us AND CAST(d.utc_start AS BIGINT) < s.last_us
),
-- Stretches of a day in which the wall clock runs evenly, and the hours in them.
runs AS (
    SELECT site_id, local_date, day_type, utc_start AS run_from, coalesce(jump_at, utc_end) AS run_to, wall_start AS wall FROM days
    UNION ALL
    SELECT site_id, local_date, day_type, jump_at, utc_end, jump_wall FROM days WHERE jump_at IS NOT NULL
),
hours AS (
    SELECT
        site_id, local_date, day_type, hour, greatest(run_from, run_from + hour * 3600000000 - wall) AS hour_from,
        least(run_to, run_from + (hour + 1) * 3600000000 - wall) AS hour_to
    FROM (SELECT *, unnest(range(0, 24)) AS hour FROM runs)
),
-- Found by the hours of UTC that they touch.
keyed_hours AS (
    SELECT *, unnest(range(hour_from / 3600000000, (hour_to - 1) / 3600000000 + 1)) AS utc_hour
    FROM hours
    WHERE hour_from < hour_to
),
-- Of meters side by side each moment is covered once.
fine AS (
    SELECT
        service_point_id, epoch_id, site_id, start_us, end_us,
        greatest(start_us, coalesce(lag(end_us) OVER (PARTITION BY service_point_id ORDER BY end_us, meter_id, epoch_id), start_us))
            AS fresh_us
    FROM measured
    WHERE live_us <= 7200000000
),
fine_pieces AS (
    SELECT
        f.service_point_id, f.epoch_id, f.site_id, p.piece_from, p.piece_to, p.quantity, f.fresh_us,
        unnest(range(p.piece_from / 3600000000, (p.piece_to - 1) / 3600000000 + 1)) AS utc_hour
    FROM fine AS f
    JOIN pieces AS p ON p.epoch_id = f.epoch_id AND p.start_us = f.start_us AND p.end_us = f.end_us
),
fine_parts AS (
    SELECT
        p.service_point_id, p.epoch_id, p.piece_from, p.piece_to, p.quantity, h.local_date, h.day_type, h.hour,
        least(p.piece_to, h.hour_to) = p.piece_to AS is_last,
        greatest(least(p.piece_to, h.hour_to) - greatest(p.piece_from, h.hour_from, p.fresh_us), 0) AS covered,
        CAST((p.quantity * (least(p.piece_to, h.hour_to) - greatest(p.piece_from, h.hour_from))
            - (p.quantity * (least(p.piece_to, h.hour_to) - greatest(p.piece_from, h.hour_from))) % (p.piece_to - p.piece_from))
            / (p.piece_to - p.piece_from) AS DECIMAL(38, 0)) AS share
    FROM keyed_hours AS h
    JOIN fine_pieces AS p ON p.site_id = h.site_id AND p.utc_hour = h.utc_hour
    WHERE greatest(p.piece_from, h.hour_from) < least(p.piece_to, h.hour_to)
        -- Both may touch several hours: met on the first one only.
        AND p.utc_hour = greatest(p.piece_from / 3600000000, h.hour_from / 3600000000)
),
by_hour AS (
    SELECT service_point_id, local_date, day_type, hour, sum(covered) AS covered, sum(quantity) AS quantity
    FROM (
        SELECT
            service_point_id, local_date, day_type, hour, covered,
            CASE WHEN is_last
                THEN quantity - sum(share) OVER (PARTITION BY service_point_id, epoch_id, piece_from, piece_to) + share
                ELSE share END AS quantity
        FROM fine_parts
    )
    GROUP BY service_point_id, local_date, day_type, hour
),
whole_days AS (
    SELECT b.service_point_id, b.local_date, b.day_type
    FROM by_hour AS b
    JOIN book.service_points AS p ON p.id = b.service_point_id
    JOIN days AS d ON d.site_id = p.site_id AND d.local_date = b.local_date
    GROUP BY b.service_point_id, b.local_date, b.day_type, d.utc_start, d.utc_end
    HAVING sum(b.covered) = d.utc_end - d.utc_start
),
-- The hours of each gap.
gap_pieces AS (
    SELECT
        g.service_point_id, g.epoch_id, g.site_id, g.start_us, g.end_us, d.local_date AS begin_date, g.quantity, p.piece_from, p.piece_to,
        unnest(range(p.piece_from / 3600000000, (p.piece_to - 1) / 3600000000 + 1)) AS utc_hour
    FROM gaps AS g
    JOIN days AS d ON d.site_id = g.site_id AND d.utc_start <= g.begin_us AND g.begin_us < d.utc_end
    JOIN pieces AS p ON p.epoch_id = g.epoch_id AND p.start_us = g.start_us AND p.end_us = g.end_us
    WHERE NOT p.is_dark
),
gap_hours AS (
    SELECT
        g.service_point_id, g.epoch_id, g.start_us, g.end_us, g.begin_date, g.quantity, h.day_type, h.hour,
        greatest(g.piece_from, h.hour_from) AS slot_from, least(g.piece_to, h.hour_to) AS slot_to
    FROM keyed_hours AS h
    JOIN gap_pieces AS g ON g.site_id = h.site_id AND g.utc_hour = h.utc_hour
    WHERE greatest(g.piece_from, h.hour_from) < least(g.piece_to, h.hour_to)
        AND g.utc_hour = greatest(g.piece_from / 3600000000, h.hour_from / 3600000000)
),
asked AS (
    SELECT DISTINCT service_point_id, begin_date, day_type FROM gap_hours
),
like_days AS (
    SELECT a.service_point_id, a.begin_date, a.day_type, w.local_date
    FROM asked AS a
    JOIN whole_days AS w ON w.service_point_id = a.service_point_id AND w.day_type = a.day_type
        AND w.local_date < a.begin_date AND w.local_date >= a.begin_date - INTERVAL '21 days'
),
counts AS (
    SELECT service_point_id, begin_date, day_type, CAST(count(*) AS BIGINT) AS like_days
    FROM like_days
    GROUP BY service_point_id, begin_date, day_type
),
sums AS (
    SELECT l.service_point_id, l.begin_date, l.day_type, b.hour, sum(b.quantity) AS quantity
    FROM like_days AS l
    JOIN by_hour AS b ON b.service_point_id = l.service_point_id AND b.local_date = l.local_date
    GROUP BY l.service_point_id, l.begin_date, l.day_type, b.hour
),
shapes AS (
    SELECT
        s.service_point_id, s.begin_date, s.day_type, s.hour,
        CAST((s.quantity * 1000 - (s.quantity * 1000) % c.like_days) / c.like_days AS DECIMAL(38, 0)) AS average,
        min(s.quantity) OVER (PARTITION BY s.service_point_id, s.begin_date, s.day_type) AS least_of_all
    FROM counts AS c
    JOIN sums AS s ON s.service_point_id = c.service_point_id AND s.begin_date = c.begin_date AND s.day_type = c.day_type
    WHERE c.like_days >= 3
),
weighed AS (
    SELECT
        g.*, s.average IS NULL OR s.least_of_all < 0 AS is_shapeless,
        CAST((s.average * (g.slot_to - g.slot_from) - (s.average * (g.slot_to - g.slot_from)) % 3600000000) / 3600000000
            AS DECIMAL(38, 0)) AS weight
    FROM shapes AS s
    RIGHT JOIN gap_hours AS g ON s.service_point_id = g.service_point_id AND s.begin_date = g.begin_date
        AND s.day_type = g.day_type AND s.hour = g.hour
),
shaped AS (
    SELECT
        *,
        bool_or(is_shapeless) OVER (PARTITION BY epoch_id, start_us, end_us) AS any_shapeless,
        CAST(sum(weight) OVER (PARTITION BY epoch_id, start_us, end_us) AS DECIMAL(38, 0)) AS weights,
        max(slot_to) OVER (PARTITION BY epoch_id, start_us, end_us) AS last_to
    FROM weighed
),
profiled AS (
    SELECT
        service_point_id, epoch_id, start_us, end_us, slot_from, slot_to, quantity AS total, slot_to = last_to AS is_last,
        CAST((quantity * weight - (quantity * weight) % weights) / weights AS DECIMAL(38, 0)) AS share
    FROM shaped
    WHERE NOT any_shapeless AND weights > 0
),
expected AS (
    SELECT
        service_point_id, epoch_id, end_us, slot_from, slot_to,
        CASE WHEN is_last THEN total - sum(share) OVER (PARTITION BY epoch_id, start_us, end_us) + share ELSE share END AS quantity,
        'profile' AS allocation
    FROM profiled
    UNION ALL
    SELECT p.service_point_id, p.epoch_id, p.end_us, p.piece_from, p.piece_to, p.quantity, 'linear'
    FROM (SELECT DISTINCT epoch_id, end_us FROM profiled) AS o
    RIGHT JOIN pieces AS p ON o.epoch_id = p.epoch_id AND o.end_us = p.end_us
    JOIN measured AS m ON m.epoch_id = p.epoch_id AND m.start_us = p.start_us AND m.end_us = p.end_us
    WHERE m.is_touched AND m.quantity <> 0 AND NOT p.is_dark AND o.epoch_id IS NULL
),
found AS (
    SELECT
        service_point_id, epoch_id, CAST(to_time AS BIGINT) AS end_us, CAST(slot_from AS BIGINT) AS slot_from,
        CAST(slot_to AS BIGINT) AS slot_to, CAST(quantity AS DECIMAL(38, 0)) AS quantity, allocation
    FROM book.divided_intervals
)
SELECT
    coalesce(e.service_point_id, f.service_point_id) AS service_point_id,
    coalesce(e.epoch_id, f.epoch_id) AS epoch_id,
    coalesce(e.end_us, f.end_us) AS to_time,
    coalesce(e.slot_from, f.slot_from) AS slot_from,
    e.quantity AS expected,
    f.quantity AS found,
    e.allocation AS expected_allocation,
    f.allocation AS found_allocation
FROM expected AS e
FULL OUTER JOIN found AS f ON f.epoch_id = e.epoch_id AND f.end_us = e.end_us AND f.slot_from = e.slot_from
WHERE e.quantity IS DISTINCT FROM f.quantity OR e.slot_to IS DISTINCT FROM f.slot_to
    OR e.allocation IS DISTINCT FROM f.allocation
