-- title: Use by account | 账户用量与费用
-- purpose: What each account used and owes for the period, split by band. The cost is the sum of the statement's lines, each
--   rounded half up to two digits.
-- period: month
-- parameter from: first local day
-- parameter to: last local day
-- column account: ; account
-- column holder: ; holder
-- column utility: ; utility
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
-- column cost: currency; sum of the rounded lines
-- column currency: ; currency
-- optional: single sharp peak flat valley deep_valley dynamic unpriced
-- totals: quantity single sharp peak flat valley deep_valley dynamic unpriced cost by utility unit
-- chart: horizontal-bars x=single,sharp,peak,flat,valley,deep_valley,dynamic,unpriced y=account,holder panel=utility unit=unit top=20
WITH lines AS (
    SELECT
        account, utility, unit, band, date_trunc('month', local_date) AS month,
        sum(CASE WHEN component = 'energy' THEN quantity ELSE CAST(0 AS DECIMAL(38, 3)) END) AS quantity,
        CAST(round(sum(amount), 2) AS DECIMAL(38, 2)) AS rounded
    FROM charges
    WHERE local_date BETWEEN $from AND $to
    GROUP BY
        account, utility, unit, band, date_trunc('month', local_date), service_point, component, tier, tariff_version_id
)
SELECT
    l.account,
    a.holder,
    l.utility,
    CAST(sum(l.quantity) AS DECIMAL(38, 3)) AS quantity,
    l.unit,
    CAST(sum(CASE WHEN l.band = 'single' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS single,
    CAST(sum(CASE WHEN l.band = 'sharp' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS sharp,
    CAST(sum(CASE WHEN l.band = 'peak' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS peak,
    CAST(sum(CASE WHEN l.band = 'flat' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS flat,
    CAST(sum(CASE WHEN l.band = 'valley' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS valley,
    CAST(sum(CASE WHEN l.band = 'deep_valley' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS deep_valley,
    CAST(sum(CASE WHEN l.band = 'dynamic' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS dynamic,
    CAST(sum(CASE WHEN l.band = 'unpriced' THEN l.quantity ELSE 0 END) AS DECIMAL(38, 3)) AS unpriced,
    CAST(sum(l.rounded) AS DECIMAL(38, 2)) AS cost,
    a.currency
FROM lines AS l
JOIN accounts AS a ON a.account = l.account
GROUP BY l.account, a.holder, l.utility, l.unit, a.currency
ORDER BY l.account, l.utility, l.unit
