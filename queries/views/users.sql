-- title: Users | 用户
-- purpose: Who may give commands. While there is none, everybody may who can open the data folder. No hash of a password is
--   in SQL.
-- column name: ; the user, as in every column that says who did something
-- column title: ; the person, in words
-- column roles: ; what it may do, separated by commas
-- column created_at: UTC; added
-- column disabled_at: UTC; since when it may do nothing, or null
SELECT u.name, u.title, r.roles, u.created_at, u.disabled_at
FROM book.users AS u
LEFT JOIN (SELECT user_id, string_agg(role, ', ' ORDER BY role) AS roles FROM book.user_roles GROUP BY user_id) AS r
    ON r.user_id = u.id
