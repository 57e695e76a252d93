//! Statements for finance: one workbook with a sheet of accounts, of lines, of payments and of registers.

use kernel::money::Amount;
use kernel::time::LocalMonth;
use reports::xlsx::{Cell, Sheet, workbook};

use super::page::Page;
use super::places;
use crate::call::{Failure, failed};

/// Places of exact amounts.
const EXACT: usize = 9;

pub(super) fn render(pages: &[Page<'_>], month: LocalMonth) -> Result<Vec<u8>, Failure> {
    workbook(&[accounts(pages, month), lines(pages, month), payments(pages, month), registers(pages, month)])
        .map_err(failed)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn money(page: &Page<'_>, amount: Amount) -> Cell {
    Cell::Number(amount.to_string(), places(page.site, amount))
}

/// The sum over pages of one currency.
fn sum(pages: &[Page<'_>], of: impl Fn(&Page<'_>) -> Amount) -> Cell {
    let total: Amount = pages.iter().map(of).sum();
    Cell::Sum(total.to_string(), pages.first().map_or(2, |page| places(page.site, total)))
}

/// Sums are of one currency.
fn one_currency(pages: &[Page<'_>]) -> bool {
    pages.windows(2).all(|pair| pair[0].currency == pair[1].currency)
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn head(what: &str, pages: &[Page<'_>], month: LocalMonth) -> Vec<String> {
    let mut sites: Vec<&str> = pages.iter().map(|page| page.site.title.as_str()).collect();
    sites.dedup();
    vec![format!("{what} {month}"), sites.join(", ")]
}

fn accounts(pages: &[Page<'_>], month: LocalMonth) -> Sheet {
    let row = |page: &Page<'_>| {
        let closing = page.statement.closing();
        vec![
            text(page.account),
            text(page.holder),
            text(&match page.statement.closed {
                Some((number, _)) => number.to_string(),
                None if super::is_closed(page.site, page.statement) => "closed".to_owned(),
                None => "open".to_owned(),
            }),
            text(page.currency),
            money(page, page.statement.opening),
            money(page, page.paid()),
            money(page, page.statement.charges()),
            Cell::Formula("=E#+F#-G#", closing.to_string(), places(page.site, closing)),
        ]
    };
    let total = || {
        let mut row = vec![text("total 合计"), Cell::Empty, Cell::Empty, Cell::Empty];
        row.extend([
            sum(pages, |page| page.statement.opening),
            sum(pages, |page| page.paid()),
            sum(pages, |page| page.statement.charges()),
            sum(pages, |page| page.statement.closing()),
        ]);
        row
    };
    Sheet {
        name: "accounts 账户".to_owned(),
        head: head("Statements 账单", pages, month),
        columns: columns(&[
            "account 账户",
            "holder 户名",
            "statement 编号",
            "currency 币种",
            "opening balance 期初余额",
            "payments 收付",
            "charges 费用",
            "closing balance 期末余额",
        ]),
        rows: pages.iter().map(row).collect(),
        totals: one_currency(pages).then(total).into_iter().collect(),
        notes: Vec::new(),
    }
}

fn lines(pages: &[Page<'_>], month: LocalMonth) -> Sheet {
    let mut rows = Vec::new();
    for page in pages {
        for (cells, line) in &page.lines {
            let price = if cells[5].is_empty() { Cell::Empty } else { Cell::Number(cells[5].clone(), 6) };
            rows.push(vec![
                text(page.account),
                text(page.holder),
                text(&cells[0]),
                text(&cells[1]),
                text(&cells[2]),
                text(&line.usage_month.to_string()),
                Cell::Number(cells[3].clone(), 3),
                text(&cells[4]),
                price,
                Cell::Number(line.amount.to_string(), EXACT),
                Cell::Number(line.carried_in.to_string(), EXACT),
                money(page, line.rounded),
                text(page.currency),
                text(&cells[9]),
            ]);
        }
    }
    let total = || {
        let mut row = vec![Cell::Empty; 14];
        row[0] = text("total 合计");
        row[11] = sum(pages, |page| page.statement.charges());
        row
    };
    Sheet {
        name: "lines 明细".to_owned(),
        head: head("Charges 费用明细", pages, month),
        columns: columns(&[
            "account 账户",
            "holder 户名",
            "item 项目",
            "service point 用能点",
            "tariff 电价",
            "used in 用能月",
            "quantity 用量",
            "unit 单位",
            "price 单价",
            "exact 精确金额",
            "carried in 上期余数",
            "amount 金额",
            "currency 币种",
            "explained by 查询命令",
        ]),
        rows,
        totals: one_currency(pages).then(total).into_iter().collect(),
        notes: vec![
            "amount = exact + carried in, rounded once; what it loses is carried to the next statement".to_owned(),
        ],
    }
}

fn payments(pages: &[Page<'_>], month: LocalMonth) -> Sheet {
    let rows = pages.iter().flat_map(|page| {
        page.movements.iter().map(|(date, what, amount)| {
            let currency = text(page.currency);
            vec![
                text(page.account),
                text(page.holder),
                Cell::Date(date.clone()),
                text(what),
                money(page, *amount),
                currency,
            ]
        })
    });
    let total = || {
        let paid = sum(pages, |page| page.paid());
        vec![text("total 合计"), Cell::Empty, Cell::Empty, Cell::Empty, paid, Cell::Empty]
    };
    Sheet {
        name: "payments 收付".to_owned(),
        head: head("Payments 收付", pages, month),
        columns: columns(&["account 账户", "holder 户名", "date 日期", "what 摘要", "amount 金额", "currency 币种"]),
        rows: rows.collect(),
        totals: one_currency(pages).then(total).into_iter().collect(),
        notes: Vec::new(),
    }
}

fn registers(pages: &[Page<'_>], month: LocalMonth) -> Sheet {
    let number = |shown: &str| match shown.parse::<f64>() {
        Ok(_) => Cell::Number(shown.to_owned(), 3),
        Err(_) => text(shown),
    };
    let rows = pages.iter().flat_map(|page| {
        page.readings.iter().map(move |reading| {
            vec![
                text(page.account),
                text(&reading.point),
                text(&reading.meter),
                text(&reading.from.0),
                number(&reading.from.1),
                text(&reading.to.0),
                number(&reading.to.1),
                number(&reading.factor),
                text(reading.unit),
            ]
        })
    });
    Sheet {
        name: "registers 读数".to_owned(),
        head: head("Registers 表计读数", pages, month),
        columns: columns(&[
            "account 账户",
            "service point 用能点",
            "meter 表号",
            "from 起",
            "showed 起码",
            "to 止",
            "showed 止码",
            "factor 倍率",
            "unit 单位",
        ]),
        rows: rows.collect(),
        totals: Vec::new(),
        notes: Vec::new(),
    }
}
