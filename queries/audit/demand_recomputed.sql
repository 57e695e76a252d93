-- purpose: In each closed month what is charged by demand and by contracted capacity is price x kW, spread over the days owed:
--   the maximum is what plain SQL finds when it puts the intervals into windows while the account paid: blocks from local
--   midnight, or windows from each minute on, of which the highest begins or ends with an interval. A band's maximum is at most
--   that of all bands, and only held to that. A month with an adjustment that waits or was rejected is not looked at, nor gas
--   that is converted to kWh.
-- column service_point_id: ; which
-- column account_id: ; who owes it
-- column local_month: ; 12 x year + month - 1
-- column component: ; what is charged
-- column band: ; code; null where the component has no prices by band
-- column tariff_version_id: ; which version
-- column expected: currency; what it is at least
-- column at_most: currency; what it is at most
-- column charged: currency; what was charged
WITH versions AS (
    SELECT
        id, tariff_id, CAST(valid_from AS BIGINT) AS valid_from,
        coalesce(lead(CAST(valid_from AS BIGINT)) OVER (PARTITION BY tariff_id ORDER BY valid_from), 9223372036854775807) AS valid_to
    FROM book.tariff_versions
    WHERE superseded_at IS NULL
),
contracts AS (
    SELECT
        c.id, c.service_point_id, p.site_id, c.account_id, c.tariff_id, CAST(c.valid_from AS BIGINT) AS valid_from,
        coalesce(CAST(c.valid_to AS BIGINT), 9223372036854775807) AS valid_to
    FROM book.contracts AS c
    JOIN book.service_points AS p ON p.id = c.service_point_id
    WHERE c.superseded_at IS NULL AND c.service_point_id NOT IN (SELECT service_point_id FROM book.epochs WHERE converts)
        -- Where a tariff with such a component ever holds.
        AND c.service_point_id IN (
            SELECT h.service_point_id
            FROM book.contracts AS h
            JOIN book.tariff_versions AS v ON v.tariff_id = h.tariff_id
            WHERE v.id IN (SELECT tariff_version_id FROM book.component_demands))
),
asking AS (
    SELECT
        c.id AS contract_id, c.service_point_id, c.site_id, c.account_id, v.id AS version_id,
        greatest(c.valid_from, v.valid_from) AS term_from, least(c.valid_to, v.valid_to) AS term_to
    FROM contracts AS c
    JOIN versions AS v ON v.tariff_id = c.tariff_id
    WHERE v.id IN (SELECT tariff_version_id FROM book.component_demands)
        AND greatest(c.valid_from, v.valid_from) < least(c.valid_to, v.valid_to)
),
closed AS (
    SELECT site_id, min(local_month) AS since, max(local_month) AS through FROM book.periods WHERE state = 'closed' GROUP BY site_id
),
decided AS (SELECT DISTINCT account_id, local_month FROM book.adjustments WHERE state IN ('pending', 'rejected')),
days AS (
    SELECT d.*
    FROM (
        SELECT
            s.site_id, CAST(s.utc_start AS BIGINT) AS day_start, CAST(s.utc_end AS BIGINT) AS day_end,
            CAST(date_part('year', s.local_date) * 12 + date_part('month', s.local_date) - 1 AS BIGINT) AS local_month,
            count(*) OVER (PARTITION BY s.site_id, date_trunc('month', s.local_date)) AS month_days,
            max(s.local_date) OVER (PARTITION BY s.site_id, date_trunc('month', s.local_date)) = s.local_date AS is_last
        FROM book.site_days AS s
    ) AS d
    JOIN closed AS c ON c.site_id = d.site_id
    WHERE d.local_month BETWEEN c.since AND c.through
),
-- The days that each version owes in each month.
owed AS (
    SELECT
        a.service_point_id, a.account_id, a.version_id, d.local_month, d.month_days, count(*) AS owed_days,
        max(CASE WHEN d.is_last THEN 1 ELSE 0 END) AS has_last
    FROM asking AS a
    JOIN days AS d ON d.site_id = a.site_id AND d.day_start >= a.term_from AND d.day_start < a.term_to
    GROUP BY a.service_point_id, a.account_id, a.version_id, d.local_month, d.month_days
),
-- Contracts of one account that follow each other are one stretch: a window may lie across the seam.
stretches AS (
    SELECT service_point_id, site_id, account_id, island, min(valid_from) AS stretch_from, max(valid_to) AS stretch_to
    FROM (
        SELECT *, sum(begins) OVER (PARTITION BY service_point_id, account_id ORDER BY valid_from) AS island
        FROM (
            SELECT
                *,
                CASE WHEN lag(valid_to) OVER (PARTITION BY service_point_id, account_id ORDER BY valid_from) = valid_from
                    THEN 0 ELSE 1 END AS begins
            FROM contracts
            WHERE valid_from < valid_to
        )
    )
    GROUP BY service_point_id, site_id, account_id, island
),
windows AS (
    SELECT DISTINCT a.service_point_id, a.account_id, d.method, d.minutes * 60000000 AS width
    FROM asking AS a
    JOIN book.component_demands AS d ON d.tariff_version_id = a.version_id
    WHERE d.minutes IS NOT NULL
),
-- Local days by the UTC days that they touch, so that intervals find theirs by equality.
touched AS (
    SELECT *, unnest(range(day_start / 86400000000, (day_end - 1) / 86400000000 + 1)) AS utc_day
    FROM (SELECT site_id, day_start, day_end, local_month FROM days)
),
used AS (
    SELECT *, unnest(range(start_us / 86400000000, (end_us - 1) / 86400000000 + 1)) AS utc_day
    FROM (
        SELECT
            i.service_point_id, CAST(i.start_time AS BIGINT) AS start_us, CAST(i.end_time AS BIGINT) AS end_us,
            -- In half mW x us, as 1/1000 kWh are 7.2e12.
            CAST(CAST(i.quantity * 1000 AS DECIMAL(19, 0)) * 7200000000000 AS DECIMAL(38, 0)) AS energy
        FROM intervals AS i
        WHERE i.service_point_id IN (SELECT service_point_id FROM windows) AND i.start_time < i.end_time
    )
),
pieces AS (
    SELECT
        u.service_point_id, s.site_id, s.account_id, s.island, s.stretch_from, s.stretch_to, w.method, w.width, t.local_month,
        t.day_start, t.day_end, u.start_us, CAST(u.end_us - u.start_us AS DECIMAL(19, 0)) AS micros, u.energy,
        greatest(u.start_us, s.stretch_from, t.day_start, t.utc_day * 86400000000) AS piece_from,
        least(u.end_us, s.stretch_to, t.day_end, (t.utc_day + 1) * 86400000000) AS piece_to
    FROM windows AS w
    JOIN stretches AS s ON s.service_point_id = w.service_point_id AND s.account_id = w.account_id
    JOIN used AS u ON u.service_point_id = s.service_point_id AND u.start_us < s.stretch_to AND u.end_us > s.stretch_from
    JOIN touched AS t ON t.site_id = s.site_id AND t.utc_day = u.utc_day
        AND t.day_start < u.end_us AND t.day_end > u.start_us
),
blocked AS (
    SELECT *, unnest(range((piece_from - day_start) / width, (piece_to - day_start - 1) / width + 1)) AS block
    FROM pieces
    WHERE piece_from < piece_to AND method = 'block'
),
months AS (
    SELECT site_id, local_month, min(day_start) AS month_start, max(day_end) AS month_end FROM days GROUP BY site_id, local_month
),
-- The minutes before and after each end of an interval, as the beginning and as the end of a window.
candidates AS (
    SELECT DISTINCT
        p.service_point_id, p.account_id, p.width, p.local_month, p.starts,
        unnest(range(p.starts / 3600000000, (p.starts + p.width - 1) / 3600000000 + 1)) AS utc_hour
    FROM (
        SELECT
            *,
            unnest([
                piece_from - piece_from % 60000000, piece_from + 59999999 - (piece_from + 59999999) % 60000000,
                piece_to - piece_to % 60000000, piece_to + 59999999 - (piece_to + 59999999) % 60000000,
                piece_from - piece_from % 60000000 - width, piece_from + 59999999 - (piece_from + 59999999) % 60000000 - width,
                piece_to - piece_to % 60000000 - width, piece_to + 59999999 - (piece_to + 59999999) % 60000000 - width
            ]) AS starts
        FROM pieces
        WHERE piece_from < piece_to AND method = 'sliding'
    ) AS p
    JOIN months AS m ON m.site_id = p.site_id AND m.local_month = p.local_month
    WHERE p.starts >= greatest(p.stretch_from, m.month_start) AND p.starts + p.width <= least(p.stretch_to, m.month_end)
),
hourly AS (
    SELECT
        service_point_id, start_us, end_us, energy,
        unnest(range(start_us / 3600000000, (end_us - 1) / 3600000000 + 1)) AS utc_hour
    FROM (SELECT DISTINCT service_point_id, start_us, end_us, energy FROM used)
    WHERE service_point_id IN (SELECT service_point_id FROM windows WHERE method = 'sliding')
),
slid AS (
    SELECT
        c.service_point_id, c.account_id, c.width, c.local_month, c.starts, h.energy,
        CAST(h.end_us - h.start_us AS DECIMAL(19, 0)) AS micros,
        CAST(greatest(c.starts, h.start_us, h.utc_hour * 3600000000) - h.start_us AS DECIMAL(19, 0)) AS passed_from,
        CAST(least(c.starts + c.width, h.end_us, (h.utc_hour + 1) * 3600000000) - h.start_us AS DECIMAL(19, 0)) AS passed_to
    FROM candidates AS c
    JOIN hourly AS h ON h.service_point_id = c.service_point_id AND h.utc_hour = c.utc_hour
        AND h.start_us < c.starts + c.width AND h.end_us > c.starts
),
parts AS (
    SELECT
        service_point_id, account_id, 'sliding' AS method, width, local_month, starts, 0 AS island,
        CAST((energy - (energy % micros + micros) % micros) / micros AS DECIMAL(38, 0)) AS each,
        (energy % micros + micros) % micros AS rest, micros, passed_from, passed_to
    FROM slid
    WHERE passed_from < passed_to
    UNION ALL
    SELECT
        service_point_id, account_id, 'block', width, local_month, day_start + block * width, island,
        CAST((energy - (energy % micros + micros) % micros) / micros AS DECIMAL(38, 0)), (energy % micros + micros) % micros, micros,
        CAST(greatest(piece_from, day_start + block * width) - start_us AS DECIMAL(19, 0)),
        CAST(least(piece_to, day_start + (block + 1) * width) - start_us AS DECIMAL(19, 0))
    FROM blocked
),
-- Energy up to a moment is cut to whole half mW x us.
averaged AS (
    SELECT
        service_point_id, account_id, method, width, local_month, starts, island,
        sum(CAST(each * (passed_to - passed_from) AS DECIMAL(38, 0))
            + CAST((rest * passed_to - (rest * passed_to) % micros) / micros AS DECIMAL(38, 0))
            - CAST((rest * passed_from - (rest * passed_from) % micros) / micros AS DECIMAL(38, 0))) AS energy
    FROM parts
    GROUP BY service_point_id, account_id, method, width, local_month, starts, island
),
peaks AS (
    SELECT
        service_point_id, account_id, method, width, local_month,
        max(CASE WHEN energy > 0
            THEN CAST((energy + width * 1000 - (energy + width * 1000) % (width * 2000)) / (width * 2000) AS DECIMAL(19, 0))
            ELSE 0 END) AS watts
    FROM averaged
    GROUP BY service_point_id, account_id, method, width, local_month
),
-- The account's last contract in the month states the capacity.
capacities AS (
    SELECT service_point_id, account_id, local_month, capacity
    FROM (
        SELECT
            c.service_point_id, c.account_id, m.local_month, f.value AS capacity,
            row_number() OVER (PARTITION BY c.service_point_id, c.account_id, m.local_month ORDER BY c.valid_from DESC) AS place
        FROM contracts AS c
        JOIN months AS m ON m.site_id = c.site_id AND c.valid_from < m.month_end AND c.valid_to > m.month_start
        LEFT JOIN book.contract_facts AS f ON f.contract_id = c.id AND f.kind = 'capacity'
    )
    WHERE place = 1
),
known AS (
    SELECT
        o.service_point_id, o.account_id, o.version_id, o.local_month, o.month_days, o.owed_days, o.has_last, d.component, d.band,
        d.part, d.method, CAST(d.price * 1000000 AS DECIMAL(19, 0)) AS price,
        CAST(coalesce(k.watts, 0) AS DECIMAL(19, 0)) AS watts, c.capacity IS NOT NULL AS is_stated,
        CAST(coalesce(c.capacity, 0) AS DECIMAL(19, 0)) AS capacity,
        -- Rounded up.
        CAST((coalesce(c.capacity, 0) * CAST(d.tolerance * 1000000 AS DECIMAL(19, 0)) + 999999
            - (coalesce(c.capacity, 0) * CAST(d.tolerance * 1000000 AS DECIMAL(19, 0)) + 999999) % 1000000) / 1000000
            AS DECIMAL(19, 0)) AS tolerated
    FROM owed AS o
    JOIN book.component_demands AS d ON d.tariff_version_id = o.version_id
    LEFT JOIN peaks AS k ON k.service_point_id = o.service_point_id AND k.account_id = o.account_id
        AND k.local_month = o.local_month AND k.width = d.minutes * 60000000 AND k.method = d.method
    LEFT JOIN capacities AS c ON c.service_point_id = o.service_point_id AND c.account_id = o.account_id
        AND c.local_month = o.local_month
),
bounded AS (
    SELECT
        *,
        CASE WHEN part = 'capacity' THEN capacity
            WHEN part = 'excess' THEN CASE WHEN is_stated THEN greatest(watts - capacity - tolerated, 0) ELSE 0 END
            WHEN band IS NOT NULL THEN 0
            ELSE watts END AS low,
        CASE WHEN part = 'capacity' THEN capacity
            WHEN part = 'excess' THEN CASE WHEN is_stated THEN greatest(watts - capacity - tolerated, 0) ELSE 0 END
            ELSE watts END AS high
    FROM known
),
-- Each day's share is cut toward zero, and the month's last day absorbs the remainder.
wholes AS (
    SELECT
        *, CAST(CAST(low AS DECIMAL(19, 0)) * price AS DECIMAL(38, 0)) AS whole_low,
        CAST(CAST(high AS DECIMAL(19, 0)) * price AS DECIMAL(38, 0)) AS whole_high
    FROM bounded
),
spread AS (
    SELECT
        service_point_id, account_id, version_id, local_month, component, band,
        CAST((whole_low - whole_low % month_days) / month_days AS DECIMAL(38, 0)) * owed_days
            + has_last * (whole_low % month_days) AS nanos_low,
        CAST((whole_high - whole_high % month_days) / month_days AS DECIMAL(38, 0)) * owed_days
            + has_last * (whole_high % month_days) AS nanos_high
    FROM wholes
),
expected AS (
    SELECT
        service_point_id, account_id, version_id, local_month, component, band,
        CAST(sum(CAST(least(nanos_low, nanos_high) AS DECIMAL(29, 0))) AS DECIMAL(29, 0)) * 0.000000001 AS expected,
        CAST(sum(CAST(greatest(nanos_low, nanos_high) AS DECIMAL(29, 0))) AS DECIMAL(29, 0)) * 0.000000001 AS at_most
    FROM spread
    GROUP BY service_point_id, account_id, version_id, local_month, component, band
),
lines AS (
    SELECT
        l.service_point_id, l.account_id, l.tariff_version_id, l.component, l.amount, d.band,
        CAST(date_part('year', l.local_date) * 12 + date_part('month', l.local_date) - 1 AS BIGINT) AS local_month
    FROM (SELECT DISTINCT tariff_version_id, component, band FROM book.component_demands) AS d
    JOIN lake.charges AS l ON l.tariff_version_id = d.tariff_version_id AND l.component = d.component
        AND l.band = coalesce(d.band, 0)
    WHERE l.service_point_id NOT IN (SELECT service_point_id FROM book.epochs WHERE converts)
),
charged AS (
    SELECT
        l.service_point_id, l.account_id, l.tariff_version_id, l.local_month, l.component, l.band, sum(l.amount) AS amount
    FROM lines AS l
    JOIN book.service_points AS p ON p.id = l.service_point_id
    JOIN closed AS c ON c.site_id = p.site_id
    WHERE l.local_month BETWEEN c.since AND c.through
    GROUP BY l.service_point_id, l.account_id, l.tariff_version_id, l.local_month, l.component, l.band
),
compared AS (
    SELECT
        coalesce(e.service_point_id, c.service_point_id) AS service_point_id,
        coalesce(e.account_id, c.account_id) AS account_id,
        coalesce(e.local_month, c.local_month) AS local_month,
        coalesce(e.component, c.component) AS component,
        coalesce(e.band, c.band) AS band,
        coalesce(e.version_id, c.tariff_version_id) AS tariff_version_id,
        coalesce(e.expected, 0) AS expected,
        coalesce(e.at_most, 0) AS at_most,
        coalesce(c.amount, 0) AS charged
    FROM expected AS e
    FULL OUTER JOIN charged AS c
        ON c.service_point_id = e.service_point_id AND c.account_id = e.account_id AND c.local_month = e.local_month
        AND c.component = e.component AND c.tariff_version_id = e.version_id AND coalesce(c.band, 0) = coalesce(e.band, 0)
)
SELECT
    c.service_point_id, c.account_id, c.local_month, c.component, c.band, c.tariff_version_id, c.expected, c.at_most, c.charged
FROM compared AS c
LEFT JOIN decided AS d ON d.account_id = c.account_id AND d.local_month = c.local_month
WHERE d.account_id IS NULL AND c.charged NOT BETWEEN c.expected AND c.at_most
