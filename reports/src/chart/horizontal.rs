//! Bars by name: accounts with the most use, or with the least money.

use super::axis::{figure, ticks};
use super::canvas::{Across, Along, Canvas, Drawn, fitted, text_width};
use super::model::{GREY, GRID, INK, Panel};
use super::vertical::{count, legend};
use crate::cells::group;

const ROW: f64 = 24.0;
const ABOVE: f64 = 64.0;
const BELOW: f64 = 46.0;
const RIGHT: f64 = 110.0;
const NAMES_MOST: f64 = 260.0;
/// Bars below zero.
const DEBT: (u8, u8, u8) = (213, 94, 0);

/// The height of a panel.
pub(crate) fn height(panel: &Panel) -> f64 {
    ABOVE + ROW * count(panel.categories.len()) + BELOW
}

/// Draws a panel whose top is at `top`.
pub(crate) fn draw<D: Drawn>(panel: &Panel, canvas: &mut Canvas<'_, D>, top: f64, width: f64) -> Result<(), String> {
    let names = panel.categories.iter().map(|name| text_width(name, 13.0)).fold(40.0, f64::max).min(NAMES_MOST);
    let left = 28.0 + names + 12.0;
    let totals: Vec<f64> = (0..panel.categories.len()).map(|at| panel.total(at)).collect();
    let (low, high) = totals.iter().fold((0.0_f64, 0.0_f64), |(low, high), total| (low.min(*total), high.max(*total)));
    let high = if high > low { high } else { low + 1.0 };
    let ticks = ticks(low, high, 6.0);
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let step = if ticks.len() > 1 { ticks[1] - ticks[0] } else { 1.0 };
    let x = |value: f64| left + (value - low) / (high - low) * (width - RIGHT - left);
    let (first, last) = (top + ABOVE, top + ABOVE + ROW * count(panel.categories.len()));

    let heading = if panel.note.is_empty() { panel.title.clone() } else { format!("{}  {}", panel.title, panel.note) };
    canvas.text((28.0, top + 12.0), 16.0, INK, heading.trim(), Across::Left, Along::Middle);
    legend(panel, canvas, top + 40.0)?;
    canvas.text((28.0, top + 40.0), 13.0, GREY, &panel.unit, Across::Left, Along::Middle);
    for tick in &ticks {
        canvas.line((x(*tick), first), (x(*tick), last), GRID)?;
        canvas.text((x(*tick), last + 6.0), 13.0, GREY, &figure(*tick, step), Across::Center, Along::Top);
    }
    for (at, name) in panel.categories.iter().enumerate() {
        let middle = first + ROW * (count(at) + 0.5);
        canvas.text((left - 12.0, middle), 13.0, INK, &fitted(name, 13.0, NAMES_MOST), Across::Right, Along::Middle);
        let (mut up, mut down) = (0.0, 0.0);
        for series in &panel.series {
            let Some(value) = series.values[at] else { continue };
            let base = if value >= 0.0 { &mut up } else { &mut down };
            let (from, to) = (*base, *base + value);
            *base = to;
            let color = if value < 0.0 { DEBT } else { series.color };
            canvas.rectangle((x(from.min(to)), middle - 8.0), (x(from.max(to)), middle + 8.0), color)?;
        }
        let total = panel.total(at);
        let text = crate::cells::unscaled(&format!("{total:.2}"))
            .map_or_else(String::new, |(value, scale)| group(value, scale, 2));
        canvas.text((x(up) + 8.0, middle), 13.0, GREY, &text, Across::Left, Along::Middle);
    }
    canvas.line((x(0.0), first), (x(0.0), last), GREY)
}
