-- purpose: Of each service point, account, local day, band and tariff version, the charges are what the intervals give when
--   they are split in plain SQL at every day, band, version and contract boundary, by time, the remainder to the last part;
--   where an interval is not divided evenly (a gap by like days, one around an outage) its slots are split in its place, and
--   gaps_divided_as_like_days recomputes those.
--   What waits for approval, or was rejected, in a closed month counts too.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_date: ; the local day
-- column band: ; code
-- column tariff_version_id: ; which version
-- column intervals: 1/1000 kWh, m3 or GJ; what the intervals give
-- column charges: 1/1000 kWh, m3 or GJ; what was charged
WITH versions AS (
    SELECT
        id, tariff_id, CAST(valid_from AS BIGINT) AS valid_from,
        coalesce(lead(CAST(valid_from AS BIGINT)) OVER (PARTITION BY tariff_id ORDER BY valid_from), 9223372036854775807) AS valid_to
    FROM book.tariff_versions
    WHERE superseded_at IS NULL
),
-- What prices a service point, from when to when ...
rated AS (
    SELECT
        c.service_point_id, c.account_id, v.id AS version_id,
        greatest(CAST(c.valid_from AS BIGINT), v.valid_from) AS term_from,
        least(coalesce(CAST(c.valid_to AS BIGINT), 9223372036854775807), v.valid_to) AS term_to
    FROM book.contracts AS c
    JOIN versions AS v ON v.tariff_id = c.tariff_id
    WHERE c.superseded_at IS NULL
),
-- ... and the times that nothing prices: version 0.
terms AS (
    SELECT service_point_id, account_id, version_id, term_from, term_to FROM rated WHERE term_from < term_to
    UNION ALL
    SELECT service_point_id, 0, 0, gap_from, gap_to
    FROM (
        SELECT
            service_point_id,
            coalesce(lag(term_to) OVER (PARTITION BY service_point_id ORDER BY term_from), -9223372036854775807) AS gap_from,
            term_from AS gap_to
        FROM rated
        WHERE term_from < term_to
        UNION ALL
        SELECT service_point_id, max(term_to), 9223372036854775807 FROM rated WHERE term_from < term_to GROUP BY service_point_id
        UNION ALL
        SELECT id, -9223372036854775807, 9223372036854775807
        FROM book.service_points
        WHERE id NOT IN (SELECT service_point_id FROM rated WHERE term_from < term_to)
    )
    WHERE gap_from < gap_to
),
-- What flows back through a signed register is no tier's, nor is what it is pooled with.
signed AS (SELECT DISTINCT service_point_id FROM book.epochs WHERE signed),
pooled AS (SELECT r.service_point_id, r.account_id FROM rated AS r JOIN book.pooled_accounts AS a ON a.id = r.account_id),
near AS (
    SELECT service_point_id FROM signed
    UNION
    SELECT m.service_point_id
    FROM (SELECT DISTINCT r.account_id FROM signed AS e JOIN pooled AS r ON r.service_point_id = e.service_point_id) AS p
    JOIN rated AS m ON m.account_id = p.account_id
),
reversed AS (
    SELECT service_point_id AS reversed_id FROM near
    UNION
    SELECT m.service_point_id AS reversed_id
    FROM (SELECT DISTINCT r.account_id FROM near AS e JOIN pooled AS r ON r.service_point_id = e.service_point_id) AS p
    JOIN rated AS m ON m.account_id = p.account_id
),
-- Where there are tiers or prices by the hour, charges_equal_intervals_by_tier looks closer.
finer AS (
    SELECT DISTINCT service_point_id
    FROM rated
    WHERE term_from < term_to AND version_id IN (
        SELECT tariff_version_id FROM book.tariff_tiers UNION ALL SELECT tariff_version_id FROM book.price_steps)
        AND service_point_id NOT IN (SELECT reversed_id FROM reversed)
),
span AS (
    SELECT min(start_time) AS first_time, max(end_time) AS last_time FROM intervals
),
days AS (
    SELECT
        d.site_id, d.local_date, d.day_type,
        CAST(date_part('month', d.local_date) * 100 + date_part('day', d.local_date) AS INT) AS month_day,
        CAST(d.utc_start AS BIGINT) AS utc_start, CAST(d.utc_end AS BIGINT) AS utc_end, d.wall_start,
        CAST(d.jump_at AS BIGINT) AS jump_at, d.jump_wall
    FROM book.site_days AS d
    CROSS JOIN span AS s
    WHERE d.utc_end > s.first_time AND d.utc_start < s.last_time
),
-- Stretches of a day in which the wall clock runs evenly.
runs AS (
    SELECT site_id, local_date, day_type, month_day, utc_start AS run_from, coalesce(jump_at, utc_end) AS run_to, wall_start AS wall
    FROM days
    UNION ALL
    SELECT site_id, local_date, day_type, month_day, jump_at, utc_end, jump_wall FROM days WHERE jump_at IS NOT NULL
),
-- A day's type and its names.
kinds AS (
    SELECT site_id, local_date, month_day, day_type AS kind FROM days
    UNION ALL
    SELECT
        s.id, n.local_date, CAST(date_part('month', n.local_date) * 100 + date_part('day', n.local_date) AS INT), n.name
    FROM book.named_dates AS n
    JOIN book.sites AS s ON s.calendar_id = n.calendar_id
),
-- The first rule that holds on a day decides.
plans AS (
    SELECT w.tariff_version_id, r.site_id, r.local_date, min(w.rule) AS rule
    FROM (SELECT DISTINCT tariff_version_id, rule, from_month_day, to_month_day, day_type FROM book.tariff_switches) AS w
    JOIN kinds AS r ON r.kind = w.day_type
        AND CASE WHEN w.from_month_day <= w.to_month_day
            THEN r.month_day BETWEEN w.from_month_day AND w.to_month_day
            ELSE r.month_day >= w.from_month_day OR r.month_day <= w.to_month_day END
    GROUP BY w.tariff_version_id, r.site_id, r.local_date
),
switches AS (
    SELECT DISTINCT tariff_version_id, rule, minute, next_minute, band FROM book.tariff_switches
),
cells AS (
    SELECT
        r.site_id, w.tariff_version_id AS version_id, r.local_date, w.band,
        r.run_from + greatest(CAST(w.minute AS BIGINT) * 60000000 - r.wall, 0) AS cell_from,
        CASE WHEN w.next_minute >= 1440 THEN r.run_to
            ELSE least(r.run_to, r.run_from + CAST(w.next_minute AS BIGINT) * 60000000 - r.wall) END AS cell_to
    FROM runs AS r
    JOIN plans AS p ON p.site_id = r.site_id AND p.local_date = r.local_date
    JOIN switches AS w ON w.tariff_version_id = p.tariff_version_id AND w.rule = p.rule
    UNION ALL
    SELECT site_id, 0, local_date, 0, utc_start, utc_end FROM days
),
-- Found by the UTC days that they touch.
keyed_cells AS (
    SELECT *, unnest(range(cell_from / 86400000000, (cell_to - 1) / 86400000000 + 1)) AS utc_day
    FROM cells
    WHERE cell_from < cell_to
),
-- Where an interval is not divided evenly its slots are, rated as it ends (gaps_divided_as_like_days recomputes them).
divided AS (
    SELECT DISTINCT epoch_id, to_time, true AS is_divided FROM book.divided_intervals
),
evened AS (
    SELECT
        i.service_point_id, i.epoch_id, CAST(i.start_time AS BIGINT) AS start_us, CAST(i.end_time AS BIGINT) AS end_us,
        CAST(i.quantity * 1000 AS DECIMAL(38, 0)) AS quantity
    FROM divided AS d
    RIGHT JOIN intervals AS i ON i.epoch_id = d.epoch_id AND i.end_time = d.to_time
    WHERE d.is_divided IS NULL
    UNION ALL
    SELECT
        service_point_id, epoch_id, CAST(slot_from AS BIGINT), CAST(slot_to AS BIGINT), CAST(quantity AS DECIMAL(38, 0))
    FROM book.divided_intervals
),
pieces AS (
    SELECT
        i.service_point_id, i.epoch_id, i.start_us, i.end_us, i.quantity, p.site_id, t.account_id, t.version_id, t.term_from, t.term_to
    FROM (SELECT id, site_id FROM book.service_points WHERE id NOT IN (SELECT service_point_id FROM finer)) AS p
    JOIN terms AS t ON t.service_point_id = p.id
    JOIN evened AS i ON i.service_point_id = p.id
        AND t.term_from < i.end_us AND t.term_to > i.start_us
),
keyed_pieces AS (
    SELECT *, unnest(range(start_us / 86400000000, (end_us - 1) / 86400000000 + 1)) AS utc_day FROM pieces
),
parts AS (
    SELECT
        i.service_point_id, i.account_id, i.version_id, i.epoch_id, i.start_us, i.end_us, i.quantity, c.local_date, c.band,
        greatest(i.start_us, i.term_from, c.cell_from) AS part_from,
        least(i.end_us, i.term_to, c.cell_to) AS part_to
    FROM keyed_cells AS c
    JOIN keyed_pieces AS i ON c.site_id = i.site_id AND c.version_id = i.version_id AND c.utc_day = i.utc_day
    WHERE greatest(i.start_us, i.term_from, c.cell_from) < least(i.end_us, i.term_to, c.cell_to)
        -- Both may touch several days: met on the first one only.
        AND i.utc_day = greatest(i.start_us / 86400000000, c.cell_from / 86400000000)
),
shares AS (
    SELECT
        service_point_id, account_id, version_id, local_date, band, epoch_id, start_us, end_us, quantity,
        part_to = end_us AS is_last,
        CAST((quantity * (part_to - part_from) - (quantity * (part_to - part_from)) % (end_us - start_us)) / (end_us - start_us)
            AS DECIMAL(38, 0)) AS share
    FROM parts
    WHERE part_from > start_us OR part_to < end_us
),
allocated AS (
    SELECT service_point_id, account_id, version_id, local_date, band, quantity
    FROM parts
    WHERE part_from = start_us AND part_to = end_us
    UNION ALL
    SELECT
        service_point_id, account_id, version_id, local_date, band,
        CASE WHEN is_last
            THEN quantity - sum(share) OVER (PARTITION BY service_point_id, epoch_id, start_us, end_us) + share
            ELSE share END
    FROM shares
),
expected AS (
    SELECT service_point_id, account_id, local_date, band, version_id, sum(quantity) AS quantity
    FROM allocated
    WHERE version_id <> 0
    GROUP BY service_point_id, account_id, local_date, band, version_id
),
due AS (
    SELECT service_point_id, account_id, local_date, band, tariff_version_id, quantity
    FROM lake.charges
    -- Account 0: what was used while nobody had a contract, which costs nothing.
    WHERE component = 'energy' AND account_id <> 0
    UNION ALL
    SELECT l.service_point_id, a.account_id, l.local_date, l.band, l.tariff_version_id, l.quantity
    FROM book.adjustments AS a
    JOIN book.adjustment_lines AS l ON l.adjustment_id = a.id
    WHERE l.component = 'energy' AND a.state IN ('pending', 'rejected')
),
charged AS (
    SELECT service_point_id, account_id, local_date, band, tariff_version_id, sum(CAST(quantity AS DECIMAL(38, 0))) AS quantity
    FROM due
    WHERE service_point_id NOT IN (SELECT service_point_id FROM finer)
    GROUP BY service_point_id, account_id, local_date, band, tariff_version_id
)
SELECT
    coalesce(e.service_point_id, c.service_point_id) AS service_point_id,
    coalesce(e.account_id, c.account_id) AS account_id,
    coalesce(e.local_date, c.local_date) AS local_date,
    coalesce(e.band, c.band) AS band,
    coalesce(e.version_id, c.tariff_version_id) AS tariff_version_id,
    e.quantity AS intervals,
    c.quantity AS charges
FROM expected AS e
FULL OUTER JOIN charged AS c
    ON c.service_point_id = e.service_point_id AND c.account_id = e.account_id AND c.local_date = e.local_date
    AND c.band = e.band AND c.tariff_version_id = e.version_id
WHERE coalesce(e.quantity, 0) <> coalesce(c.quantity, 0)
