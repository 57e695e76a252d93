-- title: Service points | 供应点
-- purpose: One utility delivered to one location, with its latest contract.
-- column service_point: ; its name
-- column site: ; the property
-- column utility: ; electricity, water, gas or heat
-- column unit: ; billing unit: kWh, m3 or GJ
-- column location: ; room or area
-- column account: ; who pays by the latest contract
-- column tariff: ; by which tariff
-- column contract_from: UTC; since when
-- column contract_to: UTC; until when, or null
WITH latest AS (
    SELECT
        service_point_id, account_id, tariff_id, valid_from, valid_to,
        row_number() OVER (PARTITION BY service_point_id ORDER BY valid_from DESC, id DESC) AS place
    FROM book.contracts
    WHERE superseded_at IS NULL
)
SELECT
    p.name AS service_point,
    s.name AS site,
    p.utility,
    p.unit,
    l.name AS location,
    a.name AS account,
    t.name AS tariff,
    c.valid_from AS contract_from,
    c.valid_to AS contract_to
FROM book.service_points AS p
JOIN book.sites AS s ON s.id = p.site_id
LEFT JOIN book.locations AS l ON l.id = p.location_id
LEFT JOIN latest AS c ON c.service_point_id = p.id AND c.place = 1
LEFT JOIN book.accounts AS a ON a.id = c.account_id
LEFT JOIN book.tariffs AS t ON t.id = c.tariff_id
