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
-- Wallets in units -----------------------------------------------------------------------------------------------------
-- Accounts whose wallet is kept in units, not in money. unit: kWh | m3. It never changes. Their amounts everywhere are 1e-9
-- units: ledger accounts, transfers, usage lines, holds, notices; only payments are money.
CREATE TABLE unit_accounts (id BIGINT PRIMARY KEY, unit TEXT NOT NULL);
-- Units that were bought: money = units x price + remainder; units in 1/1000, price in 1e-6. money_transfer_id: the top-up
-- or assignment that brought the money; unit_transfer_id: the units into the wallet. state: sold | reversed.
CREATE TABLE unit_sales (
    id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, sold_at BIGINT NOT NULL, utility TEXT NOT NULL,
    tariff_version_id BIGINT NOT NULL, price BIGINT NOT NULL, units BIGINT NOT NULL, money TEXT NOT NULL,
    remainder TEXT NOT NULL, money_transfer_id BIGINT NOT NULL UNIQUE, unit_transfer_id BIGINT NOT NULL, state TEXT NOT NULL);
CREATE INDEX unit_sales_by_account ON unit_sales (account_id, id);
-- Which sales a paid refund gave back, last bought first. units in 1/1000; at the price of the sale.
CREATE TABLE unit_refunds (
    refund_id BIGINT NOT NULL, sale_id BIGINT NOT NULL, units BIGINT NOT NULL, PRIMARY KEY (refund_id, sale_id));

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

-- Gaps and outages -------------------------------------------------------------------------------------------------------
-- When a meter had no supply, from from_time to to_time: a run of valid zeros. withdrawn_at, withdrawn_by: it is not true.
CREATE TABLE outages (
    id BIGINT PRIMARY KEY, meter_id BIGINT NOT NULL, from_time BIGINT NOT NULL, to_time BIGINT NOT NULL, reason TEXT NOT NULL,
    actor TEXT NOT NULL, recorded_at BIGINT NOT NULL, withdrawn_at BIGINT, withdrawn_by TEXT);
-- How intervals are divided that are not divided evenly by time: a slot has quantity (1/1000 unit), divided by time within
-- it, and what is in no slot has none. allocation: profile (as the like days before) | linear (by time, around outages).
CREATE TABLE divided_intervals (
    service_point_id BIGINT NOT NULL, epoch_id BIGINT NOT NULL, from_time BIGINT NOT NULL, to_time BIGINT NOT NULL,
    slot_from BIGINT NOT NULL, slot_to BIGINT NOT NULL, quantity BIGINT NOT NULL, allocation TEXT NOT NULL,
    PRIMARY KEY (service_point_id, epoch_id, to_time, slot_from));
