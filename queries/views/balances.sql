-- title: Balances | 余额
-- purpose: Posted transfers of the wallet minus rated usage that is not posted yet. The present format of the book has no
--   holds.
-- column account: ; its name
-- column currency: ; of all amounts
-- column balance: currency; posted minus unposted
-- column posted: currency; all transfers into the wallet minus all out of it
-- column unposted: currency; usage rated and not yet posted
-- column as_of: UTC; up to when every service point of the account is measured: the oldest reading that it rests on
WITH wallets AS (
    SELECT id, account_id, currency FROM book.ledger_accounts WHERE account_id IS NOT NULL AND name LIKE 'wallet:%'
),
legs AS (
    SELECT credit_id AS wallet_id, amount FROM book.transfers
    UNION ALL
    SELECT debit_id, -amount FROM book.transfers
),
posted AS (
    SELECT w.account_id, sum(l.amount) AS posted FROM legs AS l JOIN wallets AS w ON w.id = l.wallet_id GROUP BY w.account_id
),
unposted AS (
    SELECT account_id, sum(amount) AS unposted FROM book.usage_lines WHERE transfer_id = 0 GROUP BY account_id
),
measured AS (
    SELECT c.account_id, min(u.measured_until) AS as_of
    FROM book.contracts AS c
    JOIN book.measured_until AS u ON u.service_point_id = c.service_point_id
    WHERE c.superseded_at IS NULL AND (c.valid_to IS NULL OR u.measured_until <= c.valid_to)
    GROUP BY c.account_id
)
SELECT
    a.name AS account,
    s.currency,
    CAST(coalesce(p.posted, 0) - coalesce(u.unposted, 0) AS DECIMAL(38, 9)) AS balance,
    CAST(coalesce(p.posted, 0) AS DECIMAL(38, 9)) AS posted,
    CAST(coalesce(u.unposted, 0) AS DECIMAL(38, 9)) AS unposted,
    m.as_of
FROM book.accounts AS a
JOIN book.sites AS s ON s.id = a.site_id
LEFT JOIN posted AS p ON p.account_id = a.id
LEFT JOIN unposted AS u ON u.account_id = a.id
LEFT JOIN measured AS m ON m.account_id = a.id
