-- title: Notices | 通知
-- purpose: What tenants and operators were told.
-- column notice_id: ; its number
-- column account: ; whom it concerns, or null
-- column meter: ; serial number, or null
-- column kind: ; low_balance, cut, reconnected, alarm or paid_not_restored
-- column level: ; 1, 2, 3 (final) for low_balance
-- column text: ; what was said
-- column balance: currency; at that time, or null
-- column created_at: UTC; when
-- column currency: ; of the balance: kWh or m3 where the account buys units; null where the notice is of no account
SELECT
    n.id AS notice_id, a.name AS account, m.serial AS meter, n.kind, n.level, n.text, n.balance, n.created_at,
    coalesce(u.unit, s.currency) AS currency
FROM book.notices AS n
LEFT JOIN book.accounts AS a ON a.id = n.account_id
LEFT JOIN book.sites AS s ON s.id = a.site_id
LEFT JOIN book.unit_accounts AS u ON u.id = a.id
LEFT JOIN book.meters AS m ON m.id = n.meter_id
