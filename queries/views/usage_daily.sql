-- title: Daily usage | 日用量
-- purpose: What each service point used and cost, by account and local day, split by band.
-- column account: ; who owes it
-- column service_point: ; where it was used
-- column utility: ; electricity, water, gas or heat
-- column local_date: ; the site's local day
-- column quantity: kWh or m3; all bands
-- column single: kWh or m3; where one price holds all day
-- column sharp: kWh or m3; sharp band
-- column peak: kWh or m3; peak band
-- column flat: kWh or m3; flat band
-- column valley: kWh or m3; valley band
-- column deep_valley: kWh or m3; deep valley band
-- column dynamic: kWh or m3; hours with a price each
-- column unpriced: kWh or m3; beyond the end of a price series, not charged yet
-- column cost: currency; exact, not rounded
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
    currency
FROM charges
GROUP BY account, service_point, utility, local_date, currency
