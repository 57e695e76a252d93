-- title: Meters | 表计
-- purpose: Devices with their latest installation.
-- column meter: ; serial number
-- column site: ; the property
-- column utility: ; electricity, water, gas or heat
-- column kind: ; register, or usage for imported intervals
-- column profile: ; register map
-- column service_point: ; where it is installed
-- column installed_from: UTC; since when
-- column installed_to: UTC; until when, or null
-- column multiplier_numerator: 1/1000 kWh, m3 or GJ per count; CT x PT or pulse weight included ...
-- column multiplier_denominator: ; ... divided by this
-- column modulus: counts; where the register wraps to zero, or null
-- column bus: ; host:port, or null for imports
-- column unit: ; address on the bus
-- column poll_seconds: s; how often it is polled
-- column has_relay: ; whether supply can be switched
-- column rating_w: W; rated power
-- column parent: ; serial number of the meter that also measures what this one measures, or null
WITH latest AS (
    SELECT
        meter_id, service_point_id, valid_from, valid_to, numerator, denominator, modulus,
        row_number() OVER (PARTITION BY meter_id ORDER BY valid_from DESC, id DESC) AS place
    FROM book.epochs
    WHERE superseded_at IS NULL
)
SELECT
    m.serial AS meter,
    s.name AS site,
    m.utility,
    m.kind,
    m.profile,
    p.name AS service_point,
    e.valid_from AS installed_from,
    e.valid_to AS installed_to,
    e.numerator AS multiplier_numerator,
    e.denominator AS multiplier_denominator,
    e.modulus,
    m.bus,
    m.unit,
    CAST(CAST(m.poll_micros AS DECIMAL(19, 0)) * 0.000001 AS DECIMAL(38, 3)) AS poll_seconds,
    m.has_relay,
    CAST(CAST(m.rating_mw AS DECIMAL(19, 0)) * 0.001 AS DECIMAL(38, 3)) AS rating_w,
    a.serial AS parent
FROM book.meters AS m
JOIN book.sites AS s ON s.id = m.site_id
LEFT JOIN book.meter_parents AS u ON u.id = m.id
LEFT JOIN book.meters AS a ON a.id = u.parent_id
LEFT JOIN latest AS e ON e.meter_id = m.id AND e.place = 1
LEFT JOIN book.service_points AS p ON p.id = e.service_point_id
