-- title: Monthly usage | 月用量
-- purpose: What each service point used and cost, by account and local month, split by band.
-- column account: ; who owes it
-- column service_point: ; where it was used
-- column utility: ; electricity, water, gas or heat
-- column month: ; first day of the site's local month
-- column quantity: kWh, m3 or GJ; all bands
-- column single: kWh, m3 or GJ; where one price holds all day
-- column sharp: kWh, m3 or GJ; sharp band
-- column peak: kWh, m3 or GJ; peak band
-- column flat: kWh, m3 or GJ; flat band
-- column valley: kWh, m3 or GJ; valley band
-- column deep_valley: kWh, m3 or GJ; deep valley band
-- column dynamic: kWh, m3 or GJ; hours with a price each
-- column unpriced: kWh, m3 or GJ; beyond the end of a price series, not charged yet
-- column cost: currency; exact, not rounded
-- column unit: ; the billing unit: kWh, m3 or GJ
-- column currency: ; of the cost: kWh or m3 where the account buys units
SELECT
    account,
    service_point,
    utility,
    CAST(date_trunc('month', local_date) AS DATE) AS month,
    sum(quantity) AS quantity,
    sum(single) AS single,
    sum(sharp) AS sharp,
    sum(peak) AS peak,
    sum(flat) AS flat,
    sum(valley) AS valley,
    sum(deep_valley) AS deep_valley,
    sum(dynamic) AS dynamic,
    sum(unpriced) AS unpriced,
    sum(cost) AS cost,
    unit,
    currency
FROM usage_daily
GROUP BY account, service_point, utility, unit, CAST(date_trunc('month', local_date) AS DATE), currency
