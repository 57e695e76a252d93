//! Ticks at 1, 2 or 5 times a power of ten, and figures as short as they may be.

use crate::cells::group;

/// Ticks from at most `low` to at least `high`, about `count` of them.
pub(crate) fn ticks(low: f64, high: f64, count: f64) -> Vec<f64> {
    let span = (high - low).max(f64::MIN_POSITIVE);
    let rough = span / count;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let first = (low / step).floor();
    let mut ticks = Vec::new();
    let mut index = 0.0;
    loop {
        let tick = (first + index) * step;
        ticks.push(tick);
        if tick >= high - step * 1e-9 || ticks.len() > 50 {
            return ticks;
        }
        index += 1.0;
    }
}

/// A figure of an axis whose ticks are `step` apart.
pub(crate) fn figure(value: f64, step: f64) -> String {
    let places = if step >= 1.0 { 0 } else { super::canvas::pixel((-step.log10()).ceil()).unsigned_abs().min(6) };
    let places = usize::try_from(places).unwrap_or(0);
    let text = format!("{value:.places$}");
    match crate::cells::unscaled(&text) {
        Some((unscaled, scale)) => group(unscaled, scale, places),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        let shown =
            |low, high| ticks(low, high, 5.0).iter().map(|tick| format!("{tick}")).collect::<Vec<_>>().join(" ");
        assert_eq!(shown(0.0, 4_321.0), "0 1000 2000 3000 4000 5000");
        assert_eq!(shown(-12.0, 40.0), "-20 0 20 40");
        assert_eq!(shown(0.0, 0.04), "0 0.01 0.02 0.03 0.04");
        assert_eq!((figure(1_500_000.0, 500_000.0), figure(0.02, 0.01)), ("1,500,000".into(), "0.02".into()));
    }
}
