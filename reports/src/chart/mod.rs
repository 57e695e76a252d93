//! Charts: bars, because every figure here is a sum over a day, a month or an account.
//!
//! Shapes are drawn by plotters on its bitmap and SVG backends; letters are this crate's own font, as pixels or outlines,
//! so that a picture needs no font of the machine. Figures become floats here, and only for pixels.

mod axis;
mod canvas;
mod font;
mod horizontal;
mod model;
mod vertical;

use plotters::prelude::{BitMapBackend, IntoDrawingArea, SVGBackend};

use crate::{Report, ReportError};
use canvas::{Canvas, Drawn};
use model::{Chart, Kind, Panel};

/// Pixels of a PNG for each unit of the drawing.
const PNG_SCALE: f64 = 2.0;
/// Width of the drawing.
const WIDTH: f64 = 1_080.0;
const HEAD: f64 = 92.0;
const FOOT: f64 = 34.0;

/// The report's chart as SVG.
pub(crate) fn svg(report: &Report) -> Result<Vec<u8>, ReportError> {
    let chart = chart(report)?;
    let height = height(&chart);
    let mut text = String::new();
    let letters = {
        let size = (canvas::pixel(WIDTH), canvas::pixel(height));
        let area =
            SVGBackend::with_string(&mut text, (size.0.unsigned_abs(), size.1.unsigned_abs())).into_drawing_area();
        let mut canvas = Canvas::new(&area, 1.0);
        draw(&chart, &mut canvas, height).map_err(|fault| failed(report, &fault))?;
        let letters = canvas.outlines();
        area.present().map_err(|fault| failed(report, &fault.to_string()))?;
        letters
    };
    let end = text.rfind("</svg>").ok_or_else(|| failed(report, "the picture has no end"))?;
    let title = escape(&format!("{} {}", chart.title, chart.subtitle));
    text.insert_str(end, &format!("<title>{title}</title>\n{letters}"));
    Ok(text.into_bytes())
}

/// The report's chart as PNG.
pub(crate) fn png(report: &Report) -> Result<Vec<u8>, ReportError> {
    let chart = chart(report)?;
    let height = height(&chart);
    let size = (canvas::pixel(WIDTH * PNG_SCALE).unsigned_abs(), canvas::pixel(height * PNG_SCALE).unsigned_abs());
    let bytes = usize::try_from(u64::from(size.0) * u64::from(size.1) * 3).unwrap_or(0);
    let mut pixels = vec![255_u8; bytes];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        let mut canvas = Canvas::new(&area, PNG_SCALE);
        draw(&chart, &mut canvas, height).map_err(|fault| failed(report, &fault))?;
        canvas.rasterize().map_err(|fault| failed(report, &fault))?;
        area.present().map_err(|fault| failed(report, &fault.to_string()))?;
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map_err(|fault| failed(report, &fault.to_string()))?;
    Ok(file)
}

fn chart(report: &Report) -> Result<Chart, ReportError> {
    Chart::of(report).ok_or_else(|| ReportError::NoChart { name: report.name.clone() })
}

fn failed(report: &Report, fault: &str) -> ReportError {
    ReportError::Chart { name: report.name.clone(), fault: fault.to_owned() }
}

fn panel_height(chart: &Chart, panel: &Panel) -> f64 {
    match chart.kind {
        Kind::Horizontal => horizontal::height(panel),
        Kind::Stacked | Kind::Grouped => vertical::HEIGHT,
    }
}

fn height(chart: &Chart) -> f64 {
    HEAD + chart.panels.iter().map(|panel| panel_height(chart, panel)).sum::<f64>() + FOOT
}

fn draw<D: Drawn>(chart: &Chart, canvas: &mut Canvas<'_, D>, height: f64) -> Result<(), String> {
    use canvas::{Across, Along};
    canvas.rectangle((0.0, 0.0), (WIDTH, height), (255, 255, 255))?;
    canvas.text((28.0, 24.0), 24.0, model::INK, &chart.title, Across::Left, Along::Top);
    canvas.text((28.0, 60.0), 14.0, model::GREY, &chart.subtitle, Across::Left, Along::Top);
    let mut top = HEAD;
    for panel in &chart.panels {
        match chart.kind {
            Kind::Horizontal => horizontal::draw(panel, canvas, top, WIDTH)?,
            Kind::Stacked => vertical::draw(panel, canvas, top, WIDTH, true)?,
            Kind::Grouped => vertical::draw(panel, canvas, top, WIDTH, false)?,
        }
        top += panel_height(chart, panel);
    }
    canvas.text((28.0, height - 22.0), 12.0, model::GREY, &chart.footer, Across::Left, Along::Middle);
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
