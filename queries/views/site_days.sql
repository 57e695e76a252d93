-- title: Local days | 本地日
-- purpose: Each site's local days as UTC instants; 23 or 25 hours long when the clocks change. Join this instead of
--   truncating zoned time.
-- column site: ; the property
-- column local_date: ; the local date
-- column utc_start: UTC; first instant of the day
-- column utc_end: UTC; first instant of the next day
-- column day_type: ; workday, weekend or holiday
SELECT s.name AS site, d.local_date, d.utc_start, d.utc_end, d.day_type
FROM book.site_days AS d
JOIN book.sites AS s ON s.id = d.site_id
