-- Format 3. Runs after format 2; the same rules hold.
-- When you change this file, also change query/columns.rs.

-- Charges beside energy ------------------------------------------------------------------------------------------------
-- What a contract states for the components of its tariff. kind: capacity (value: 1/1000 kW) | reactive (value: the service
-- point that measures its reactive energy) | source (value: the service point of another service, by the name that
-- components give it).
CREATE TABLE contract_facts (
    contract_id BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, value BIGINT NOT NULL,
    PRIMARY KEY (contract_id, kind, name));
-- Up to which local day the fixed components of a service point are charged, day by day.
CREATE TABLE accruals (service_point_id BIGINT PRIMARY KEY, accrued_through BIGINT NOT NULL);
