-- title: Statements | 账单
-- purpose: The lines of each account's local month, each rounded once, by the site's rule and to its currency's digits; the total is the sum of
--   the rounded lines. Closed months as they were frozen, with the remainder carried from statement to statement; open ones as
--   they are now, without what closed ones carry.
-- column account: ; who owes it
-- column month: ; first day of the local month of the statement
-- column statement: ; its number, counted by account; null while the month is open
-- column service_point: ; where it was used
-- column utility: ; electricity, water, gas or heat
-- column usage_month: ; first day of the month of use: an earlier one where the line adjusts it
-- column component: ; what is charged, such as energy
-- column band: ; single, sharp, peak, flat, valley, deep_valley, dynamic or unpriced
-- column tier: ; from 1; 0 for a free allowance
-- column tariff: ; the tariff's name
-- column price: currency per kWh, m3 or GJ; of that version, band and tier; null where each hour has its own
-- column quantity: kWh, m3 or GJ; how much
-- column amount: currency; exact
-- column carried_in: currency; what earlier statements of the line rounded away
-- column rounded: currency; amount and carried_in, rounded by the site's rule to its currency's digits
-- column carried_out: currency; what this one rounds away
-- column total: currency; the sum of the account's rounded lines of the month
-- column unit: ; the billing unit of the service point: kWh, m3 or GJ
-- column currency: ; of the amounts: kWh or m3 where the account buys units
WITH owners AS (
    SELECT a.id, a.name, u.unit, coalesce(u.unit, s.currency) AS currency
    FROM book.accounts AS a
    JOIN book.sites AS s ON s.id = a.site_id
    LEFT JOIN book.unit_accounts AS u ON u.id = a.id
),
closed AS (
    SELECT a.id AS account_id, a.name AS account, max(p.local_month) AS through
    FROM book.accounts AS a
    JOIN book.periods AS p ON p.site_id = a.site_id
    WHERE p.state = 'closed'
    GROUP BY a.id, a.name
),
open_lines AS (
    SELECT
        c.account, CAST(date_trunc('month', c.stated_on) AS DATE) AS month, c.service_point, c.utility, CAST(date_trunc('month', c.local_date) AS DATE) AS usage_month,
        c.component, c.band, c.tier, c.tariff, c.price, c.unit, sum(c.quantity) AS quantity, sum(c.amount) AS amount
    FROM closed AS s
    RIGHT JOIN charges AS c ON c.account = s.account
    WHERE s.through IS NULL OR date_part('year', c.stated_on) * 12 + date_part('month', c.stated_on) - 1 > s.through
    GROUP BY
        c.account, CAST(date_trunc('month', c.stated_on) AS DATE), c.service_point, c.utility, CAST(date_trunc('month', c.local_date) AS DATE), c.component, c.band,
        c.tier, c.tariff, c.price, c.unit
),
rules AS (
    SELECT
        a.name AS account, coalesce(r.rounding, 'half-up') AS rounding,
        -- The least amount that can be paid.
        CAST(CASE r.digits WHEN 0 THEN 1 WHEN 3 THEN 0.001 ELSE 0.01 END AS DECIMAL(38, 9)) AS least
    FROM book.accounts AS a
    LEFT JOIN (
        SELECT site_id, rounding, digits, row_number() OVER (PARTITION BY site_id ORDER BY since DESC) AS place
        FROM book.statement_roundings
    ) AS r ON r.site_id = a.site_id AND r.place = 1
),
-- What lies below the amount's size by the least amount, and what is left of it.
parted AS (
    SELECT o.*, r.rounding, r.least, abs(o.amount) % r.least AS rest, abs(o.amount) - abs(o.amount) % r.least AS whole
    FROM open_lines AS o
    JOIN rules AS r ON r.account = o.account
    WHERE o.quantity <> 0 OR o.amount <> 0
),
rounded AS (
    SELECT
        *,
        CAST(
            CASE WHEN amount < 0 THEN -1 ELSE 1 END
            * (whole + CASE WHEN rest * 2 > least OR (rest * 2 = least AND (rounding = 'half-up' OR whole % (least * 2) <> 0))
                THEN least ELSE 0 END)
            AS DECIMAL(38, 3)
        ) AS rounded
    FROM parted
),
versions AS (SELECT v.id, t.name AS tariff FROM book.tariff_versions AS v JOIN book.tariffs AS t ON t.id = v.tariff_id),
frozen AS (
    SELECT
        a.name AS account,
        make_date(CAST(l.local_month / 12 AS INT), CAST(l.local_month % 12 + 1 AS INT), 1) AS month,
        l.statement,
        p.name AS service_point,
        p.utility,
        make_date(CAST(l.usage_month / 12 AS INT), CAST(l.usage_month % 12 + 1 AS INT), 1) AS usage_month,
        l.component,
        CASE l.band
            WHEN 0 THEN 'single' WHEN 1 THEN 'sharp' WHEN 2 THEN 'peak' WHEN 3 THEN 'flat' WHEN 4 THEN 'valley'
            WHEN 5 THEN 'deep_valley'
        END AS band,
        l.tier,
        v.tariff,
        CASE WHEN a.unit IS NOT NULL AND r.price IS NOT NULL THEN CAST(1 AS DECIMAL(38, 6)) ELSE r.price END AS price,
        CAST(CAST(l.quantity AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS quantity,
        l.amount,
        l.carried_in,
        CAST(l.rounded AS DECIMAL(38, 3)) AS rounded,
        l.carried_out,
        p.unit
    FROM book.statement_lines AS l
    JOIN owners AS a ON a.id = l.account_id
    JOIN book.service_points AS p ON p.id = l.service_point_id
    LEFT JOIN versions AS v ON v.id = l.tariff_version_id
    LEFT JOIN book.tariff_prices AS r
        ON r.tariff_version_id = l.tariff_version_id AND r.tier = l.tier AND r.band = l.band
    WHERE l.withdrawn_at IS NULL
),
stated AS (
    SELECT
        account, month, CAST(NULL AS BIGINT) AS statement, service_point, utility, usage_month, component, band, tier, tariff,
        price, quantity, amount, CAST(0 AS DECIMAL(38, 9)) AS carried_in, rounded,
        CAST(amount - rounded AS DECIMAL(38, 9)) AS carried_out, unit
    FROM rounded
    UNION ALL
    SELECT * FROM frozen
)
SELECT
    t.account, t.month, t.statement, t.service_point, t.utility, t.usage_month, t.component, t.band, t.tier, t.tariff, t.price,
    t.quantity, t.amount, t.carried_in, t.rounded, t.carried_out,
    CAST(sum(t.rounded) OVER (PARTITION BY t.account, t.month) AS DECIMAL(38, 3)) AS total, t.unit, o.currency
FROM owners AS o
JOIN stated AS t ON t.account = o.name
