-- purpose: The lake's files hold as many rows as the book says.
-- column table_name: ; readings or charges
-- column listed: ; rows that the book lists
-- column found: ; rows in the files
WITH listed AS (SELECT table_name, sum(row_count) AS listed FROM lake.files GROUP BY table_name),
found AS (
    SELECT 'readings' AS table_name, count(*) AS found FROM lake.readings WHERE seq > 0 AND seq <= (SELECT max(value) FROM book.progress WHERE name = 'lake_seq')
    UNION ALL
    SELECT 'charges', (SELECT count(*) FROM lake.charges) - (SELECT count(*) FROM book.usage_lines)
)
SELECT f.table_name, coalesce(l.listed, 0) AS listed, f.found
FROM found AS f
LEFT JOIN listed AS l ON l.table_name = f.table_name
WHERE coalesce(l.listed, 0) <> f.found
