//! A year as a map: days from left to right, hours from top to bottom, each stretch in the colour of its band.

use kernel::time::LocalDate;

use super::canvas::{Across, Along, Canvas, Drawn, Rgb, fitted, text_width};
use super::model::{GREY, GRID, INK};
use super::{Picture, WIDTH};

/// Minutes of a day by the wall clock.
const MINUTES: f64 = 1_440.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 28.0;
const HEAD: f64 = 92.0;
const FOOT: f64 = 34.0;
/// Of a panel: its title and legend, the map, the months below it.
const ABOVE: f64 = 66.0;
const MAP: f64 = 264.0;
const BELOW: f64 = 44.0;

/// Colours and names that a legend explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shade {
    /// Red, green, blue.
    pub color: (u8, u8, u8),
    /// What it means, in both languages.
    pub label: String,
}

/// One local day: `(from, to, shade)` in minutes of the wall clock; the shade by its place in [`YearPanel::shades`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct YearDay {
    /// In order. What the clocks skip is left out.
    pub stretches: Vec<(u16, u16, usize)>,
}

/// One year of one tariff version.
#[derive(Clone, Debug)]
pub struct YearPanel {
    /// What it shows.
    pub title: String,
    /// The first day drawn.
    pub first: LocalDate,
    /// All days from there on.
    pub days: Vec<YearDay>,
    /// The legend.
    pub shades: Vec<Shade>,
}

/// A drawing of some years.
#[derive(Clone, Debug)]
pub struct YearMap {
    /// For errors.
    pub name: String,
    /// In large letters.
    pub title: String,
    /// Below it.
    pub subtitle: String,
    /// One below the other.
    pub panels: Vec<YearPanel>,
}

/// The colour and bilingual name of a band.
pub(crate) fn band(name: &str) -> (Rgb, &'static str) {
    super::model::known(name).unwrap_or(((120, 120, 120), "other 其他"))
}

fn number(count: usize) -> f64 {
    super::vertical::count(count)
}

impl Picture for YearMap {
    fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> String {
        format!("{} {}", self.title, self.subtitle)
    }

    fn height(&self) -> f64 {
        HEAD + number(self.panels.len()) * (ABOVE + MAP + BELOW) + FOOT
    }

    fn draw<D: Drawn>(&self, canvas: &mut Canvas<'_, D>) -> Result<(), String> {
        canvas.rectangle((0.0, 0.0), (WIDTH, self.height()), (255, 255, 255))?;
        let (title, subtitle) = (fitted(&self.title, 24.0, WIDTH - 56.0), fitted(&self.subtitle, 14.0, WIDTH - 56.0));
        canvas.text((28.0, 24.0), 24.0, INK, &title, Across::Left, Along::Top);
        canvas.text((28.0, 60.0), 14.0, GREY, &subtitle, Across::Left, Along::Top);
        for (place, panel) in self.panels.iter().enumerate() {
            panel.draw(canvas, HEAD + number(place) * (ABOVE + MAP + BELOW))?;
        }
        let footer = "days left to right, hours top to bottom · 横轴为日期，纵轴为时刻";
        canvas.text((28.0, self.height() - 22.0), 12.0, GREY, footer, Across::Left, Along::Middle);
        Ok(())
    }
}

impl YearPanel {
    fn draw<D: Drawn>(&self, canvas: &mut Canvas<'_, D>, top: f64) -> Result<(), String> {
        canvas.text(
            (28.0, top + 12.0),
            16.0,
            INK,
            &fitted(&self.title, 16.0, WIDTH - 56.0),
            Across::Left,
            Along::Middle,
        );
        let mut at = LEFT;
        for shade in &self.shades {
            canvas.rectangle((at, top + 34.0), (at + 14.0, top + 46.0), shade.color)?;
            canvas.text((at + 20.0, top + 40.0), 13.0, INK, &shade.label, Across::Left, Along::Middle);
            at += 20.0 + text_width(&shade.label, 13.0) + 22.0;
        }
        let (floor, ceiling) = (top + ABOVE + MAP, top + ABOVE);
        let wide = (WIDTH - LEFT - RIGHT) / number(self.days.len()).max(1.0);
        let x = |day: usize| LEFT + wide * number(day);
        let y = |minute: u16| ceiling + MAP * f64::from(minute) / MINUTES;
        // Days that look alike are drawn as one, so that a year is some hundred shapes.
        let mut from = 0;
        for day in 1..=self.days.len() {
            if self.days.get(day) == self.days.get(from) {
                continue;
            }
            for &(begin, end, shade) in &self.days[from].stretches {
                let color = self.shades.get(shade).map_or((255, 255, 255), |shade| shade.color);
                canvas.rectangle((x(from), y(begin)), (x(day), y(end)), color)?;
            }
            from = day;
        }
        for hour in (0..=24_u16).step_by(3) {
            let label = format!("{hour:02}:00");
            canvas.text((LEFT - 10.0, y(hour * 60)), 12.0, GREY, &label, Across::Right, Along::Middle);
            canvas.line((LEFT - 4.0, y(hour * 60)), (LEFT, y(hour * 60)), GREY)?;
        }
        self.months(canvas, floor, ceiling, &x)
    }

    fn months<D: Drawn>(
        &self,
        canvas: &mut Canvas<'_, D>,
        floor: f64,
        ceiling: f64,
        x: &impl Fn(usize) -> f64,
    ) -> Result<(), String> {
        const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let mut begins = 0;
        for day in 0..self.days.len() {
            let date = |day: usize| self.first.plus(i32::try_from(day).unwrap_or(0));
            let month = date(day).month();
            if day + 1 < self.days.len() && date(day + 1).month() == month {
                continue;
            }
            let (_, number, _) = date(day).ymd();
            let name = NAMES.get(usize::from(number).saturating_sub(1)).unwrap_or(&"");
            let middle = f64::midpoint(x(begins), x(day + 1));
            if x(day + 1) - x(begins) > 24.0 {
                canvas.text((middle, floor + 12.0), 12.0, GREY, name, Across::Center, Along::Middle);
                canvas.text((middle, floor + 27.0), 12.0, GREY, &format!("{number}月"), Across::Center, Along::Middle);
            }
            canvas.line((x(day + 1), ceiling), (x(day + 1), floor + 4.0), GRID)?;
            begins = day + 1;
        }
        Ok(())
    }
}
