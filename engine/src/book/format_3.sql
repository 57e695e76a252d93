-- Format 3. Runs after format 2; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Units and conversions ----------------------------------------------------------------------------------------------------
-- What a service point is billed in, and what a tariff prices: kWh, m3 or GJ. Quantities are in 1/1000 of it.
ALTER TABLE service_points ADD COLUMN unit TEXT;
UPDATE service_points SET unit = CASE WHEN utility IN ('water', 'gas') THEN 'm3' ELSE 'kWh' END;
ALTER TABLE tariffs ADD COLUMN unit TEXT;
UPDATE tariffs SET unit = CASE WHEN utility IN ('water', 'gas') THEN 'm3' ELSE 'kWh' END;
-- Supply areas whose gas has one calorific value, with its values. calorific_value: 1e-6 MJ/m3, from valid_from until the
-- next one. A value that was corrected stays, with superseded_at.
CREATE TABLE gas_qualities (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE calorific_values (
    id BIGINT PRIMARY KEY, gas_quality_id BIGINT NOT NULL, valid_from BIGINT NOT NULL, calorific_value BIGINT NOT NULL,
    reason TEXT, superseded_at BIGINT);
-- How the m3 of a service point become kWh, from valid_from until the next one: by the values of gas_quality_id, or by
-- calorific_value (1e-6 MJ/m3), and by correction (1e-6), the volume conversion factor.
CREATE TABLE conversions (
    id BIGINT PRIMARY KEY, service_point_id BIGINT NOT NULL, valid_from BIGINT NOT NULL, gas_quality_id BIGINT,
    calorific_value BIGINT, correction BIGINT NOT NULL, reason TEXT, superseded_at BIGINT);

-- Statements -----------------------------------------------------------------------------------------------------------
-- How the months of a site are rounded that are closed from a moment on. rounding: half-up | half-even; digits: those of the
-- currency. Half up to two digits where a site has no row.
CREATE TABLE statement_roundings (
    site_id BIGINT NOT NULL, since BIGINT NOT NULL, rounding TEXT NOT NULL, digits BIGINT NOT NULL,
    PRIMARY KEY (site_id, since));

-- Charges beside energy ------------------------------------------------------------------------------------------------
-- What a contract states for the components of its tariff. kind: capacity (value: 1/1000 kW) | reactive (value: the service
-- point that measures its reactive energy) | source (value: the service point of another service, by the name that
-- components give it).
CREATE TABLE contract_facts (
    contract_id BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, value BIGINT NOT NULL,
    PRIMARY KEY (contract_id, kind, name));
-- Up to which local day the fixed components of a service point are charged, day by day.
CREATE TABLE accruals (service_point_id BIGINT PRIMARY KEY, accrued_through BIGINT NOT NULL);
