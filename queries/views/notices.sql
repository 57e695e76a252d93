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
SELECT
    n.id AS notice_id, a.name AS account, m.serial AS meter, n.kind, n.level, n.text, n.balance, n.created_at
FROM book.notices AS n
LEFT JOIN book.accounts AS a ON a.id = n.account_id
LEFT JOIN book.meters AS m ON m.id = n.meter_id
