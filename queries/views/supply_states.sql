-- title: Supply states | 供应状态
-- purpose: Of each switchable meter: what policy wants, what was commanded last, what was seen.
-- column meter: ; serial number
-- column account: ; who is supplied
-- column desired: ; open, closed or unknown
-- column commanded: ; open, closed or unknown
-- column observed: ; open, closed or unknown
-- column observed_at: UTC; when it was seen
-- column opened_for: ; credit, manual or safety, where it is open
-- column changed_at: UTC; last change
SELECT
    m.serial AS meter, a.name AS account, s.desired, s.commanded, s.observed, s.observed_at, s.opened_for, s.changed_at
FROM book.supply AS s
JOIN book.meters AS m ON m.id = s.meter_id
LEFT JOIN book.accounts AS a ON a.id = s.account_id
