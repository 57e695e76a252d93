-- title: Daily energy | 每日能耗
-- purpose: What each service point used, by local day, split by band.
-- period: month
-- parameter from: first local day
-- parameter to: last local day
-- column local_date: ; day
-- column utility: ; utility
-- column service_point: ; service point
-- column quantity: kWh or m3; used
-- column unit: ; unit
-- column single: kWh or m3; where one price holds all day
-- column sharp: kWh or m3; sharp band
-- column peak: kWh or m3; peak band
-- column flat: kWh or m3; flat band
-- column valley: kWh or m3; valley band
-- column deep_valley: kWh or m3; deep valley band
-- column dynamic: kWh or m3; hours with a price each
-- column unpriced: kWh or m3; beyond the end of a price series, not charged yet
-- totals: quantity single sharp peak flat valley deep_valley dynamic unpriced by utility
-- optional: single sharp peak flat valley deep_valley dynamic unpriced
-- chart: stacked-bars x=local_date y=single,sharp,peak,flat,valley,deep_valley,dynamic,unpriced panel=utility unit=unit
SELECT
    local_date,
    utility,
    service_point,
    CAST(sum(quantity) AS DECIMAL(38, 3)) AS quantity,
    CASE WHEN utility IN ('water', 'gas') THEN 'm3' ELSE 'kWh' END AS unit,
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
GROUP BY local_date, utility, service_point
ORDER BY local_date, utility, service_point
