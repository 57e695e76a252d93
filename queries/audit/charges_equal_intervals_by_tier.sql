-- purpose: Where a tariff has tiers or prices by the hour, the charges of each service point, account, local day, band, tier and
--   tariff version are what the intervals give (or the slots of those that are not divided evenly, which
--   gaps_divided_as_like_days recomputes) when they are split in plain SQL at every boundary and price step, by time, and
--   then at the thresholds that hold on the day for the household, in the order in which they end: by the service point's own
--   counter, or where the account pools its tiers by that of all its service points of the utility; hours of a series cost
--   what its steps say.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_date: ; the local day
-- column band: ; code
-- column tier: ; from 1; 0 for an allowance
-- column tariff_version_id: ; which version
-- column intervals: 1/1000 kWh, m3 or GJ; what the intervals give
-- column charges: 1/1000 kWh, m3 or GJ; what was charged
-- column cost: currency; what the steps of a series make of it
-- column amount: currency; what was charged
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
        c.service_point_id, c.account_id, c.tariff_id, p.id IS NOT NULL AS pooled, v.id AS version_id,
        greatest(CAST(c.valid_from AS BIGINT), v.valid_from) AS term_from,
        least(coalesce(CAST(c.valid_to AS BIGINT), 9223372036854775807), v.valid_to) AS term_to,
        coalesce(c.persons, 0) AS persons, greatest(coalesce(c.households, 1), 1) AS households
    FROM book.pooled_accounts AS p
    RIGHT JOIN book.contracts AS c ON c.account_id = p.id
    JOIN versions AS v ON v.tariff_id = c.tariff_id
    WHERE c.superseded_at IS NULL
),
-- ... and the times that nothing prices: version 0.
terms AS (
    SELECT service_point_id, account_id, tariff_id, pooled, version_id, term_from, term_to, persons, households
    FROM rated
    WHERE term_from < term_to
    UNION ALL
    SELECT service_point_id, 0, 0, false, 0, gap_from, gap_to, 0, 1
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
tiered AS (
    SELECT DISTINCT service_point_id
    FROM rated
    WHERE term_from < term_to AND version_id IN (
        SELECT tariff_version_id FROM book.tariff_tiers UNION ALL SELECT tariff_version_id FROM book.price_steps)
),
-- What flows back through a signed register is no tier's, nor is what it is pooled with, nor what that is pooled with.
signed AS (SELECT DISTINCT service_point_id FROM book.epochs WHERE signed),
near AS (
    SELECT service_point_id FROM signed
    UNION
    SELECT m.service_point_id
    FROM (
        SELECT DISTINCT r.account_id FROM signed AS e JOIN rated AS r ON r.service_point_id = e.service_point_id WHERE r.pooled
    ) AS p
    JOIN rated AS m ON m.account_id = p.account_id
),
reversed AS (
    SELECT service_point_id AS reversed_id FROM near
    UNION
    SELECT m.service_point_id AS reversed_id
    FROM (
        SELECT DISTINCT r.account_id FROM near AS e JOIN rated AS r ON r.service_point_id = e.service_point_id WHERE r.pooled
    ) AS p
    JOIN rated AS m ON m.account_id = p.account_id
),
-- What a member of a pool used before its tariff had tiers counts for all.
looked_at AS (
    SELECT service_point_id FROM tiered
    UNION
    SELECT m.service_point_id
    FROM (
        SELECT DISTINCT r.account_id FROM tiered AS t JOIN rated AS r ON r.service_point_id = t.service_point_id WHERE r.pooled
    ) AS p
    JOIN rated AS m ON m.account_id = p.account_id
),
-- All others are looked at by charges_equal_intervals_by_band.
finer AS (
    SELECT service_point_id FROM looked_at WHERE service_point_id NOT IN (SELECT reversed_id FROM reversed)
),
-- How the counter runs in each term: by the last tiers before it, whatever came after.
clocks AS (
    SELECT service_point_id, term_from, period, begins
    FROM (
        SELECT
            t.service_point_id, t.term_from, k.period, k.begins,
            row_number() OVER (PARTITION BY t.service_point_id, t.term_from ORDER BY c.valid_from DESC, v.valid_from DESC) AS place
        FROM terms AS t
        JOIN book.contracts AS c ON c.service_point_id = t.service_point_id AND c.superseded_at IS NULL
            AND CAST(c.valid_from AS BIGINT) <= t.term_from
        JOIN versions AS v ON v.tariff_id = c.tariff_id
            AND v.valid_from <= least(t.term_from, coalesce(CAST(c.valid_to AS BIGINT) - 1, t.term_from))
        JOIN book.tariff_tiers AS k ON k.tariff_version_id = v.id
    )
    WHERE place = 1
),
-- The counter of a pool runs by the last tiers of the tariff in force, which all its members share.
pooled_terms AS (
    SELECT
        t.service_point_id, t.term_from, coalesce(k.period, 'monthly') AS period, coalesce(k.begins, 1) AS begins,
        CASE p.utility WHEN 'electricity' THEN 0 WHEN 'water' THEN 1 WHEN 'gas' THEN 2 ELSE 3 END AS utility
    FROM terms AS t
    JOIN book.service_points AS p ON p.id = t.service_point_id
    LEFT JOIN (
        SELECT
            e.service_point_id, e.term_from, k.period, k.begins,
            row_number() OVER (PARTITION BY e.service_point_id, e.term_from ORDER BY v.valid_from DESC) AS place
        FROM terms AS e
        JOIN versions AS v ON v.tariff_id = e.tariff_id AND v.valid_from <= e.term_from
        JOIN book.tariff_tiers AS k ON k.tariff_version_id = v.id
        WHERE e.pooled
    ) AS k ON k.service_point_id = t.service_point_id AND k.term_from = t.term_from AND k.place = 1
    WHERE t.pooled
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
    SELECT
        site_id, local_date, CASE WHEN stretch = 0 THEN utc_start ELSE jump_at END AS run_from,
        CASE WHEN stretch = 0 THEN coalesce(jump_at, utc_end) ELSE utc_end END AS run_to,
        CASE WHEN stretch = 0 THEN wall_start ELSE jump_wall END AS wall
    FROM (SELECT *, unnest(CASE WHEN jump_at IS NULL THEN [0] ELSE [0, 1] END) AS stretch FROM days)
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
banded AS (
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
-- Hours of a series end where it ends: from there on they have no price yet.
ended AS (
    SELECT
        b.site_id, b.version_id, b.local_date, b.cell_from, b.cell_to, e.step_from AS series_end,
        unnest(CASE WHEN b.band = 6 THEN [6, 7] ELSE [CAST(b.band AS INT)] END) AS band
    FROM (SELECT tariff_version_id, step_from FROM book.price_steps WHERE step_to IS NULL) AS e
    RIGHT JOIN banded AS b ON e.tariff_version_id = b.version_id
),
halves AS (
    SELECT
        site_id, version_id, local_date, band,
        CASE WHEN band = 7 THEN greatest(cell_from, series_end) ELSE cell_from END AS cell_from,
        CASE WHEN band = 6 THEN least(cell_to, series_end) ELSE cell_to END AS cell_to
    FROM ended
),
-- A step begins on one UTC day, at most an hour before what it overlaps.
keyed_halves AS (
    SELECT
        *,
        unnest(CASE WHEN band = 6 THEN range((cell_from - 3600000000) / 86400000000, (cell_to - 1) / 86400000000 + 1)
            ELSE [cell_from / 86400000000] END) AS step_day
    FROM halves
    WHERE cell_from < cell_to
),
cells AS (
    SELECT
        h.site_id, h.version_id, h.local_date, h.band, s.price AS step_price,
        greatest(h.cell_from, coalesce(s.step_from, h.cell_from)) AS cell_from,
        least(h.cell_to, coalesce(s.step_to, h.cell_to)) AS cell_to
    FROM (SELECT tariff_version_id, step_from, step_to, price, step_from / 86400000000 AS step_day FROM book.price_steps) AS s
    RIGHT JOIN keyed_halves AS h ON s.tariff_version_id = h.version_id AND s.step_day = h.step_day
        AND h.band = 6 AND s.step_from < h.cell_to AND s.step_to > h.cell_from
    WHERE h.band <> 6 OR s.price IS NOT NULL
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
        CAST(i.quantity * 1000 AS DECIMAL(38, 0)) AS quantity,
        CAST(i.end_time AS BIGINT) AS ends_us
    FROM divided AS d
    RIGHT JOIN intervals AS i ON i.epoch_id = d.epoch_id AND i.end_time = d.to_time
    WHERE d.is_divided IS NULL
    UNION ALL
    SELECT
        service_point_id, epoch_id, CAST(slot_from AS BIGINT), CAST(slot_to AS BIGINT), CAST(quantity AS DECIMAL(38, 0)),
        CAST(to_time AS BIGINT)
    FROM book.divided_intervals
),
pieces AS (
    SELECT
        i.service_point_id, i.epoch_id, i.start_us, i.end_us, i.ends_us, i.quantity, p.site_id, t.account_id, t.version_id, t.term_from, t.term_to, t.persons, t.households
    FROM (SELECT id, site_id FROM book.service_points WHERE id IN (SELECT service_point_id FROM finer)) AS p
    JOIN terms AS t ON t.service_point_id = p.id
    JOIN evened AS i ON i.service_point_id = p.id
        AND t.term_from < i.end_us AND t.term_to > i.start_us
),
keyed_pieces AS (
    SELECT *, unnest(range(start_us / 86400000000, (end_us - 1) / 86400000000 + 1)) AS utc_day FROM pieces
),
parts AS (
    SELECT
        i.service_point_id, i.account_id, i.version_id, i.epoch_id, i.start_us, i.end_us, i.ends_us, i.quantity, c.local_date, c.band,
        c.step_price, i.term_from, i.persons, i.households,
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
        *,
        part_to = end_us AS is_last,
        CAST((quantity * (part_to - part_from) - (quantity * (part_to - part_from)) % (end_us - start_us)) / (end_us - start_us)
            AS DECIMAL(38, 0)) AS share
    FROM parts
),
allocated AS (
    SELECT
        service_point_id, account_id, version_id, local_date, band, step_price, term_from, persons, households, epoch_id, ends_us,
        part_from,
        CAST(CASE WHEN is_last
            THEN quantity - sum(share) OVER (PARTITION BY service_point_id, epoch_id, start_us, end_us) + share
            ELSE share END AS DECIMAL(38, 0)) AS quantity
    FROM shares
),
dated AS (
    SELECT
        a.*,
        -- A stated closing count comes before what is read at its moment.
        CASE WHEN e.closing_count IS NOT NULL AND CAST(e.valid_to AS BIGINT) = a.ends_us THEN 0 ELSE e.meter_id END AS turn,
        q.utility AS pool, q.period AS pool_period, q.begins AS pool_begins,
        CAST(date_part('month', a.local_date) * 100 + date_part('day', a.local_date) AS INT) AS month_day,
        CAST(date_part('year', a.local_date) AS INT) AS year, CAST(date_part('month', a.local_date) AS INT) AS month,
        CAST(date_part('day', a.local_date) AS INT) AS day,
        coalesce(k.period, 'monthly') AS period, coalesce(k.begins, 1) AS begins
    FROM allocated AS a
    JOIN book.epochs AS e ON e.id = a.epoch_id
    LEFT JOIN pooled_terms AS q ON q.service_point_id = a.service_point_id AND q.term_from = a.term_from
    LEFT JOIN clocks AS k ON k.service_point_id = a.service_point_id AND k.term_from = a.term_from
),
periods AS (
    SELECT
        *,
        CASE period
            WHEN 'annual' THEN concat('year ', year - CASE WHEN month_day < begins THEN 1 ELSE 0 END)
            WHEN 'cycle' THEN concat('cycle ', begins, ' ', year * 12 + month - CASE WHEN day < begins THEN 1 ELSE 0 END)
            ELSE concat('month ', year * 12 + month)
        END AS period_key,
        CASE pool_period
            WHEN 'annual' THEN 1000000 + year - CASE WHEN month_day < pool_begins THEN 1 ELSE 0 END
            WHEN 'cycle'
                THEN 2000000 + pool_begins * 100000 + year * 12 + month - CASE WHEN day < pool_begins THEN 1 ELSE 0 END
            ELSE year * 12 + month
        END AS pool_run
    FROM dated
),
-- What a pool counts, the service point counts as well.
counters AS (
    SELECT
        *, CASE WHEN by_pool THEN -1 - CAST(account_id AS BIGINT) * 4 - pool ELSE CAST(service_point_id AS BIGINT) END AS counter
    FROM (SELECT *, unnest(CASE WHEN pool IS NULL THEN [false] ELSE [false, true] END) AS by_pool FROM periods)
),
-- In the order in which they were rated: as they end, a meter at a time.
changes AS (
    SELECT
        *,
        CASE WHEN period_key <> lag(period_key) OVER (PARTITION BY counter ORDER BY ends_us, turn, epoch_id, part_from)
            THEN 1 ELSE 0 END AS begins_anew
    FROM counters
),
-- A pool goes on where a period was left; a service point begins anew.
runs_of_counter AS (
    SELECT
        *,
        CASE WHEN by_pool THEN pool_run
            ELSE sum(begins_anew) OVER (
                PARTITION BY counter ORDER BY ends_us, turn, epoch_id, part_from ROWS UNBOUNDED PRECEDING) END AS counter_run
    FROM changes
),
counted AS (
    SELECT
        *,
        CAST(sum(quantity) OVER (
            PARTITION BY counter, counter_run ORDER BY ends_us, turn, epoch_id, part_from ROWS UNBOUNDED PRECEDING)
            AS DECIMAL(38, 0)) AS used_after
    FROM runs_of_counter
),
-- Which season's bounds hold on a day of the year; 0 where none has its own.
seasons AS (
    SELECT
        b.tariff_version_id, d.month_day,
        min(CASE WHEN b.season > 0 AND CASE WHEN b.from_month_day <= b.to_month_day
                THEN d.month_day BETWEEN b.from_month_day AND b.to_month_day
                ELSE d.month_day >= b.from_month_day OR d.month_day <= b.to_month_day END
            THEN b.season END) AS season
    FROM (SELECT DISTINCT tariff_version_id, season, from_month_day, to_month_day FROM book.tier_bounds) AS b
    CROSS JOIN (
        SELECT m.month * 100 + unnest(range(1, 32)) AS month_day FROM (SELECT unnest(range(1, 13)) AS month) AS m) AS d
    GROUP BY b.tariff_version_id, d.month_day
),
ladders AS (
    SELECT
        s.tariff_version_id, s.month_day, b.tier, b.lower, b.upper, k.person_rule, k.persons AS rule_persons, k.adder,
        k.by_household, k.allowance
    FROM seasons AS s
    JOIN book.tier_bounds AS b ON b.tariff_version_id = s.tariff_version_id AND b.season = coalesce(s.season, 0)
    JOIN book.tariff_tiers AS k ON k.tariff_version_id = s.tariff_version_id
    UNION ALL
    SELECT
        s.tariff_version_id, s.month_day, 0, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), k.person_rule, k.persons, k.adder,
        k.by_household, k.allowance
    FROM seasons AS s
    JOIN book.tariff_tiers AS k ON k.tariff_version_id = s.tariff_version_id
    WHERE k.allowance > 0
),
scaled AS (
    SELECT
        c.*, coalesce(l.tier, 1) AS tier, l.lower, l.upper, coalesce(l.allowance, 0) AS allowance,
        CASE WHEN l.by_household THEN c.households ELSE 1 END AS times,
        CASE l.person_rule
            WHEN 'from' THEN CASE WHEN c.persons >= l.rule_persons THEN l.adder ELSE 0 END
            WHEN 'above' THEN l.adder * greatest(c.persons - l.rule_persons, 0)
            ELSE 0 END AS raise
    FROM ladders AS l
    RIGHT JOIN (SELECT * FROM counted WHERE by_pool OR pool IS NULL) AS c ON l.tariff_version_id = c.version_id AND l.month_day = c.month_day
),
edges AS (
    SELECT
        *,
        CASE
            WHEN tier = 1 AND allowance > 0 THEN CAST(allowance * times AS DECIMAL(38, 0))
            WHEN tier > 1 THEN CAST(lower * times + allowance * times + raise AS DECIMAL(38, 0))
            ELSE CAST(-1000000000000000000 AS DECIMAL(38, 0)) END AS tier_from,
        CASE
            WHEN tier = 0 THEN CAST(allowance * times AS DECIMAL(38, 0))
            WHEN upper IS NOT NULL THEN CAST(upper * times + allowance * times + raise AS DECIMAL(38, 0))
            ELSE CAST(1000000000000000000 AS DECIMAL(38, 0)) END AS tier_to
    FROM scaled
),
split AS (
    SELECT
        service_point_id, account_id, local_date, band, tier, version_id, step_price,
        least(greatest(used_after, tier_from), tier_to) - least(greatest(used_after - quantity, tier_from), tier_to) AS quantity
    FROM edges
    WHERE version_id <> 0
),
priced AS (
    SELECT
        s.service_point_id, s.account_id, s.local_date, s.band, s.tier, s.version_id, s.quantity,
        CASE WHEN s.band = 6 AND s.tier > 0
            THEN CAST(s.quantity * 0.001 AS DECIMAL(38, 3)) * (s.step_price + p.price) END AS cost
    FROM book.tariff_prices AS p
    RIGHT JOIN split AS s ON p.tariff_version_id = s.version_id AND p.tier = s.tier AND p.band = s.band
    WHERE s.quantity <> 0
),
expected AS (
    SELECT
        service_point_id, account_id, local_date, band, tier, version_id, sum(quantity) AS quantity,
        CAST(sum(CAST(cost AS DECIMAL(38, 9))) AS DECIMAL(38, 9)) AS cost
    FROM priced
    GROUP BY service_point_id, account_id, local_date, band, tier, version_id
),
due AS (
    SELECT service_point_id, account_id, local_date, band, tier, tariff_version_id, quantity, amount
    FROM lake.charges
    -- Account 0: what was used while nobody had a contract, which costs nothing.
    WHERE component = 'energy' AND account_id <> 0
    UNION ALL
    SELECT l.service_point_id, a.account_id, l.local_date, l.band, l.tier, l.tariff_version_id, l.quantity, l.amount
    FROM book.adjustments AS a
    JOIN book.adjustment_lines AS l ON l.adjustment_id = a.id
    WHERE l.component = 'energy' AND a.state IN ('pending', 'rejected')
),
charged AS (
    SELECT
        service_point_id, account_id, local_date, band, tier, tariff_version_id,
        sum(CAST(quantity AS DECIMAL(38, 0))) AS quantity, CAST(sum(amount) AS DECIMAL(38, 9)) AS amount
    FROM due
    WHERE service_point_id IN (SELECT service_point_id FROM finer)
    GROUP BY service_point_id, account_id, local_date, band, tier, tariff_version_id
)
SELECT
    coalesce(e.service_point_id, c.service_point_id) AS service_point_id,
    coalesce(e.account_id, c.account_id) AS account_id,
    coalesce(e.local_date, c.local_date) AS local_date,
    coalesce(e.band, c.band) AS band,
    coalesce(e.tier, c.tier) AS tier,
    coalesce(e.version_id, c.tariff_version_id) AS tariff_version_id,
    e.quantity AS intervals,
    c.quantity AS charges,
    e.cost,
    c.amount
FROM expected AS e
FULL OUTER JOIN charged AS c
    ON c.service_point_id = e.service_point_id AND c.account_id = e.account_id AND c.local_date = e.local_date
    AND c.band = e.band AND c.tier = e.tier AND c.tariff_version_id = e.version_id
WHERE coalesce(e.quantity, 0) <> coalesce(c.quantity, 0)
    OR (coalesce(e.band, c.band) = 6 AND coalesce(e.cost, 0) <> coalesce(c.amount, 0))
