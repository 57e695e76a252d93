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
pub(crate) mod year;

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

/// Something that can be drawn: at [`WIDTH`], on any backend.
pub(crate) trait Picture {
    /// Its name, for errors.
    fn name(&self) -> &str;
    /// What it shows, for those who cannot see it.
    fn title(&self) -> String;
    /// Its height.
    fn height(&self) -> f64;
    /// Draws it.
    fn draw<D: Drawn>(&self, canvas: &mut Canvas<'_, D>) -> Result<(), String>;
}

/// The report's chart as SVG.
pub(crate) fn svg(report: &Report) -> Result<Vec<u8>, ReportError> {
    svg_of(&chart(report)?)
}

/// The report's chart as PNG.
pub(crate) fn png(report: &Report) -> Result<Vec<u8>, ReportError> {
    png_of(&chart(report)?)
}

/// A picture as SVG.
pub(crate) fn svg_of(picture: &impl Picture) -> Result<Vec<u8>, ReportError> {
    let failed = |fault: &str| failed(picture.name(), fault);
    let mut text = String::new();
    let letters = {
        let size = (canvas::pixel(WIDTH), canvas::pixel(picture.height()));
        let area =
            SVGBackend::with_string(&mut text, (size.0.unsigned_abs(), size.1.unsigned_abs())).into_drawing_area();
        let mut canvas = Canvas::new(&area, 1.0);
        picture.draw(&mut canvas).map_err(|fault| failed(&fault))?;
        let letters = canvas.outlines();
        area.present().map_err(|fault| failed(&fault.to_string()))?;
        letters
    };
    let end = text.rfind("</svg>").ok_or_else(|| failed("the picture has no end"))?;
    let title = escape(&picture.title());
    text.insert_str(end, &format!("<title>{title}</title>\n{letters}"));
    Ok(text.into_bytes())
}

/// A picture as PNG.
pub(crate) fn png_of(picture: &impl Picture) -> Result<Vec<u8>, ReportError> {
    let failed = |fault: &str| failed(picture.name(), fault);
    let height = picture.height();
    let size = (canvas::pixel(WIDTH * PNG_SCALE).unsigned_abs(), canvas::pixel(height * PNG_SCALE).unsigned_abs());
    let bytes = usize::try_from(u64::from(size.0) * u64::from(size.1) * 3).unwrap_or(0);
    let mut pixels = vec![255_u8; bytes];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        let mut canvas = Canvas::new(&area, PNG_SCALE);
        picture.draw(&mut canvas).map_err(|fault| failed(&fault))?;
        canvas.rasterize().map_err(|fault| failed(&fault))?;
        area.present().map_err(|fault| failed(&fault.to_string()))?;
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map_err(|fault| failed(&fault.to_string()))?;
    Ok(file)
}

fn chart(report: &Report) -> Result<Named, ReportError> {
    let chart = Chart::of(report).ok_or_else(|| ReportError::NoChart { name: report.name.clone() })?;
    Ok(Named { name: report.name.clone(), chart })
}

/// A chart with the name of its report.
struct Named {
    name: String,
    chart: Chart,
}

impl Picture for Named {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        format!("{} {}", self.chart.title, self.chart.subtitle)
    }

    fn height(&self) -> f64 {
        height(&self.chart)
    }

    fn draw<D: Drawn>(&self, canvas: &mut Canvas<'_, D>) -> Result<(), String> {
        draw(&self.chart, canvas, self.height())
    }
}

fn failed(name: &str, fault: &str) -> ReportError {
    ReportError::Chart { name: name.to_owned(), fault: fault.to_owned() }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use engine::query::Table;

    use super::*;
    use crate::catalogue::find;
    use crate::params::Params;
    use kernel::time::LocalDate;

    /// A report of rows `(texts, figures in 1/1000)`.
    fn report(name: &str, texts: &[&str], figures: &[&str], rows: &[(Vec<String>, Vec<i128>)]) -> Report {
        let text = texts.iter().map(|name| Field::new(*name, DataType::Utf8, true));
        let figure = figures.iter().map(|name| Field::new(*name, DataType::Decimal128(38, 3), true));
        let schema = Arc::new(Schema::new(text.chain(figure).collect::<Vec<_>>()));
        let mut columns: Vec<ArrayRef> = Vec::new();
        for place in 0..texts.len() {
            columns.push(Arc::new(rows.iter().map(|row| Some(row.0[place].clone())).collect::<StringArray>()));
        }
        for place in 0..figures.len() {
            let values = rows.iter().map(|row| Some(row.1[place])).collect::<Decimal128Array>();
            columns.push(Arc::new(values.with_precision_and_scale(38, 3).unwrap()));
        }
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let mut report = Report::of_rows(&Table { schema, batches: vec![batch] });
        let info = find(name).unwrap();
        let day = |day| LocalDate::new(2026, 10, day).unwrap();
        report.name = name.to_owned();
        report.title = info.header.title.clone();
        report.header = info.header.clone();
        report.period = Some(Params::Range(Some(day(1)), Some(day(31))).period(None, day(1), day(31)));
        report
    }

    fn keep(report: &Report) {
        let picture = png(report).unwrap();
        assert!(picture.len() > 50_000, "{}", picture.len());
        if let Some(folder) = std::env::var_os("KEEP_CHARTS") {
            let path = std::path::Path::new(&folder).join(format!("crowded-{}.png", report.name));
            std::fs::write(path, picture).unwrap();
        }
    }

    #[test]
    fn a_month_of_three_utilities_and_all_bands_can_be_drawn() {
        let mut rows = Vec::new();
        for day in 1..=31_i128 {
            for (utility, unit, scale) in [("electricity", "kWh", 4_000_i128), ("water", "m3", 90), ("gas", "m3", 30)] {
                let wave = scale * (20 + (day * 7) % 11 - if day % 7 > 4 { 9 } else { 0 });
                let bands = match utility {
                    "electricity" => vec![0, wave, wave * 2, wave * 3, wave * 2],
                    _ => vec![wave, 0, 0, 0, 0],
                };
                rows.push((vec![format!("2026-10-{day:02}"), utility.to_owned(), unit.to_owned()], bands));
            }
        }
        let bands = ["single", "sharp", "peak", "flat", "valley", "deep_valley", "dynamic", "unpriced"];
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(texts, mut figures)| {
                figures.extend([0; 3]);
                (texts, figures)
            })
            .collect();
        keep(&report("daily-energy", &["local_date", "utility", "unit"], &bands, &rows));
    }

    #[test]
    fn forty_accounts_with_long_han_names_can_be_drawn() {
        let holders = ["金陵老字号盐水鸭专卖店（中央商场店）", "Sunrise Coffee & Bakery Ltd.", "张三", "华联生鲜超市"];
        let row = |number: i128| {
            let holder = holders[usize::try_from(number % 4).unwrap()];
            let texts = vec![format!("S-{number:03}"), holder.to_owned(), "CNY".to_owned()];
            (texts, vec![number * 83_417 - 400_000])
        };
        let rows: Vec<_> = (0..40).map(row).collect();
        keep(&report("balances", &["account", "holder", "currency"], &["balance"], &rows));
    }
}
