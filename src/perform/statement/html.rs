//! A statement that a tenant understands: one self-contained file, a page of A4 for each account.

use std::fmt::Write as _;

use kernel::time::LocalMonth;

use super::money;
use super::page::Page;

const STYLE: &str = "
:root { --ink: #1b2733; --dim: #5c6b7a; --line: #d5dde5; --tint: #f2f6fa; --accent: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #e9edf1; font: 10.5pt/1.45 \"Noto Sans\", \"Noto Sans CJK SC\", \
\"PingFang SC\", \"Microsoft YaHei\", Arial, sans-serif; }
section { background: #fff; width: 210mm; min-height: 270mm; margin: 8mm auto; padding: 16mm 15mm; }
header { display: flex; justify-content: space-between; gap: 10mm; border-bottom: 2px solid var(--accent); padding-bottom: 4mm; }
h1 { margin: 0; font-size: 18pt; } h2 { margin: 7mm 0 2mm; font-size: 11.5pt; color: var(--accent); }
header p, .who p { margin: 0; } .dim, small { color: var(--dim); } .right { text-align: right; }
.who { margin: 6mm 0 0; } .who b { font-size: 12pt; }
table { width: 100%; border-collapse: collapse; } th { text-align: left; font-weight: 600; color: var(--dim); font-size: 9pt; }
th, td { padding: 1.2mm 1.5mm; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr { break-inside: avoid; } tr.sum td { font-weight: 600; border-top: 1.5px solid var(--ink); border-bottom: 0; }
.balance { display: flex; margin-top: 6mm; background: var(--tint); }
.balance div { flex: 1; padding: 3mm 4mm; } .balance b { display: block; font-size: 13pt; font-variant-numeric: tabular-nums; }
.balance .due { background: var(--accent); color: #fff; } .balance .due small { color: #dbe9f7; }
footer { margin-top: 7mm; font-size: 8.5pt; color: var(--dim); } footer p { margin: 0 0 1.5mm; }
code { font-size: 8pt; color: var(--dim); }
@page { size: A4; margin: 12mm; }
@media print { body { background: none; } section { width: auto; min-height: 0; margin: 0; padding: 0; break-after: page; }
section:last-child { break-after: auto; } .balance, .balance .due { print-color-adjust: exact; } }
";

pub(super) fn render(pages: &[Page<'_>], month: LocalMonth) -> String {
    let mut text = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let title = match pages {
        [only] => format!("{} {month}", only.account),
        _ => format!("Statements 账单 {month}"),
    };
    put(&mut text, format_args!("<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n", escaped(&title)));
    for page in pages {
        section(&mut text, page, month);
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(arguments);
}

/// Text that stays text, whatever is in it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

fn section(text: &mut String, page: &Page<'_>, month: LocalMonth) {
    let statement = page.statement;
    let last = LocalMonth(month.0 + 1).first_day().plus(-1);
    put(
        text,
        format_args!("<section>\n<header><div><h1>Statement 账单</h1><p>{}</p></div>", escaped(&page.site.title)),
    );
    let number = match statement.closed {
        Some((number, at)) => {
            let closed = page.site.days.at(at).map_or_else(String::new, |day| day.date.to_string());
            format!("No. {number}, closed 结账 {closed}")
        }
        None if super::is_closed(page.site, statement) => "closed without charges 已结账，无费用".to_owned(),
        None => "not closed yet: as it is now 未结账".to_owned(),
    };
    put(text, format_args!("<div class=\"right\"><p><b>{month}</b></p><p>{} – {last}</p>", month.first_day()));
    put(text, format_args!("<p class=\"dim\">{number}</p></div></header>\n"));
    put(text, format_args!("<div class=\"who\"><p><b>{}</b></p>", escaped(page.holder)));
    put(text, format_args!("<p>Account 账户 {}</p><p>{}</p></div>\n", escaped(page.account), escaped(page.place)));
    balance(text, page);
    readings(text, page);
    charges(text, page);
    beside(text, page);
    payments(text, page);
    footer(text, page);
    text.push_str("</section>\n");
}

fn balance(text: &mut String, page: &Page<'_>) {
    let statement = page.statement;
    text.push_str("<div class=\"balance\">");
    for (class, label, amount) in [
        ("", "Opening balance 期初余额", statement.opening),
        ("", "Payments 收付", page.paid()),
        ("", "Charges 费用", -statement.charges()),
        ("due", "Closing balance 期末余额", statement.closing()),
    ] {
        put(
            text,
            format_args!("<div class=\"{class}\"><small>{label}</small><b>{}</b></div>", money(page.site, amount)),
        );
    }
    put(text, format_args!("</div>\n<p class=\"right dim\">all amounts in {}</p>\n", escaped(page.currency)));
}

fn cell(text: &mut String, class: &str, content: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    put(text, format_args!("<td{class}>{}</td>", escaped(content)));
}

fn heads(text: &mut String, heads: &[(&str, &str)]) {
    text.push_str("<table><thead><tr>");
    for (class, head) in heads {
        put(text, format_args!("<th class=\"{class}\">{head}</th>"));
    }
    text.push_str("</tr></thead><tbody>\n");
}

fn readings(text: &mut String, page: &Page<'_>) {
    if page.readings.is_empty() {
        return;
    }
    text.push_str("<h2>Meter readings 表计读数</h2>\n");
    let columns = [
        ("", "Where 用能点"),
        ("", "Meter 表号"),
        ("", "From 起"),
        ("n", "Reading 起码"),
        ("", "To 止"),
        ("n", "Reading 止码"),
        ("n", "Factor 倍率"),
    ];
    heads(text, &columns);
    for reading in &page.readings {
        text.push_str("<tr>");
        cell(text, "", &format!("{} ({})", reading.point, reading.utility));
        cell(text, "", &reading.meter);
        cell(text, "", &reading.from.0);
        cell(text, "n", &format!("{} {}", reading.from.1, reading.unit));
        cell(text, "", &reading.to.0);
        cell(text, "n", &format!("{} {}", reading.to.1, reading.unit));
        cell(text, "n", &format!("× {}", reading.factor));
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table>\n");
}

fn charges(text: &mut String, page: &Page<'_>) {
    text.push_str("<h2>Charges 费用</h2>\n");
    if page.lines.is_empty() {
        text.push_str("<p class=\"dim\">Nothing was charged. 本期无费用。</p>\n");
        return;
    }
    let columns =
        [("", "Item 项目"), ("", "Where 用能点"), ("n", "Quantity 用量"), ("n", "Price 单价"), ("n", "Amount 金额")];
    heads(text, &columns);
    for (cells, line) in &page.lines {
        text.push_str("<tr>");
        put(text, format_args!("<td>{}<br><code>{}</code></td>", escaped(&cells[0]), escaped(&cells[9])));
        put(text, format_args!("<td>{}<br><small>{}</small></td>", escaped(&cells[1]), escaped(&cells[2])));
        cell(text, "n", &format!("{} {}", cells[3], cells[4]));
        cell(text, "n", &cells[5]);
        cell(text, "n", &money(page.site, line.rounded));
        text.push_str("</tr>\n");
    }
    let total = money(page.site, page.statement.charges());
    put(text, format_args!("<tr class=\"sum\"><td colspan=\"4\">Charges 合计</td><td class=\"n\">{total}</td></tr>\n"));
    text.push_str("</tbody></table>\n");
}

/// A forecast of what the month's close will charge, and taxes within the prices.
fn beside(text: &mut String, page: &Page<'_>) {
    if page.beside.is_empty() {
        return;
    }
    text.push_str("<h2>Not in the balance 未计入余额</h2>\n");
    heads(text, &[("", "Item 项目"), ("", "Where 用能点"), ("n", "Amount 金额")]);
    for cells in &page.beside {
        text.push_str("<tr>");
        cell(text, "", &cells[0]);
        cell(text, "", &cells[1]);
        cell(text, "n", &cells[8]);
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table>\n");
}

fn payments(text: &mut String, page: &Page<'_>) {
    if page.movements.is_empty() {
        return;
    }
    text.push_str("<h2>Payments 收付</h2>\n");
    heads(text, &[("", "Date 日期"), ("", "What 摘要"), ("n", "Amount 金额")]);
    for (date, what, amount) in &page.movements {
        text.push_str("<tr>");
        cell(text, "", date);
        cell(text, "", what);
        cell(text, "n", &money(page.site, *amount));
        text.push_str("</tr>\n");
    }
    let total = money(page.site, page.paid());
    put(
        text,
        format_args!("<tr class=\"sum\"><td colspan=\"2\">Payments 合计</td><td class=\"n\">{total}</td></tr>\n"),
    );
    text.push_str("</tbody></table>\n");
}

fn footer(text: &mut String, page: &Page<'_>) {
    let (carried_in, carried_out) = page.carried();
    text.push_str("<footer>");
    put(
        text,
        format_args!(
            "<p>Each line is its exact cost and what earlier statements of that line lost by rounding ({carried_in} in all), \
             rounded once. What this statement loses ({carried_out}) is carried to the next: over the year nothing is lost. \
             每行金额只四舍五入一次，余数结转下期。</p>"
        ),
    );
    let adjusted: Vec<String> = page
        .lines
        .iter()
        .filter(|(_, line)| line.usage_month != page.statement.month)
        .map(|(_, line)| line.usage_month.to_string())
        .collect();
    if let Some(first) = adjusted.first() {
        put(
            text,
            format_args!(
                "<p>Lines that say “correction of” settle an earlier month (such as {first}) that was closed before its \
                 readings were complete or corrected. 标有 correction 的行为以前月份的更正。</p>"
            ),
        );
    }
    text.push_str(
        "<p>A balance below zero is owed. The command under each line shows it down to the meter's registers. \
         余额为负表示欠费。</p></footer>\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped("<b>\"Li & 'Sons'\"</b>"), "&lt;b&gt;&quot;Li &amp; &#39;Sons&#39;&quot;&lt;/b&gt;");
        assert_eq!(escaped("清河 <"), "清河 &lt;");
    }
}
