-- title: Monthly energy | 每月能耗
-- purpose: What each service point used, by local month, split by band.
-- period: year
-- parameter from: first local day
-- parameter to: last local day
-- column month: ; first day of the month
-- column utility: ; utility
-- column service_point: ; service point
-- column quantity: kWh, m3 or GJ; used
-- column unit: ; unit
-- column single: kWh, m3 or GJ; where one price holds all day
-- column sharp: kWh, m3 or GJ; sharp band
-- column peak: kWh, m3 or GJ; peak band
-- column flat: kWh, m3 or GJ; flat band
-- column valley: kWh, m3 or GJ; valley band
-- column deep_valley: kWh, m3 or GJ; deep valley band
-- column dynamic: kWh, m3 or GJ; hours with a price each
-- column unpriced: kWh, m3 or GJ; beyond the end of a price series, not charged yet
-- totals: quantity single sharp peak flat valley deep_valley dynamic unpriced by utility unit
-- optional: single sharp peak flat valley deep_valley dynamic unpriced
-- chart: stacked-bars x=month y=single,sharp,peak,flat,valley,deep_valley,dynamic,unpriced panel=utility unit=unit
SELECT
    CAST(date_trunc('month', local_date) AS DATE) AS month,
    utility,
    service_point,
    CAST(sum(quantity) AS DECIMAL(38, 3)) AS quantity,
    unit,
    CAST(sum(single) AS DECIMAL(38, 3)) AS single,
    CAST(sum(sharp) AS DECIMAL(38, 3)) AS sharp,
    CAST(sum(peak) AS DECIMAL(38, 3)) AS peak,
    CAST(sum(flat) AS DECIMAL(38, 3)) AS flat,
    CAST(sum(valley) AS DECIMAL(38, 3)) AS valley,
    CAST(sum(deep_valley) AS DECIMAL(38, 3)) AS deep_valley,
    CAST(sum(dynamic) AS DECIMAL(38, 3)) AS dynamic,
    CAST(sum(unpriced) AS DECIMAL(38, 3)) AS unpriced
FROM usage_daily
WHERE local_date BETWEEN $from AND $to
GROUP BY CAST(date_trunc('month', local_date) AS DATE), utility, service_point, unit
ORDER BY month, utility, service_point
