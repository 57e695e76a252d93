-- title: Yearly energy | 每年能耗
-- purpose: What each service point used, by local year.
-- period: all
-- parameter from: first local day
-- parameter to: last local day
-- column year: ; year
-- column utility: ; utility
-- column service_point: ; service point
-- column quantity: kWh, m3 or GJ; used
-- column unit: ; unit
-- column days: ; local days with data
-- totals: quantity by utility unit
-- chart: stacked-bars x=year y=quantity panel=utility unit=unit
SELECT
    CAST(date_part('year', local_date) AS INT) AS year,
    utility,
    service_point,
    CAST(sum(quantity) AS DECIMAL(38, 3)) AS quantity,
    unit,
    count(DISTINCT local_date) AS days
FROM charges
WHERE component = 'energy' AND local_date BETWEEN $from AND $to
GROUP BY CAST(date_part('year', local_date) AS INT), utility, service_point, unit
ORDER BY year, utility, service_point
