-- title: Year on year | 同比
-- purpose: What was used, by local month, against the same month a year earlier. A month that is short of days in either
--   year says so, and so does a February with a leap day in one of them.
-- period: year
-- parameter from: first local day
-- parameter to: last local day
-- parameter before_from: a year before from
-- parameter before_to: a year before to
-- column utility: ; utility
-- column month: ; first day of the month
-- column this_year: kWh, m3 or GJ; used
-- column last_year: kWh, m3 or GJ; used a year earlier
-- column difference: kWh, m3 or GJ; this year minus last year
-- column percent: %; difference in percent of last year
-- column unit: ; unit
-- column note: ; what makes the two differ in length
-- totals: this_year last_year by utility unit
-- chart: grouped-bars x=month y=last_year,this_year panel=utility unit=unit
WITH used AS (
    SELECT
        utility,
        unit,
        local_date,
        local_date >= $from AS is_now,
        CAST(CASE WHEN local_date >= $from THEN date_trunc('month', local_date)
            ELSE date_trunc('month', local_date) + INTERVAL '1 year' END AS DATE) AS month,
        quantity
    FROM charges
    WHERE component = 'energy' AND (local_date BETWEEN $from AND $to OR local_date BETWEEN $before_from AND $before_to)
),
months AS (
    SELECT
        utility,
        unit,
        month,
        sum(CASE WHEN is_now THEN quantity END) AS this_year,
        sum(CASE WHEN NOT is_now THEN quantity END) AS last_year,
        count(DISTINCT CASE WHEN is_now THEN local_date END) AS days_now,
        count(DISTINCT CASE WHEN NOT is_now THEN local_date END) AS days_before,
        date_part('day', month + INTERVAL '1 month' - INTERVAL '1 day') AS length_now,
        date_part('day', month - INTERVAL '1 year' + INTERVAL '1 month' - INTERVAL '1 day') AS length_before
    FROM used
    GROUP BY utility, unit, month
)
SELECT
    utility,
    month,
    CAST(this_year AS DECIMAL(38, 3)) AS this_year,
    CAST(last_year AS DECIMAL(38, 3)) AS last_year,
    CAST(this_year - last_year AS DECIMAL(38, 3)) AS difference,
    CAST(CASE WHEN last_year > 0 THEN round(CAST(this_year - last_year AS DECIMAL(24, 3)) * 100 / CAST(last_year AS DECIMAL(24, 3)), 1) END
        AS DECIMAL(20, 1)) AS percent,
    unit,
    concat_ws('; ',
        CASE WHEN days_now = 0 THEN 'no data this year'
            WHEN days_now < length_now THEN concat(days_now, ' of ', length_now, ' days this year') END,
        CASE WHEN days_before = 0 THEN 'no data last year'
            WHEN days_before < length_before THEN concat(days_before, ' of ', length_before, ' days last year') END,
        CASE WHEN length_now > length_before THEN 'leap day this year'
            WHEN length_now < length_before THEN 'leap day last year' END) AS note
FROM months
ORDER BY utility, unit, month
