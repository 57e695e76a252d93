-- title: Balances | 余额
-- purpose: Posted transfers of the wallet minus rated usage that is not posted yet, minus holds.
-- column account: ; its name
-- column currency: ; of all amounts: the site's currency, or kWh or m3 where the account buys units
-- column balance: currency; posted minus unposted minus held
-- column posted: currency; all transfers into the wallet minus all out of it
-- column unposted: currency; usage rated and not yet posted
-- column as_of: UTC; up to when every service point of the account is measured: the oldest reading that it rests on
-- column held: currency; money set aside
WITH wallets AS (
    SELECT id, account_id, currency FROM book.ledger_accounts WHERE account_id IS NOT NULL AND name LIKE 'wallet:%'
),
legs AS (
    SELECT credit_id AS wallet_id, amount FROM book.transfers
    UNION ALL
    SELECT debit_id, -amount FROM book.transfers
),
posted AS (
    SELECT w.account_id, sum(l.amount) AS posted FROM wallets AS w JOIN legs AS l ON l.wallet_id = w.id GROUP BY w.account_id
),
unposted AS (
    SELECT account_id, sum(amount) AS unposted FROM book.usage_lines WHERE transfer_id = 0 GROUP BY account_id
),
held AS (SELECT account_id, sum(amount) AS held FROM book.holds WHERE state = 'held' GROUP BY account_id),
measured AS (
    -- A contract that ended and is measured to its end holds nothing back.
    SELECT
        c.account_id,
        coalesce(
            min(CASE WHEN c.valid_to IS NULL OR u.measured_until < c.valid_to THEN u.measured_until END),
            max(c.valid_to)) AS as_of
    FROM book.contracts AS c
    JOIN book.measured_until AS u ON u.service_point_id = c.service_point_id
    WHERE c.superseded_at IS NULL
    GROUP BY c.account_id
)
SELECT
    a.name AS account,
    coalesce(w.unit, s.currency) AS currency,
    CAST(coalesce(p.posted, 0) - coalesce(u.unposted, 0) - coalesce(h.held, 0) AS DECIMAL(38, 9)) AS balance,
    CAST(coalesce(p.posted, 0) AS DECIMAL(38, 9)) AS posted,
    CAST(coalesce(u.unposted, 0) AS DECIMAL(38, 9)) AS unposted,
    m.as_of,
    CAST(coalesce(h.held, 0) AS DECIMAL(38, 9)) AS held
FROM book.accounts AS a
JOIN book.sites AS s ON s.id = a.site_id
LEFT JOIN book.unit_accounts AS w ON w.id = a.id
LEFT JOIN posted AS p ON p.account_id = a.id
LEFT JOIN unposted AS u ON u.account_id = a.id
LEFT JOIN held AS h ON h.account_id = a.id
LEFT JOIN measured AS m ON m.account_id = a.id
