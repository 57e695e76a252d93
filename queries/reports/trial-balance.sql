-- title: Trial balance | 试算平衡表
-- purpose: Every ledger account with its debits, credits and balance, since the book began; in each currency the balances sum
--   to zero.
-- period: all
-- column currency: ; currency
-- column kind: ; kind
-- column ledger_account: ; ledger account
-- column debits: currency; debits
-- column credits: currency; credits
-- column balance: currency; debits minus credits
-- column transfers: ; transfers
-- totals: debits credits balance by currency
SELECT currency, kind, ledger_account, debits, credits, balance, transfers
FROM ledger_accounts
ORDER BY currency, kind, ledger_account
