//! Bars over time: stacked by band, channel or utility, or side by side.

use super::axis::{figure, ticks};
use super::canvas::{Across, Along, Canvas, Drawn, text_width};
use super::model::{GREY, GRID, INK, Panel};

/// Height of a panel.
pub(crate) const HEIGHT: f64 = 330.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 28.0;
const ABOVE: f64 = 64.0;
const BELOW: f64 = 42.0;

/// Draws a panel whose top is at `top`.
pub(crate) fn draw<D: Drawn>(
    panel: &Panel,
    canvas: &mut Canvas<'_, D>,
    top: f64,
    width: f64,
    stacked: bool,
) -> Result<(), String> {
    let (high, low) = bounds(panel, stacked);
    let ticks = ticks(low, high, 5.0);
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let step = if ticks.len() > 1 { ticks[1] - ticks[0] } else { 1.0 };
    let (floor, ceiling) = (top + HEIGHT - BELOW, top + ABOVE);
    let y = |value: f64| floor - (value - low) / (high - low) * (floor - ceiling);

    canvas.text((28.0, top + 12.0), 16.0, INK, &panel.title, Across::Left, Along::Middle);
    canvas.text((LEFT - 10.0, top + 40.0), 13.0, GREY, &panel.unit, Across::Right, Along::Middle);
    legend(panel, canvas, top + 40.0)?;
    for tick in &ticks {
        canvas.line((LEFT, y(*tick)), (width - RIGHT, y(*tick)), GRID)?;
        canvas.text((LEFT - 10.0, y(*tick)), 13.0, GREY, &figure(*tick, step), Across::Right, Along::Middle);
    }
    let count = count(panel.categories.len());
    let slot = (width - LEFT - RIGHT) / count.max(1.0);
    let bar = (slot * 0.78).min(if stacked { 64.0 } else { 90.0 });
    for at in 0..panel.categories.len() {
        let center = LEFT + slot * (self::count(at) + 0.5);
        if stacked {
            stack(panel, canvas, at, (center - bar / 2.0, center + bar / 2.0), &y)?;
        } else {
            let each = bar / self::count(panel.series.len());
            for (index, series) in panel.series.iter().enumerate() {
                let Some(value) = series.values[at] else { continue };
                let left = center - bar / 2.0 + each * self::count(index);
                canvas.rectangle((left, y(value.max(0.0))), (left + each - 1.0, y(value.min(0.0))), series.color)?;
            }
        }
    }
    canvas.line((LEFT, y(0.0)), (width - RIGHT, y(0.0)), GREY)?;
    labels(panel, canvas, slot, floor + 8.0);
    Ok(())
}

/// A small number of things, as a coordinate.
pub(crate) fn count(things: usize) -> f64 {
    u32::try_from(things).map_or(0.0, f64::from)
}

fn bounds(panel: &Panel, stacked: bool) -> (f64, f64) {
    let (mut high, mut low) = (0.0_f64, 0.0_f64);
    for at in 0..panel.categories.len() {
        let values = panel.series.iter().filter_map(|series| series.values[at]);
        if stacked {
            let (up, down) = values.fold((0.0, 0.0), |(up, down), value| (up + value.max(0.0), down + value.min(0.0)));
            (high, low) = (high.max(up), low.min(down));
        } else {
            (high, low) = values.fold((high, low), |(high, low), value| (high.max(value), low.min(value)));
        }
    }
    (if high > low { high } else { low + 1.0 }, low)
}

fn stack<D: Drawn>(
    panel: &Panel,
    canvas: &mut Canvas<'_, D>,
    at: usize,
    (left, right): (f64, f64),
    y: &impl Fn(f64) -> f64,
) -> Result<(), String> {
    let (mut up, mut down) = (0.0, 0.0);
    // The last series of the legend stands at the bottom.
    for series in panel.series.iter().rev() {
        let Some(value) = series.values[at] else { continue };
        let base = if value >= 0.0 { &mut up } else { &mut down };
        let (from, to) = (*base, *base + value);
        *base = to;
        canvas.rectangle((left, y(from.max(to))), (right, y(from.min(to))), series.color)?;
    }
    Ok(())
}

/// The legend, from the left edge of the bars on.
pub(crate) fn legend<D: Drawn>(panel: &Panel, canvas: &mut Canvas<'_, D>, middle: f64) -> Result<(), String> {
    let mut x = LEFT;
    for series in &panel.series {
        canvas.rectangle((x, middle - 6.0), (x + 12.0, middle + 6.0), series.color)?;
        canvas.text((x + 18.0, middle), 13.0, INK, &series.name, Across::Left, Along::Middle);
        x += 18.0 + text_width(&series.name, 13.0) + 22.0;
    }
    Ok(())
}

/// As many labels as have room: days as 10-31, months as 2026-10, years as they are.
fn labels<D: Drawn>(panel: &Panel, canvas: &mut Canvas<'_, D>, slot: f64, top: f64) {
    let monthly = panel.categories.iter().all(|name| name.len() == 10 && name.ends_with("-01"));
    let short = |name: &str| match name.len() {
        10 if monthly => name[..7].to_owned(),
        10 => name[5..].to_owned(),
        _ => name.to_owned(),
    };
    let widest = panel.categories.iter().map(|name| text_width(&short(name), 13.0)).fold(0.0, f64::max);
    let every = (1..).find(|every| slot * count(*every) >= widest + 10.0).unwrap_or(1);
    for (at, name) in panel.categories.iter().enumerate().step_by(every) {
        let center = LEFT + slot * (count(at) + 0.5);
        canvas.text((center, top), 13.0, GREY, &short(name), Across::Center, Along::Top);
    }
    if let (false, Some(first), Some(last)) = (monthly, panel.categories.first(), panel.categories.last())
        && first.len() == 10
    {
        let years =
            if first[..4] == last[..4] { first[..4].to_owned() } else { format!("{}–{}", &first[..4], &last[..4]) };
        canvas.text((LEFT - 10.0, top), 13.0, GREY, &years, Across::Right, Along::Top);
    }
}
