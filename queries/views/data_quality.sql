-- title: Data quality | 数据质量
-- purpose: What readings have wrong (domain.md, 3): one row for each finding of a meter, from when to when, with what was
--   expected and what was seen. Thresholds: data/quality/rules.toml. Time is data here: the newest reading of the site.
-- column meter: ; serial number
-- column service_point: ; where it is installed
-- column utility: ; electricity, water, gas or heat
-- column issue: ; gap, duplicate, conflict, future, invalid, overlap or no_epoch (refused readings); jitter, decrease, spike,
--   reset or jump (registers); stuck, zero_run, catch_up_spike, reverse_flow, sum_check, clock_drift, silent, regime_break
-- column start_time: UTC; since when
-- column end_time: UTC; where it ends or was seen last: a reading's time, the gap's end, the site's newest reading
-- column register_count: counts; the register that was seen last, or null
-- column quantity: kWh, m3 or GJ; the usage that was seen last, or what was used over a gap
-- column severity: ; info, warning or critical
-- column state: ; open, ended or acknowledged
-- column age_hours: h; how long it is open, or lasted
-- column expected: ; in words
-- column seen: ; in words
-- column acknowledged_by: ; who acknowledged it, or null
-- column acknowledged_for: ; the reason given, or null
WITH installations AS (
    SELECT
        e.id, e.meter_id, e.service_point_id, e.valid_from, e.valid_to,
        -- 1/1000 kWh or m3 a count, also where GJ are billed: 2500/9 kWh.
        e.numerator * CASE WHEN p.unit = 'GJ' THEN 2500 ELSE 1 END AS numerator,
        e.denominator * CASE WHEN p.unit = 'GJ' THEN 9 ELSE 1 END AS denominator
    FROM book.service_points AS p
    JOIN book.epochs AS e ON e.service_point_id = p.id
    WHERE e.superseded_at IS NULL
),
-- The newest reading that counts, of each meter and of its site.
newest AS (
    SELECT n.meter_id, m.bus IS NOT NULL AS is_polled, n.last_time, max(n.last_time) OVER (PARTITION BY m.site_id) AS site_time
    FROM book.meters AS m
    JOIN (SELECT meter_id, max(time) AS last_time FROM lake.readings WHERE verdict IN (1, 2, 3) GROUP BY meter_id) AS n
        ON n.meter_id = m.id
),
-- Usage: one pass in the order of the files ------------------------------------------------------------------------------
usage_steps AS (
    SELECT
        meter_id, start, time, value,
        lag(time) OVER (PARTITION BY meter_id ORDER BY time) AS before_end,
        lag(value) OVER (PARTITION BY meter_id ORDER BY time) AS before_value,
        lead(start) OVER (PARTITION BY meter_id ORDER BY time) AS next_start,
        lead(value) OVER (PARTITION BY meter_id ORDER BY time) AS next_value,
        sum(value) OVER (PARTITION BY meter_id ORDER BY time
            ROWS BETWEEN $level_rows PRECEDING AND $level_rows FOLLOWING) AS level_sum,
        sum(CASE WHEN value <> 0 THEN 1 ELSE 0 END) OVER (PARTITION BY meter_id ORDER BY time
            ROWS BETWEEN $level_rows PRECEDING AND $level_rows FOLLOWING) AS level_count
    FROM lake.readings
    WHERE start IS NOT NULL AND verdict = 1
),
usage_runs AS (
    SELECT
        *,
        max(CASE WHEN (before_end IS DISTINCT FROM start) OR before_value <> value THEN start END)
            OVER (PARTITION BY meter_id ORDER BY time ROWS UNBOUNDED PRECEDING) AS run_start
    FROM usage_steps
),
usage_marks AS (
    SELECT
        meter_id, start, time, value, before_end, before_value, level_sum, level_count, run_start,
        lag(run_start) OVER (PARTITION BY meter_id ORDER BY time) AS before_start,
        (next_start IS DISTINCT FROM time) OR next_value <> value AS is_last,
        (CAST(time AS BIGINT) - CAST(run_start AS BIGINT)) / 3600000000 AS run_hours,
        (CAST(start AS BIGINT) - CAST(before_end AS BIGINT)) / 60000000 AS missing_minutes
    FROM usage_runs
),
usage_found AS (
    SELECT
        meter_id, start, time, value, before_end, before_start, run_start, run_hours, missing_minutes,
        level_sum - value AS level_sum, greatest(level_count - 1, 1) AS level_count,
        is_last AND value = 0 AS is_zero,
        is_last AND value <> 0 AND run_hours >= $stuck_hours AS is_stuck,
        before_value = 0 AND before_end = start AND value > 0
            AND value * greatest(level_count - 1, 1) > $catch_up_factor * (level_sum - value) AS is_catch_up,
        missing_minutes > $gap_hours * 60 AS is_missing,
        (CAST(before_end AS BIGINT) - CAST(before_start AS BIGINT)) / 3600000000 AS before_hours
    FROM usage_marks
    WHERE (is_last AND run_hours >= $zero_run_hours_electricity) OR before_value = 0 OR missing_minutes > $gap_hours * 60
),
usage_issues AS (
    SELECT
        u.meter_id,
        k.issue,
        CASE k.issue WHEN 'gap' THEN u.before_end WHEN 'catch_up_spike' THEN u.start ELSE u.run_start END AS start_time,
        CASE k.issue WHEN 'gap' THEN u.start ELSE u.time END AS end_time,
        CASE WHEN k.issue <> 'gap' THEN CAST(CAST(u.value AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) END AS quantity,
        CASE k.issue
            WHEN 'gap' THEN CASE WHEN u.missing_minutes > $gap_warning_hours * 60 THEN 'warning' ELSE 'info' END
            WHEN 'catch_up_spike' THEN CASE WHEN m.utility = 'electricity' THEN 'warning' ELSE 'info' END
            ELSE 'warning'
        END AS severity,
        CASE WHEN k.issue IN ('gap', 'catch_up_spike') THEN 'ended' ELSE 'newest' END AS ends,
        CASE k.issue
            WHEN 'gap' THEN 'usage without a hole'
            WHEN 'catch_up_spike' THEN 'about ' || CAST(CAST(CAST(u.level_sum / u.level_count AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS VARCHAR)
            WHEN 'zero_run' THEN 'some use'
            ELSE 'use that varies'
        END AS expected,
        CASE k.issue
            WHEN 'gap' THEN 'nothing for ' || CAST(u.missing_minutes AS VARCHAR) || ' min'
            WHEN 'catch_up_spike' THEN CAST(CAST(CAST(u.value AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS VARCHAR)
                || ' after ' || CAST(u.before_hours AS VARCHAR) || ' h of zeros'
            WHEN 'zero_run' THEN CAST(u.run_hours AS VARCHAR) || ' h of zeros'
            ELSE CAST(u.run_hours AS VARCHAR) || ' h of the same value'
        END AS seen
    FROM (VALUES ('gap'), ('catch_up_spike'), ('zero_run'), ('stuck')) AS k(issue)
    JOIN (
        SELECT * FROM usage_found WHERE is_zero OR is_stuck OR is_catch_up OR is_missing
    ) AS u
        ON (k.issue = 'gap' AND u.is_missing) OR (k.issue = 'catch_up_spike' AND u.is_catch_up)
            OR (k.issue = 'zero_run' AND u.is_zero) OR (k.issue = 'stuck' AND u.is_stuck)
    JOIN book.meters AS m ON m.id = u.meter_id
    WHERE (k.issue <> 'zero_run'
            OR u.run_hours >= CASE WHEN m.utility = 'electricity' THEN $zero_run_hours_electricity ELSE $zero_run_hours_other END)
        AND (k.issue <> 'catch_up_spike'
            OR u.before_hours >= CASE WHEN m.utility = 'electricity'
                THEN $catch_up_zero_hours_electricity ELSE $catch_up_zero_hours_other END)
),
-- Registers: one pass in the order of the files ----------------------------------------------------------------------------
register_steps AS (
    SELECT
        meter_id, time, value, before_count, before_class, next_class, next_value, class, reversed, next_reversed, power_mw,
        (CAST(time AS BIGINT) - CAST(before_time AS BIGINT)) / 1000000 AS seconds,
        least(coalesce(flow_mw, 0), coalesce(before_flow, 0)) AS least_flow,
        coalesce(before_reversed, false) AS before_reversed
    FROM (
        SELECT
            *,
            lag(CASE WHEN class = 0 THEN value END) IGNORE NULLS OVER (PARTITION BY meter_id ORDER BY time) AS before_count,
            lag(time) OVER (PARTITION BY meter_id ORDER BY time) AS before_time,
            lag(flow_mw) OVER (PARTITION BY meter_id ORDER BY time) AS before_flow,
            lag(class) OVER (PARTITION BY meter_id ORDER BY time) AS before_class,
            lead(class) OVER (PARTITION BY meter_id ORDER BY time) AS next_class,
            lead(value) OVER (PARTITION BY meter_id ORDER BY time) AS next_value,
            lag(reversed) OVER (PARTITION BY meter_id ORDER BY time) AS before_reversed,
            lead(reversed) OVER (PARTITION BY meter_id ORDER BY time) AS next_reversed
        FROM (
            SELECT
                meter_id, time, value, power_mw,
                coalesce(power_mw, voltage_mv * current_ma / 100000 * $assumed_power_factor_percent) AS flow_mw,
                coalesce(power_mw < -$reverse_flow_mw, false) AS reversed,
                CASE WHEN verdict IN (1, 2) THEN 0 ELSE verdict END AS class
            FROM lake.readings
            WHERE start IS NULL AND verdict BETWEEN 1 AND 6
        )
    )
),
register_sums AS (
    SELECT
        *,
        -- mJ that must have flowed, at least: less of the power at both ends, where they are no gap.
        sum(CASE WHEN seconds <= $gap_hours * 3600 THEN greatest(least_flow, 0) * seconds ELSE 0 END)
            OVER (PARTITION BY meter_id ORDER BY time ROWS UNBOUNDED PRECEDING) AS flowed,
        max(CASE WHEN class = 0 AND (value IS DISTINCT FROM before_count) THEN time END)
            OVER (PARTITION BY meter_id ORDER BY time ROWS UNBOUNDED PRECEDING) AS moved_at,
        max(CASE WHEN class IS DISTINCT FROM before_class THEN time END)
            OVER (PARTITION BY meter_id ORDER BY time ROWS UNBOUNDED PRECEDING) AS class_from,
        max(CASE WHEN reversed AND NOT before_reversed THEN time END)
            OVER (PARTITION BY meter_id ORDER BY time ROWS UNBOUNDED PRECEDING) AS reversed_from
    FROM register_steps
),
register_marks AS (
    SELECT
        meter_id, time, value, before_count, class, class_from, reversed_from, moved_at, power_mw,
        class > 0 AND (class IS DISTINCT FROM next_class) AS is_judged,
        reversed AND NOT coalesce(next_reversed, false) AS is_reversed,
        class = 0 AND value = before_count AND (value IS DISTINCT FROM next_value)
            AND (CAST(time AS BIGINT) - CAST(moved_at AS BIGINT)) / 60000000 >= $stuck_minutes AS stands,
        flowed - max(CASE WHEN class = 0 AND (value IS DISTINCT FROM before_count) THEN flowed END)
            OVER (PARTITION BY meter_id ORDER BY time ROWS UNBOUNDED PRECEDING) AS flowed
    FROM register_sums
),
register_issues AS (
    SELECT
        r.meter_id,
        k.issue,
        CASE k.issue WHEN 'stuck' THEN r.moved_at WHEN 'reverse_flow' THEN r.reversed_from ELSE r.class_from END AS start_time,
        r.time AS end_time,
        r.value AS register_count,
        CASE
            WHEN k.issue IN ('reset', 'jump', 'stuck') THEN 'critical'
            WHEN k.issue = 'reverse_flow' OR r.class = 4 THEN 'warning'
            ELSE 'info'
        END AS severity,
        CASE
            WHEN k.issue = 'reverse_flow' THEN 'power at or above zero'
            WHEN k.issue = 'stuck' THEN 'an advance: ' || CAST(r.flowed / 3600000 AS VARCHAR) || ' Wh or litres flowed'
            WHEN k.issue IN ('decrease', 'reset', 'jitter') THEN 'at least ' || coalesce(CAST(r.before_count AS VARCHAR), 'the opening count')
            ELSE 'an advance that the meter can make from ' || coalesce(CAST(r.before_count AS VARCHAR), 'its opening count')
        END AS expected,
        CASE
            WHEN k.issue = 'reverse_flow' THEN CAST(r.power_mw / 1000 AS VARCHAR) || ' W'
            WHEN k.issue = 'stuck' THEN 'it stands at ' || CAST(r.value AS VARCHAR)
            WHEN r.class = 4 THEN CAST(r.value AS VARCHAR) || ', suspended'
            WHEN r.class = 5 THEN CAST(r.value AS VARCHAR) || ', a glitch'
            WHEN r.class = 6 THEN CAST(r.value AS VARCHAR) || ', nothing is billed until an operator opens an installation'
            ELSE CAST(r.value AS VARCHAR)
        END AS seen
    FROM (VALUES ('jitter'), ('decrease'), ('spike'), ('reset'), ('jump'), ('stuck'), ('reverse_flow')) AS k(issue)
    JOIN (
        SELECT c.*, c.stands AND c.flowed >= e.numerator * $stuck_counts * 3600000 / e.denominator AS is_stuck
        FROM installations AS e
        JOIN (
            SELECT *, coalesce(value < before_count, false) AS fell FROM register_marks WHERE is_judged OR is_reversed OR stands
        ) AS c ON e.meter_id = c.meter_id AND e.valid_from <= c.time AND (e.valid_to IS NULL OR c.time < e.valid_to)
    ) AS r
        ON CASE k.issue
            WHEN 'stuck' THEN r.is_stuck
            WHEN 'reverse_flow' THEN r.is_reversed
            WHEN 'jitter' THEN r.is_judged AND r.class = 3
            WHEN 'decrease' THEN r.is_judged AND r.class IN (4, 5) AND r.fell
            WHEN 'spike' THEN r.is_judged AND r.class IN (4, 5) AND NOT r.fell
            WHEN 'reset' THEN r.is_judged AND r.class = 6 AND r.fell
            ELSE r.is_judged AND r.class = 6 AND NOT r.fell
        END
),
-- Readings that were refused: those of one kind that follow each other are one finding -----------------------------------
refused AS (
    SELECT
        meter_id, verdict, coalesce(start, time) AS began, time, start, value,
        sum(CASE WHEN coalesce(start, time) <= before_time + INTERVAL '$episode_hours hours' THEN 0 ELSE 1 END)
            OVER (PARTITION BY meter_id, verdict ORDER BY time ROWS UNBOUNDED PRECEDING) AS episode
    FROM (
        SELECT *, lag(time) OVER (PARTITION BY meter_id, verdict ORDER BY time) AS before_time
        FROM lake.readings
        WHERE verdict BETWEEN 7 AND 12
    )
),
refused_issues AS (
    SELECT
        meter_id,
        CASE verdict
            WHEN 7 THEN 'duplicate' WHEN 8 THEN 'conflict' WHEN 9 THEN 'future' WHEN 10 THEN 'invalid' WHEN 11 THEN 'overlap'
            ELSE 'no_epoch'
        END AS issue,
        min(began) AS start_time,
        max(time) AS end_time,
        CASE WHEN count(*) = 1 AND max(start) IS NULL THEN max(value) END AS register_count,
        CASE WHEN count(*) = 1 AND max(start) IS NOT NULL
            THEN CAST(CAST(max(value) AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) END AS quantity,
        CASE WHEN verdict IN (7, 11) THEN 'info' ELSE 'warning' END AS severity,
        CASE verdict WHEN 7 THEN 'ended' WHEN 11 THEN 'ended' WHEN 8 THEN 'open' ELSE 'newest' END AS ends,
        CASE verdict
            WHEN 7 THEN 'each reading once'
            WHEN 8 THEN 'one value at a moment'
            WHEN 9 THEN 'a time that has come'
            WHEN 10 THEN 'a count'
            WHEN 11 THEN 'usage that is not billed already'
            ELSE 'an installation at that time'
        END AS expected,
        CAST(count(*) AS VARCHAR) || CASE verdict
            WHEN 7 THEN ' repeated'
            WHEN 8 THEN ' that contradict each other: correct them'
            WHEN 9 THEN ' dated ahead of their arrival: its clock is fast'
            WHEN 10 THEN ' that are none'
            WHEN 11 THEN ' that overlap'
            ELSE ' outside of all installations'
        END AS seen
    FROM refused
    GROUP BY meter_id, verdict, episode
),
-- A slow clock: nothing of a whole day arrives in time ---------------------------------------------------------------------
drifting AS (
    SELECT
        meter_id, start_time, end_time, delay_seconds, readings,
        sum(CASE WHEN day = before_day + 1 THEN 0 ELSE 1 END) OVER (PARTITION BY meter_id ORDER BY day ROWS UNBOUNDED PRECEDING) AS episode
    FROM (
        SELECT *, lag(day) OVER (PARTITION BY meter_id ORDER BY day) AS before_day
        FROM (
            SELECT
                meter_id, CAST(time AS BIGINT) / 86400000000 AS day, min(time) AS start_time, max(time) AS end_time,
                min(CAST(received_at AS BIGINT) - CAST(time AS BIGINT)) / 1000000 AS delay_seconds, count(*) AS readings
            FROM lake.readings
            WHERE verdict IN (1, 2, 3) AND start IS NULL AND received_at < time + INTERVAL '24 hours'
            GROUP BY meter_id, CAST(time AS BIGINT) / 86400000000
            HAVING min(CAST(received_at AS BIGINT) - CAST(time AS BIGINT)) > $clock_drift_seconds * 1000000
                AND count(*) >= $clock_drift_readings AND min(received_at) < max(received_at)
        )
    )
),
drift_issues AS (
    SELECT
        meter_id, min(start_time) AS start_time, max(end_time) AS end_time,
        'at least ' || CAST(min(delay_seconds) AS VARCHAR) || ' s between its time and arrival in all '
            || CAST(sum(readings) AS VARCHAR) || ' readings: its clock or its way is slow' AS seen
    FROM drifting
    GROUP BY meter_id, episode
),
-- Parents against their children ----------------------------------------------------------------------------------------------
families AS (
    SELECT id AS meter_id, parent_id AS family, false AS is_parent FROM book.meter_parents WHERE parent_id IS NOT NULL
    UNION ALL
    SELECT DISTINCT parent_id AS meter_id, parent_id AS family, true FROM book.meter_parents WHERE parent_id IS NOT NULL
),
member_days AS (
    SELECT
        f.family, f.meter_id, f.is_parent, (CAST(i.end_time AS BIGINT) - 1) / 86400000000 AS day, sum(i.measured) AS quantity,
        min(i.start_time) AS start_time, max(i.end_time) AS end_time
    FROM families AS f
    JOIN installations AS e ON e.meter_id = f.meter_id
    JOIN intervals AS i ON i.epoch_id = e.id
    GROUP BY f.family, f.meter_id, f.is_parent, (CAST(i.end_time AS BIGINT) - 1) / 86400000000
),
family_days AS (
    SELECT
        family, day, count(*) AS members, min(start_time) AS start_time, max(end_time) AS end_time,
        greatest(CAST(max(start_time) AS BIGINT) - CAST(min(start_time) AS BIGINT),
            CAST(max(end_time) AS BIGINT) - CAST(min(end_time) AS BIGINT)) / 60000000 AS apart_minutes,
        sum(CASE WHEN is_parent THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS parent,
        sum(CASE WHEN is_parent THEN CAST(0 AS DECIMAL(38, 3)) ELSE quantity END) AS children
    FROM member_days
    GROUP BY family, day
),
unbalanced AS (
    SELECT
        d.family, d.day, d.start_time, d.end_time, d.parent, d.children, d.children > d.parent AS is_excess,
        sum(CASE WHEN d.day = d.before_day + 1 AND (d.children > d.parent) = d.before_excess THEN 0 ELSE 1 END)
            OVER (PARTITION BY d.family ORDER BY d.day ROWS UNBOUNDED PRECEDING) AS episode
    FROM (
        SELECT
            w.*, lag(w.day) OVER (PARTITION BY w.family ORDER BY w.day) AS before_day,
            lag(w.children > w.parent) OVER (PARTITION BY w.family ORDER BY w.day) AS before_excess
        FROM family_days AS w
        JOIN (SELECT family, count(*) AS members FROM families GROUP BY family) AS s ON s.family = w.family AND s.members = w.members
        WHERE w.apart_minutes <= $sum_aligned_minutes AND w.parent >= $sum_least_units
            AND (w.children * 100 > w.parent * (100 + $sum_excess_percent)
                OR w.children * 100 < w.parent * (100 - $sum_loss_percent))
    ) AS d
),
sum_issues AS (
    SELECT
        family AS meter_id, min(start_time) AS start_time, max(end_time) AS end_time,
        CAST(sum(parent) AS DECIMAL(38, 3)) AS quantity, CASE WHEN is_excess THEN 'critical' ELSE 'warning' END AS severity,
        'its children add up to about ' || CAST(CAST(sum(parent) AS DECIMAL(38, 3)) AS VARCHAR) AS expected,
        'they add up to ' || CAST(CAST(sum(children) AS DECIMAL(38, 3)) AS VARCHAR) AS seen
    FROM unbalanced
    GROUP BY family, episode, is_excess
),
-- A level that breaks: months against the same months a year before -------------------------------------------------------
meter_days AS (
    SELECT
        e.meter_id, (CAST(i.end_time AS BIGINT) - 1) / 86400000000 AS day, sum(i.measured) AS quantity,
        min(i.start_time) AS start_time, max(i.end_time) AS end_time
    FROM installations AS e
    JOIN intervals AS i ON i.epoch_id = e.id
    GROUP BY e.meter_id, (CAST(i.end_time AS BIGINT) - 1) / 86400000000
),
meter_months AS (
    SELECT
        meter_id, CAST(date_part('year', start_time) * 12 + date_part('month', start_time) AS INT) AS month,
        sum(quantity) AS quantity, min(start_time) AS start_time, max(end_time) AS end_time
    FROM meter_days
    GROUP BY meter_id, CAST(date_part('year', start_time) * 12 + date_part('month', start_time) AS INT)
),
compared AS (
    SELECT
        *,
        lag(month, 12) OVER (PARTITION BY meter_id ORDER BY month) AS year_before,
        lag(quantity, 12) OVER (PARTITION BY meter_id ORDER BY month) AS quantity_before,
        -- The level held until the month a year before; it broke at the earliest in the month after that.
        lag(start_time, 11) OVER (PARTITION BY meter_id ORDER BY month) AS broke_at,
        max(quantity) OVER (PARTITION BY meter_id) AS highest
    FROM meter_months
),
shifted AS (
    SELECT *, CASE WHEN quantity < quantity_before THEN -1 ELSE 1 END AS direction
    FROM compared
    WHERE year_before = month - 12 AND greatest(quantity, quantity_before) * 100 >= highest * $regime_share_percent
        AND (quantity * $regime_factor < quantity_before OR quantity > quantity_before * $regime_factor)
),
shifts AS (
    SELECT
        meter_id, direction, max(broke_at) AS start_time, max(end_time) AS end_time, sum(quantity) AS quantity,
        sum(quantity_before) AS quantity_before, count(*) AS months, min(month) AS first_month
    FROM (
        SELECT
            *,
            sum(CASE WHEN month = before_month + 1 AND direction = before_direction THEN 0 ELSE 1 END)
                OVER (PARTITION BY meter_id ORDER BY month ROWS UNBOUNDED PRECEDING) AS episode
        FROM (
            SELECT
                *, lag(month) OVER (PARTITION BY meter_id ORDER BY month) AS before_month,
                lag(direction) OVER (PARTITION BY meter_id ORDER BY month) AS before_direction
            FROM shifted
        )
    )
    GROUP BY meter_id, direction, episode
    HAVING count(*) >= $regime_months
),
regime_issues AS (
    SELECT
        meter_id, start_time, end_time, CAST(quantity AS DECIMAL(38, 3)) AS quantity,
        CASE WHEN next_direction <> direction THEN 'ended' ELSE 'open' END AS ends,
        'about ' || CAST(CAST(quantity_before AS DECIMAL(38, 3)) AS VARCHAR) || ' in these months, as a year before' AS expected,
        CAST(CAST(quantity AS DECIMAL(38, 3)) AS VARCHAR) || ' in ' || CAST(months AS VARCHAR)
            || CASE WHEN direction < 0 THEN ' months: the level fell' ELSE ' months: the level rose' END AS seen
    FROM (
        SELECT
            *, lag(direction) OVER (PARTITION BY meter_id ORDER BY first_month) AS before_direction,
            lead(direction) OVER (PARTITION BY meter_id ORDER BY first_month) AS next_direction
        FROM shifts
    )
    -- What goes back to where it was ends a break and is none.
    WHERE before_direction IS NULL OR before_direction = direction
),
findings AS (
    SELECT
        meter_id, issue, start_time, end_time, CAST(NULL AS BIGINT) AS register_count, quantity, severity, ends, expected, seen
    FROM usage_issues
    UNION ALL
    SELECT
        meter_id, issue, start_time, end_time, register_count, CAST(NULL AS DECIMAL(38, 3)), severity,
        CASE WHEN issue = 'jitter' THEN 'ended' ELSE 'newest' END, expected, seen
    FROM register_issues
    UNION ALL
    SELECT meter_id, issue, start_time, end_time, register_count, quantity, severity, ends, expected, seen FROM refused_issues
    UNION ALL
    SELECT
        e.meter_id, 'gap', i.start_time, i.end_time, CAST(NULL AS BIGINT), i.quantity,
        CASE WHEN i.end_time > i.start_time + INTERVAL '$gap_warning_hours hours' THEN 'warning' ELSE 'info' END, 'ended',
        'a reading at least every $gap_hours h',
        'none for ' || CAST((CAST(i.end_time AS BIGINT) - CAST(i.start_time AS BIGINT)) / 60000000 AS VARCHAR) || ' min'
    FROM installations AS e
    JOIN intervals AS i ON i.epoch_id = e.id
    WHERE i.kind = 'register' AND i.end_time > i.start_time + INTERVAL '$gap_hours hours'
    UNION ALL
    SELECT
        meter_id, 'clock_drift', start_time, end_time, CAST(NULL AS BIGINT), CAST(NULL AS DECIMAL(38, 3)), 'warning', 'day',
        'arrival within $clock_drift_seconds s of the time that it gives', seen
    FROM drift_issues
    UNION ALL
    SELECT
        meter_id, 'sum_check', start_time, end_time, CAST(NULL AS BIGINT), quantity, severity, 'day', expected, seen
    FROM sum_issues
    UNION ALL
    SELECT
        meter_id, 'regime_break', start_time, end_time, CAST(NULL AS BIGINT), quantity, 'critical', ends, expected, seen
    FROM regime_issues
    UNION ALL
    SELECT
        n.meter_id, 'silent', n.last_time, n.site_time, CAST(NULL AS BIGINT), CAST(NULL AS DECIMAL(38, 3)),
        CASE WHEN n.is_polled AND n.site_time > n.last_time + INTERVAL '$silent_critical_hours hours'
            THEN 'critical' ELSE 'warning' END,
        'open', 'a reading at least every $silent_hours h',
        'nothing for ' || CAST((CAST(n.site_time AS BIGINT) - CAST(n.last_time AS BIGINT)) / 3600000000 AS VARCHAR) || ' h'
    FROM newest AS n
    JOIN (
        SELECT meter_id, valid_to, row_number() OVER (PARTITION BY meter_id ORDER BY valid_from DESC, id DESC) AS place
        FROM installations
    ) AS e ON e.meter_id = n.meter_id AND e.place = 1 AND e.valid_to IS NULL
    WHERE n.site_time > n.last_time + INTERVAL '$silent_hours hours'
),
-- One row for each finding: two installations may meet in it, and it may be acknowledged twice.
placed AS (
    SELECT
        f.meter_id, f.issue, f.start_time, max(f.end_time) AS end_time, max(f.register_count) AS register_count,
        max(f.quantity) AS quantity, max(f.severity) AS severity, max(f.ends) AS ends, max(f.expected) AS expected,
        max(f.seen) AS seen, max(p.name) AS service_point, max(k.actor) AS acknowledged_by, max(k.reason) AS acknowledged_for
    FROM findings AS f
    LEFT JOIN installations AS e ON e.meter_id = f.meter_id AND e.valid_from <= f.end_time
        AND (e.valid_to IS NULL OR f.end_time <= e.valid_to)
    LEFT JOIN book.service_points AS p ON p.id = e.service_point_id
    LEFT JOIN book.quality_acknowledgements AS k ON k.meter_id = f.meter_id AND k.issue = f.issue
        AND f.start_time <= k.since AND k.since <= f.end_time
    GROUP BY f.meter_id, f.issue, f.start_time
),
dated AS (
    SELECT
        p.*, n.site_time,
        CASE
            WHEN p.acknowledged_by IS NOT NULL THEN 'acknowledged'
            WHEN p.ends = 'newest' AND n.last_time > p.end_time THEN 'ended'
            WHEN p.ends = 'day' AND n.last_time > p.end_time + INTERVAL '24 hours' THEN 'ended'
            WHEN p.ends = 'ended' THEN 'ended'
            ELSE 'open'
        END AS state
    FROM placed AS p
    LEFT JOIN newest AS n ON n.meter_id = p.meter_id
)
SELECT
    m.serial AS meter,
    d.service_point,
    m.utility,
    d.issue,
    d.start_time,
    d.end_time,
    d.register_count,
    d.quantity,
    d.severity,
    d.state,
    (CAST(CASE WHEN d.state = 'open' THEN greatest(coalesce(d.site_time, d.end_time), d.end_time) ELSE d.end_time END AS BIGINT)
        - CAST(d.start_time AS BIGINT)) / 3600000000 AS age_hours,
    d.expected,
    d.seen,
    d.acknowledged_by,
    d.acknowledged_for
FROM dated AS d
JOIN book.meters AS m ON m.id = d.meter_id
