-- title: Statements | 账单
-- purpose: The lines of each account's local month, each rounded once, half up, to two digits; the total is the sum of
--   the rounded lines.
-- column account: ; who owes it
-- column month: ; first day of the local month
-- column service_point: ; where it was used
-- column utility: ; electricity, water, gas or heat
-- column component: ; what is charged, such as energy
-- column band: ; single, sharp, peak, flat, valley, deep_valley, dynamic or unpriced
-- column tier: ; from 1; 0 for a free allowance
-- column tariff: ; the tariff's name
-- column price: currency per kWh or m3; of that version, band and tier; null where each hour has its own
-- column quantity: kWh or m3; how much
-- column amount: currency; exact
-- column rounded: currency; rounded half up to two digits
-- column total: currency; the sum of the account's rounded lines of the month
WITH lines AS (
    SELECT
        account, CAST(date_trunc('month', local_date) AS DATE) AS month, service_point, utility, component, band, tier,
        tariff, price, sum(quantity) AS quantity, sum(amount) AS amount
    FROM charges
    GROUP BY
        account, CAST(date_trunc('month', local_date) AS DATE), service_point, utility, component, band, tier, tariff,
        price
),
rounded AS (
    SELECT *, CAST(round(amount, 2) AS DECIMAL(38, 2)) AS rounded FROM lines WHERE quantity <> 0 OR amount <> 0
)
SELECT
    account, month, service_point, utility, component, band, tier, tariff, price, quantity, amount, rounded,
    CAST(sum(rounded) OVER (PARTITION BY account, month) AS DECIMAL(38, 2)) AS total
FROM rounded
