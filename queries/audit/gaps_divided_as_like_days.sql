-- purpose: Of each gap (an interval of more than two hours, its outages left out) the slots of book.divided_intervals are what
--   plain SQL makes of the readings before: each hour of the gap has the share that the same hour of the clock has on the like
--   days (workday, weekend, holiday) among the 21 before, three at least, each covered from midnight to midnight by intervals
--   of up to two hours; rounded down, the remainder in the last slot. Where an hour has no such days, or nothing flowed on them,
--   no slot is a profile: what is divided by time is divided_intervals_add_up's and charges_equal_intervals_by_band's.
-- column service_point_id: ; which
-- column epoch_id: ; which installation
-- column to_time: microseconds UTC; where the gap ends
-- column slot_from: microseconds UTC; where the slot begins
-- column expected: 1/1000 kWh or m3; what the like days give
-- column found: 1/1000 kWh or m3; what was allocated
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
-- Service points with a gap, or that are said to have had one: all others have nothing to prove.
wanted AS (
    SELECT DISTINCT service_point_id
    FROM intervals
    WHERE CAST(end_time AS BIGINT) - CAST(start_time AS BIGINT) > 7200000000 AND quantity > 0
    UNION
    SELECT service_point_id FROM book.divided_intervals
),
spans AS (
    SELECT
        i.service_point_id, i.epoch_id, e.meter_id, e.site_id, CAST(i.start_time AS BIGINT) AS start_us,
        CAST(i.end_time AS BIGINT) AS end_us, CAST(i.quantity * 1000 AS DECIMAL(38, 0)) AS quantity,
        greatest(CAST(i.start_time AS BIGINT), e.valid_from) AS begin_us
    FROM wanted AS w
    JOIN intervals AS i ON i.service_point_id = w.service_point_id
    JOIN installed AS e ON e.id = i.epoch_id
    WHERE i.start_time < i.end_time
),
-- An interval wholly within an outage, in which something flowed all the same, contradicts it.
dimmed AS (
    SELECT
        s.service_point_id, s.epoch_id, s.meter_id, s.site_id, s.start_us, s.end_us, s.quantity, s.begin_us,
        coalesce(sum(CASE WHEN o.out_from IS NOT NULL THEN least(o.out_to, s.end_us) - greatest(o.out_from, s.start_us) END), 0)
            AS dark_us
    FROM outages AS o
    RIGHT JOIN spans AS s ON s.meter_id = o.meter_id AND o.out_from < s.end_us AND s.start_us < o.out_to
    GROUP BY s.service_point_id, s.epoch_id, s.meter_id, s.site_id, s.start_us, s.end_us, s.quantity, s.begin_us
),
lit AS (
    SELECT *, CASE WHEN dark_us < end_us - start_us THEN end_us - start_us - dark_us ELSE end_us - start_us END AS live_us
    FROM dimmed
),
-- Of meters side by side each moment is covered once.
framed AS (
    SELECT
        *, live_us <= 7200000000 AS is_fine, live_us < end_us - start_us AS is_touched,
        greatest(start_us, coalesce(lag(CASE WHEN live_us <= 7200000000 THEN end_us END) IGNORE NULLS OVER (
            PARTITION BY service_point_id ORDER BY end_us, meter_id, epoch_id), start_us)) AS fresh_us
    FROM lit
),
-- Each interval in its stretches with supply and without.
crossed AS (
    SELECT
        f.*, o.dark_from, o.dark_to,
        lag(o.dark_to) OVER (PARTITION BY f.epoch_id, f.start_us, f.end_us ORDER BY o.dark_from) AS lit_from,
        lead(o.dark_from) OVER (PARTITION BY f.epoch_id, f.start_us, f.end_us ORDER BY o.dark_from) AS next_dark
    FROM (SELECT meter_id, out_from AS dark_from, out_to AS dark_to FROM outages) AS o
    RIGHT JOIN framed AS f ON f.meter_id = o.meter_id AND f.is_touched AND o.dark_from < f.end_us AND f.start_us < o.dark_to
),
kinds AS (
    SELECT *, unnest(CASE WHEN dark_from IS NULL THEN [1] WHEN next_dark IS NULL THEN [0, 1, 2] ELSE [0, 1] END) AS kind
    FROM crossed
),
stretches AS (
    SELECT
        service_point_id, epoch_id, site_id, start_us, end_us, begin_us, quantity, live_us, fresh_us, is_fine, kind = 0 AS is_dark,
        greatest(CASE kind WHEN 0 THEN dark_from WHEN 2 THEN dark_to ELSE coalesce(lit_from, start_us) END, start_us) AS piece_from,
        least(CASE kind WHEN 0 THEN dark_to WHEN 2 THEN end_us ELSE coalesce(dark_from, end_us) END, end_us) AS piece_to
    FROM kinds
),
shared AS (
    SELECT
        *,
        CASE WHEN is_dark THEN CAST(0 AS DECIMAL(38, 0)) ELSE CAST((quantity * (piece_to - piece_from)
            - (quantity * (piece_to - piece_from)) % live_us) / live_us AS DECIMAL(38, 0)) END AS share,
        max(CASE WHEN NOT is_dark THEN piece_to END) OVER (PARTITION BY epoch_id, start_us, end_us) AS last_to
    FROM stretches
    WHERE piece_from < piece_to
),
pieces AS (
    SELECT
        *,
        CASE WHEN NOT is_dark AND piece_to = last_to
            THEN quantity - sum(share) OVER (PARTITION BY epoch_id, start_us, end_us) + share ELSE share END AS piece_quantity
    FROM shared
    WHERE is_fine OR quantity > 0
),
span AS (
    SELECT least(min(time), min(start)) AS first_time, max(time) AS last_time FROM lake.readings
),
days AS (
    SELECT
        d.site_id, d.local_date, d.day_type, CAST(d.utc_start AS BIGINT) AS utc_start, CAST(d.utc_end AS BIGINT) AS utc_end,
        d.wall_start, CAST(d.jump_at AS BIGINT) AS jump_at, d.jump_wall
    FROM book.site_days AS d
    CROSS JOIN span AS s
    -- Opening and closing counts may lie a little beyond the readings.
    WHERE d.utc_end > s.first_time - INTERVAL '400 days' AND d.utc_start < s.last_time + INTERVAL '400 days'
),
-- Stretches of a day in which the wall clock runs evenly, and the hours in them.
runs AS (
    SELECT
        site_id, local_date, day_type, utc_end - utc_start AS day_us,
        CASE WHEN stretch = 0 THEN utc_start ELSE jump_at END AS run_from,
        CASE WHEN stretch = 0 THEN coalesce(jump_at, utc_end) ELSE utc_end END AS run_to,
        CASE WHEN stretch = 0 THEN wall_start ELSE jump_wall END AS wall
    FROM (SELECT *, unnest(CASE WHEN jump_at IS NULL THEN [0] ELSE [0, 1] END) AS stretch FROM days)
),
hours AS (
    SELECT
        site_id, local_date, day_type, day_us, hour, greatest(run_from, run_from + hour * 3600000000 - wall) AS hour_from,
        least(run_to, run_from + (hour + 1) * 3600000000 - wall) AS hour_to
    FROM (SELECT *, unnest(range(0, 24)) AS hour FROM runs)
),
-- Found by the hours of UTC that they touch.
keyed_hours AS (
    SELECT *, unnest(range(hour_from / 3600000000, (hour_to - 1) / 3600000000 + 1)) AS utc_hour
    FROM hours
    WHERE hour_from < hour_to
),
keyed_pieces AS (
    SELECT *, unnest(range(piece_from / 3600000000, (piece_to - 1) / 3600000000 + 1)) AS utc_hour FROM pieces
),
parts AS (
    SELECT
        p.service_point_id, p.epoch_id, p.start_us, p.end_us, p.begin_us, p.quantity, p.is_fine, p.is_dark, p.piece_from, p.piece_to,
        p.piece_quantity, h.local_date, h.day_type, h.day_us, h.hour,
        greatest(p.piece_from, h.hour_from) AS slot_from, least(p.piece_to, h.hour_to) AS slot_to,
        greatest(least(p.piece_to, h.hour_to) - greatest(p.piece_from, h.hour_from, p.fresh_us), 0) AS covered
    FROM keyed_hours AS h
    JOIN keyed_pieces AS p ON p.site_id = h.site_id AND p.utc_hour = h.utc_hour
    WHERE greatest(p.piece_from, h.hour_from) < least(p.piece_to, h.hour_to)
        -- Both may touch several hours: met on the first one only.
        AND p.utc_hour = greatest(p.piece_from / 3600000000, h.hour_from / 3600000000)
),
portions AS (
    SELECT
        *,
        CAST((piece_quantity * (slot_to - slot_from) - (piece_quantity * (slot_to - slot_from)) % (piece_to - piece_from))
            / (piece_to - piece_from) AS DECIMAL(38, 0)) AS portion,
        max(CASE WHEN slot_from <= begin_us THEN local_date END) OVER (PARTITION BY epoch_id, start_us, end_us) AS begin_date
    FROM parts
),
-- An hour of a day, or a slot of a gap.
rows_of_hours AS (
    SELECT
        service_point_id, local_date, day_type, day_us, hour, covered,
        CASE WHEN slot_to = piece_to
            THEN piece_quantity - sum(portion) OVER (PARTITION BY epoch_id, piece_from, piece_to) + portion
            ELSE portion END AS used,
        CASE WHEN NOT is_fine THEN epoch_id END AS gap_epoch, CASE WHEN NOT is_fine THEN end_us END AS gap_end,
        CASE WHEN NOT is_fine THEN slot_from END AS slot_from, CASE WHEN NOT is_fine THEN slot_to END AS slot_to,
        CASE WHEN NOT is_fine THEN quantity END AS total, CASE WHEN NOT is_fine THEN begin_date END AS begin_date,
        NOT is_fine AND is_dark AS is_left_out
    FROM portions
),
by_hour AS (
    SELECT
        service_point_id, local_date, day_type, day_us, hour, gap_epoch, gap_end, slot_from, slot_to, total,
        CAST(CAST(coalesce(begin_date, local_date) AS INT) AS BIGINT) AS day_number,
        CAST(sum(used) AS DECIMAL(38, 0)) AS used,
        sum(CASE WHEN gap_epoch IS NULL THEN covered ELSE 0 END) AS covered
    FROM rows_of_hours
    WHERE NOT is_left_out
    GROUP BY
        service_point_id, local_date, day_type, day_us, hour, gap_epoch, gap_end, slot_from, slot_to, total, begin_date
),
covered_days AS (
    SELECT *, sum(covered) OVER (PARTITION BY service_point_id, local_date) AS day_covered FROM by_hour
),
likened AS (
    SELECT
        *,
        CAST(sum(CASE WHEN gap_epoch IS NULL THEN used ELSE 0 END) OVER (
            PARTITION BY service_point_id, day_type, hour ORDER BY day_number RANGE BETWEEN 21 PRECEDING AND 1 PRECEDING)
            AS DECIMAL(38, 0)) AS used_before,
        sum(CASE WHEN gap_epoch IS NULL THEN 1 ELSE 0 END) OVER (
            PARTITION BY service_point_id, day_type, hour ORDER BY day_number RANGE BETWEEN 21 PRECEDING AND 1 PRECEDING)
            AS like_days
    FROM covered_days
    WHERE gap_epoch IS NOT NULL OR day_covered = day_us
),
averages AS (
    SELECT
        *, coalesce(like_days, 0) < 3 OR used_before < 0 AS is_shapeless,
        CAST((used_before * 1000 - (used_before * 1000) % nullif(like_days, 0)) / nullif(like_days, 0) AS DECIMAL(38, 0)) AS average
    FROM (SELECT * FROM likened WHERE gap_epoch IS NOT NULL)
),
weighed AS (
    SELECT
        *,
        CAST((average * (slot_to - slot_from) - (average * (slot_to - slot_from)) % 3600000000) / 3600000000 AS DECIMAL(38, 0))
            AS weight
    FROM averages
),
shaped AS (
    SELECT
        *, bool_or(is_shapeless) OVER (PARTITION BY gap_epoch, gap_end) AS any_shapeless,
        CAST(sum(weight) OVER (PARTITION BY gap_epoch, gap_end) AS DECIMAL(38, 0)) AS weights,
        max(slot_to) OVER (PARTITION BY gap_epoch, gap_end) AS last_to
    FROM weighed
),
profiled AS (
    SELECT
        service_point_id, gap_epoch, gap_end, slot_from, slot_to, total, slot_to = last_to AS is_last,
        CAST((total * weight - (total * weight) % nullif(weights, 0)) / nullif(weights, 0) AS DECIMAL(38, 0)) AS share
    FROM shaped
    WHERE NOT any_shapeless AND weights > 0
),
expected AS (
    SELECT
        service_point_id, gap_epoch AS epoch_id, gap_end AS end_us, slot_from, slot_to,
        CASE WHEN is_last THEN total - sum(share) OVER (PARTITION BY gap_epoch, gap_end) + share ELSE share END AS quantity
    FROM profiled
),
found AS (
    SELECT
        service_point_id, epoch_id, CAST(to_time AS BIGINT) AS end_us, CAST(slot_from AS BIGINT) AS slot_from,
        CAST(slot_to AS BIGINT) AS slot_to, CAST(quantity AS DECIMAL(38, 0)) AS quantity
    FROM book.divided_intervals
    WHERE allocation = 'profile'
)
SELECT
    coalesce(e.service_point_id, f.service_point_id) AS service_point_id,
    coalesce(e.epoch_id, f.epoch_id) AS epoch_id,
    coalesce(e.end_us, f.end_us) AS to_time,
    coalesce(e.slot_from, f.slot_from) AS slot_from,
    e.quantity AS expected,
    f.quantity AS found
FROM expected AS e
FULL OUTER JOIN found AS f ON f.epoch_id = e.epoch_id AND f.end_us = e.end_us AND f.slot_from = e.slot_from
WHERE (e.quantity IS DISTINCT FROM f.quantity) OR (e.slot_to IS DISTINCT FROM f.slot_to)
