-- title: Daily usage | 日用量
-- purpose: What each service point used and cost, by account and local day, split by band.
-- column account: ; who owes it
-- column service_point: ; where it was used
-- column utility: ; electricity, water, gas or heat
-- column local_date: ; the site's local day
-- column quantity: kWh, m3 or GJ; all bands
-- column single: kWh, m3 or GJ; where one price holds all day
-- column sharp: kWh, m3 or GJ; sharp band
-- column peak: kWh, m3 or GJ; peak band
-- column flat: kWh, m3 or GJ; flat band
-- column valley: kWh, m3 or GJ; valley band
-- column deep_valley: kWh, m3 or GJ; deep valley band
-- column dynamic: kWh, m3 or GJ; hours with a price each
-- column unpriced: kWh, m3 or GJ; beyond the end of a price series, not charged yet
-- column cost: currency; of all components, exact, not rounded
-- column unit: ; the billing unit: kWh, m3 or GJ
-- column currency: ; of the cost: kWh or m3 where the account buys units
SELECT
    account,
    service_point,
    utility,
    local_date,
    sum(quantity) AS quantity,
    sum(CASE WHEN band = 'single' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS single,
    sum(CASE WHEN band = 'sharp' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS sharp,
    sum(CASE WHEN band = 'peak' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS peak,
    sum(CASE WHEN band = 'flat' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS flat,
    sum(CASE WHEN band = 'valley' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS valley,
    sum(CASE WHEN band = 'deep_valley' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS deep_valley,
    sum(CASE WHEN band = 'dynamic' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS dynamic,
    sum(CASE WHEN band = 'unpriced' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS unpriced,
    sum(amount) AS cost,
    unit,
    currency
FROM (
    SELECT
        account, service_point, utility, unit, currency, local_date, band, amount,
        -- Other components have quantities of their own, such as kW.
        CASE WHEN component = 'energy' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END AS quantity
    FROM charges
)
GROUP BY account, service_point, utility, unit, local_date, currency
