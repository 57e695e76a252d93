//! Shapes through plotters, letters through the crate's font; one drawing for both backends.

use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, PathElement, RGBColor, Rectangle};
use plotters::style::{Color, ShapeStyle};

use super::font;

/// A backend that can be drawn on.
pub(crate) trait Drawn: DrawingBackend {}
impl<T: DrawingBackend> Drawn for T {}

/// Red, green, blue.
pub(crate) type Rgb = (u8, u8, u8);

/// Where a text's point is across it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Across {
    Left,
    Center,
    Right,
}

/// Where a text's point is along its height.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Along {
    Top,
    Middle,
}

struct Letters {
    x: f32,
    baseline: f32,
    size: f32,
    color: Rgb,
    text: String,
}

/// A drawing in progress. Coordinates are units of the drawing; `scale` pixels make one.
pub(crate) struct Canvas<'a, D: Drawn> {
    area: &'a DrawingArea<D, Shift>,
    scale: f64,
    letters: Vec<Letters>,
}

/// The pixel nearest to a coordinate.
#[expect(clippy::cast_possible_truncation, reason = "pictures are far smaller than 2^31 pixels, and a cast saturates")]
pub(crate) fn pixel(at: f64) -> i32 {
    at.round() as i32
}

/// A coordinate in the font's precision.
#[expect(clippy::cast_possible_truncation, reason = "pixels need no more digits than f32 has")]
fn single(at: f64) -> f32 {
    at as f32
}

impl<'a, D: Drawn> Canvas<'a, D> {
    pub(crate) fn new(area: &'a DrawingArea<D, Shift>, scale: f64) -> Canvas<'a, D> {
        Canvas { area, scale, letters: Vec::new() }
    }

    fn point(&self, at: (f64, f64)) -> (i32, i32) {
        (pixel(at.0 * self.scale), pixel(at.1 * self.scale))
    }

    /// A filled rectangle.
    pub(crate) fn rectangle(&mut self, from: (f64, f64), to: (f64, f64), color: Rgb) -> Result<(), String> {
        let corners = [self.point(from), self.point(to)];
        let style = ShapeStyle::from(&RGBColor(color.0, color.1, color.2)).filled();
        self.area.draw(&Rectangle::new(corners, style)).map_err(|fault| fault.to_string())
    }

    /// A line of one unit.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: Rgb) -> Result<(), String> {
        let width = pixel(self.scale).unsigned_abs();
        let style = RGBColor(color.0, color.1, color.2).stroke_width(width);
        let line = PathElement::new(vec![self.point(from), self.point(to)], style);
        self.area.draw(&line).map_err(|fault| fault.to_string())
    }

    /// A text at a point; it is drawn after all shapes.
    pub(crate) fn text(&mut self, at: (f64, f64), size: f64, color: Rgb, text: &str, across: Across, along: Along) {
        let size = single(size * self.scale);
        let wide = font::width(text, size);
        let x = single(at.0 * self.scale)
            - match across {
                Across::Left => 0.0,
                Across::Center => wide / 2.0,
                Across::Right => wide,
            };
        // Figures and capitals are about 0.72 em high.
        let baseline = single(at.1 * self.scale)
            + match along {
                Along::Top => size * 0.86,
                Along::Middle => size * 0.36,
            };
        self.letters.push(Letters { x, baseline, size, color, text: text.to_owned() });
    }

    /// All texts as SVG paths.
    pub(crate) fn outlines(&self) -> String {
        let mut svg = String::new();
        for letters in &self.letters {
            let (r, g, b) = letters.color;
            let data = font::path(&letters.text, letters.size, letters.x, letters.baseline);
            let _ = writeln!(svg, "<path fill=\"#{r:02X}{g:02X}{b:02X}\" d=\"{data}\"/>");
        }
        svg
    }

    /// Draws all texts as pixels.
    pub(crate) fn rasterize(&self) -> Result<(), String> {
        let mut result = Ok(());
        for letters in &self.letters {
            let color = RGBColor(letters.color.0, letters.color.1, letters.color.2);
            font::raster(&letters.text, letters.size, letters.x, letters.baseline, |x, y, cover| {
                let at = (pixel(f64::from(x)), pixel(f64::from(y)));
                let drawn = self.area.draw_pixel(at, &color.mix(f64::from(cover.clamp(0.0, 1.0))));
                if let Err(fault) = drawn {
                    result = Err(fault.to_string());
                }
            });
        }
        result
    }
}

/// The width of a text in units of the drawing.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    f64::from(font::width(text, single(size)))
}

/// A text cut to a width, with `…` where something is left out.
pub(crate) fn fitted(text: &str, size: f64, wide: f64) -> String {
    if text_width(text, size) <= wide {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let shorter: String = kept.iter().chain(&['…']).collect();
        if text_width(&shorter, size) <= wide {
            return shorter;
        }
    }
    String::new()
}
