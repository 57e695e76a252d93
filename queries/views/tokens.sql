-- title: Tokens | 令牌
-- purpose: What proves who asks, without a password: sign-ins of the command line, and API tokens. No secret is in SQL, nor
--   the hash of one.
-- column token_id: ; its number
-- column owner: ; as whom it speaks
-- column kind: ; sign_in (got by a password) or api (made by hand)
-- column name: ; what its owner calls it
-- column created_at: UTC; made
-- column expires_at: UTC; not valid any more from then on
-- column revoked_at: UTC; since when it is not valid, because somebody ended it before, or null
SELECT t.id AS token_id, u.name AS owner, t.kind, t.name, t.created_at, t.expires_at, t.revoked_at
FROM book.tokens AS t
JOIN book.users AS u ON u.id = t.user_id
