//! What a chart shows: panels of categories and series, made from a report's rows by its header's `chart:` line.
//!
//! `stacked-bars` and `grouped-bars` have `x` (a date, month or year) and `y` (columns), or one `y` and `series` (a
//! column whose values name the series); `horizontal-bars` have `y` (names) and `x` (columns). `panel` and `unit` are
//! columns: each of their values has a panel of its own. `top` limits the bars, `order=ascending` shows the least first.

use std::collections::{BTreeMap, BTreeSet};

use kernel::id::Utility;
use kernel::time::{LocalDate, LocalMonth};

use super::canvas::Rgb;
use crate::{Report, table};

/// Text.
pub(crate) const INK: Rgb = (34, 34, 34);
/// Secondary text.
pub(crate) const GREY: Rgb = (110, 110, 110);
/// Lines of the grid.
pub(crate) const GRID: Rgb = (225, 225, 225);

/// How bars stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stacked,
    Grouped,
    Horizontal,
}

/// One colour of bars.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) color: Rgb,
    /// By category; nothing is not zero.
    pub(crate) values: Vec<Option<f64>>,
}

/// One pair of axes.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) unit: String,
    pub(crate) categories: Vec<String>,
    pub(crate) series: Vec<Series>,
    /// Said of bars that are left out.
    pub(crate) note: String,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) footer: String,
    pub(crate) panels: Vec<Panel>,
}

/// Okabe and Ito's palette, which people with colour blindness tell apart.
const PALETTE: [Rgb; 7] =
    [(0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (120, 120, 120)];

/// Colour and bilingual name of a known series or panel.
pub(super) fn known(name: &str) -> Option<(Rgb, &'static str)> {
    Some(match name {
        "sharp" => ((213, 94, 0), "sharp 尖"),
        "peak" => ((230, 159, 0), "peak 峰"),
        "flat" => ((86, 180, 233), "flat 平"),
        "valley" => ((0, 114, 178), "valley 谷"),
        "deep_valley" => ((40, 50, 110), "deep valley 深谷"),
        "dynamic" => ((204, 121, 167), "dynamic 动态"),
        "unpriced" => ((120, 120, 120), "unpriced 未定价"),
        "single" => ((0, 158, 115), "single price 单一制"),
        "quantity" => ((0, 114, 178), "quantity 用量"),
        "balance" => ((0, 114, 178), "balance 余额"),
        "this_year" => ((0, 114, 178), "this year 本年"),
        "last_year" => ((240, 190, 90), "last year 上年"),
        "electricity" => ((230, 159, 0), "Electricity 电"),
        "water" => ((0, 114, 178), "Water 水"),
        "gas" => ((204, 121, 167), "Gas 燃气"),
        "heat" => ((213, 94, 0), "Heat 热"),
        "cash" => ((0, 158, 115), "cash 现金"),
        "bank" => ((230, 159, 0), "bank 银行"),
        "wechat" => ((0, 114, 178), "WeChat 微信"),
        "alipay" => ((86, 180, 233), "Alipay 支付宝"),
        "top-ups" => (INK, "Top-ups received 充值收入"),
        "usage" => (INK, "Usage charged 用量收入"),
        _ => return None,
    })
}

struct Spec<'a> {
    kind: Kind,
    settings: BTreeMap<&'a str, &'a str>,
}

