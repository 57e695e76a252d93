//! The font of all charts: `fonts/MeterledgerSans.ttf`, Latin and GB2312 Han (see `fonts/README.md`).

use std::fmt::Write as _;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, OutlineCurve, Point, PxScale, ScaleFont};

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../fonts/MeterledgerSans.ttf")).expect("the font in this crate is sound")
});

/// `size` is the height of an em in pixels.
fn scale(size: f32) -> PxScale {
    // ab_glyph scales the height from descent to ascent to the given pixels.
    let units = FONT.units_per_em().unwrap_or(512.0);
    PxScale::from(size * FONT.height_unscaled() / units)
}

/// The width of a text.
pub(crate) fn width(text: &str, size: f32) -> f32 {
    let font = FONT.as_scaled(scale(size));
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

/// The glyphs of a text whose baseline begins at `(x, y)`.
fn glyphs(text: &str, size: f32, x: f32, y: f32) -> Vec<Glyph> {
    let font = FONT.as_scaled(scale(size));
    let mut at = x;
    let mut glyphs = Vec::new();
    for c in text.chars() {
        let id = font.glyph_id(c);
        glyphs.push(id.with_scale_and_position(scale(size), Point { x: at, y }));
        at += font.h_advance(id);
    }
    glyphs
}

/// Calls `each` with every pixel of a text and how much of it is covered, 0 to 1.
pub(crate) fn raster(text: &str, size: f32, x: f32, y: f32, mut each: impl FnMut(f32, f32, f32)) {
    for glyph in glyphs(text, size, x, y) {
        if let Some(outlined) = FONT.outline_glyph(glyph) {
            let corner = outlined.px_bounds().min;
            outlined.draw(|px, py, cover| {
                // Within a picture, far below 2^24: exact in f32.
                #[expect(clippy::cast_precision_loss, reason = "pixel counts of one glyph")]
                each(corner.x + px as f32, corner.y + py as f32, cover);
            });
        }
    }
}

/// The outlines of a text as the data of an SVG path.
pub(crate) fn path(text: &str, size: f32, x: f32, y: f32) -> String {
    let mut data = String::new();
    for glyph in glyphs(text, size, x, y) {
        let Some(outline) = FONT.outline(glyph.id) else { continue };
        let factor = FONT.as_scaled(glyph.scale).v_scale_factor();
        let to = |point: Point| (glyph.position.x + point.x * factor, glyph.position.y - point.y * factor);
        let mut last: Option<Point> = None;
        for curve in outline.curves {
            let (start, end) = match &curve {
                OutlineCurve::Line(a, b) | OutlineCurve::Quad(a, _, b) | OutlineCurve::Cubic(a, _, _, b) => (*a, *b),
            };
            if last != Some(start) {
                let (x, y) = to(start);
                let _ = write!(data, "M{x:.2} {y:.2}");
            }
            let mut coordinates = |letter: char, points: &[Point]| {
                data.push(letter);
                for (index, point) in points.iter().enumerate() {
                    let (x, y) = to(*point);
                    let gap = if index == 0 { "" } else { " " };
                    let _ = write!(data, "{gap}{x:.2} {y:.2}");
                }
            };
            match curve {
                OutlineCurve::Line(_, end) => coordinates('L', &[end]),
                OutlineCurve::Quad(_, control, end) => coordinates('Q', &[control, end]),
                OutlineCurve::Cubic(_, first, second, end) => coordinates('C', &[first, second, end]),
            }
            last = Some(end);
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_and_han_have_widths_and_outlines() {
        assert!((width("电", 20.0) - 20.0).abs() < 1.0, "{}", width("电", 20.0));
        assert!(width("iiii", 20.0) < width("WWWW", 20.0));
        for c in "用电量千瓦时尖峰平谷账户余额元￥kWh·m³%-0123456789,.".chars() {
            assert!(FONT.glyph_id(c).0 != 0, "{c} is missing");
            assert!(!path(&c.to_string(), 14.0, 0.0, 0.0).is_empty(), "{c} is empty");
        }
    }
}
