-- Format 3. Runs after format 2; the same rules hold.
-- When you change this file, also change query/columns.rs.

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