impl<'a> Spec<'a> {
    fn parse(text: &'a str) -> Option<Spec<'a>> {
        let mut words = text.split_whitespace();
        let kind = match words.next()? {
            "stacked-bars" => Kind::Stacked,
            "grouped-bars" => Kind::Grouped,
            "horizontal-bars" => Kind::Horizontal,
            _ => return None,
        };
        Some(Spec { kind, settings: words.filter_map(|word| word.split_once('=')).collect() })
    }

    /// Each row's text of a column, or of several with a gap between.
    fn texts(&self, report: &Report, setting: &str) -> Option<Vec<String>> {
        let mut joined = vec![String::new(); report.row_count()];
        for name in self.settings.get(setting)?.split(',') {
            let texts = report.texts(report.place(name)?);
            for (whole, text) in joined.iter_mut().zip(texts.into_iter().map(Option::unwrap_or_default)) {
                if !whole.is_empty() {
                    whole.push_str("  ");
                }
                whole.push_str(&text);
            }
        }
        Some(joined)
    }
}

impl Chart {
    /// The chart of a report; none where its header names none, or where there is nothing to draw.
    pub(crate) fn of(report: &Report) -> Option<Chart> {
        let spec = Spec::parse(report.header.chart.as_deref()?)?;
        let rows = report.row_count();
        let blank = || vec![String::new(); rows];
        let panel_of = spec.texts(report, "panel").unwrap_or_else(blank);
        let unit_of = spec.texts(report, "unit").unwrap_or_else(blank);
        let mut keys: Vec<(String, String)> = Vec::new();
        for key in panel_of.iter().cloned().zip(unit_of.iter().cloned()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        // Utilities in report order, anything else by name.
        let rank = |name: &str| Utility::ALL.iter().position(|utility| utility.name() == name).unwrap_or(usize::MAX);
        keys.sort_by(|a, b| (rank(&a.0), a).cmp(&(rank(&b.0), b)));
        let mut panels = Vec::new();
        for (panel, unit) in keys {
            let rows: Vec<usize> = (0..rows).filter(|row| panel_of[*row] == panel && unit_of[*row] == unit).collect();
            panels.extend(build(report, &spec, &panel, &unit, &rows));
        }
        let period = report.period.map_or_else(String::new, |period| format!("{} – {}", period.from, period.to));
        let chart = Chart {
            kind: spec.kind,
            title: report.title.replace(" | ", "  "),
            subtitle: if period.is_empty() { "now 当前".to_owned() } else { period },
            footer: table::as_of(report),
            panels,
        };
        (!chart.panels.is_empty()).then_some(chart)
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn build(report: &Report, spec: &Spec<'_>, panel: &str, unit: &str, rows: &[usize]) -> Option<Panel> {
    let (category, values) = match spec.kind {
        Kind::Horizontal => ("y", "x"),
        Kind::Stacked | Kind::Grouped => ("x", "y"),
    };
    let category_of = spec.texts(report, category)?;
    let columns: Vec<&str> = spec.settings.get(values)?.split(',').collect();
    // All panels of a chart over time have the same axis.
    let all: Vec<usize> = (0..report.row_count()).collect();
    let mut categories = categories(&category_of, if spec.kind == Kind::Horizontal { rows } else { &all }, spec.kind);
    match spec.settings.get(category) {
        Some(&"local_date") => categories = every_day(categories),
        Some(&"month") => categories = every_month(categories),
        _ => {}
    }
    let place: BTreeMap<&str, usize> = categories.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut sums: BTreeMap<(usize, String), Vec<Option<f64>>> = BTreeMap::new();
    let series_of = spec.texts(report, "series");
    for (order, column) in columns.iter().enumerate() {
        let texts = report.texts(report.place(column)?);
        for row in rows {
            let Some(value) = texts[*row].as_deref().and_then(number) else { continue };
            let name = series_of.as_ref().map_or_else(|| (*column).to_owned(), |names| names[*row].clone());
            let sum = sums.entry((order, name)).or_insert_with(|| vec![None; categories.len()]);
            if let Some(at) = place.get(category_of[*row].as_str()) {
                sum[*at] = Some(sum[*at].unwrap_or(0.0) + value);
            }
        }
    }
    let drawn = |values: &[Option<f64>]| values.iter().flatten().any(|value| value.abs() > 0.0);
    let mut series: Vec<Series> = Vec::new();
    for ((_, name), values) in sums {
        if drawn(&values) {
            let (color, name) = known(&name).map_or_else(
                || (PALETTE[series.len() % PALETTE.len()], name.clone()),
                |(color, name)| (color, name.to_owned()),
            );
            series.push(Series { name, color, values });
        }
    }
    if series.is_empty() {
        return None;
    }
    let title = known(panel).map_or_else(|| panel.replace('_', " "), |(_, name)| name.to_owned());
    let mut panel = Panel { title, unit: unit.replace("m3", "m³"), categories, series, note: String::new() };
    if spec.kind == Kind::Horizontal {
        let top = spec.settings.get("top").and_then(|text| text.parse().ok()).unwrap_or(20);
        panel.keep(top, spec.settings.get("order") == Some(&"ascending"));
    }
    Some(panel)
}

fn categories(category_of: &[String], rows: &[usize], kind: Kind) -> Vec<String> {
    if kind == Kind::Horizontal {
        let mut names: Vec<String> = Vec::new();
        for row in rows {
            if !names.contains(&category_of[*row]) {
                names.push(category_of[*row].clone());
            }
        }
        return names;
    }
    let names: BTreeSet<&String> = rows.iter().map(|row| &category_of[*row]).collect();
    names.into_iter().cloned().collect()
}

fn parse_date(name: &str) -> Option<LocalDate> {
    let mut parts = name.splitn(3, '-');
    let mut next = || parts.next()?.parse::<i32>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    LocalDate::new(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
}

fn date(name: Option<&String>) -> Option<LocalDate> {
    name.and_then(|name| parse_date(name))
}

/// All days from the first to the last, so that a day without data is a gap and not left out.
fn every_day(names: Vec<String>) -> Vec<String> {
    match (date(names.first()), date(names.last())) {
        (Some(first), Some(last)) if last.0 - first.0 < 800 => {
            (first.0..=last.0).map(|day| LocalDate(day).to_string()).collect()
        }
        _ => names,
    }
}

/// All months from the first to the last.
fn every_month(names: Vec<String>) -> Vec<String> {
    match (date(names.first()), date(names.last())) {
        (Some(first), Some(last)) if last.month().0 - first.month().0 < 240 => {
            (first.month().0..=last.month().0).map(|month| LocalMonth(month).first_day().to_string()).collect()
        }
        _ => names,
    }
}

impl Panel {
    /// The value of a category over all series.
    pub(crate) fn total(&self, at: usize) -> f64 {
        self.series.iter().filter_map(|series| series.values[at]).sum()
    }

    /// Sorts the categories and keeps the first `top`.
    fn keep(&mut self, top: usize, ascending: bool) {
        let mut order: Vec<usize> = (0..self.categories.len()).collect();
        order.sort_by(|a, b| {
            let sorted = self.total(*a).total_cmp(&self.total(*b));
            if ascending { sorted } else { sorted.reverse() }
        });
        if order.len() > top {
            let which = if ascending { "lowest 最低" } else { "highest 最高" };
            self.note = format!("{top} {which} / {}", order.len());
            order.truncate(top);
        }
        self.categories = order.iter().map(|at| self.categories[*at].clone()).collect();
        for series in &mut self.series {
            series.values = order.iter().map(|at| series.values[*at]).collect();
        }
    }
}
