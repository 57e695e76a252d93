//! `import`: a file of readings, acknowledged durable, priced, posted and in the lake.

use std::path::Path;
use std::str::FromStr as _;

use engine::book::chain::Entry;
use ingest::import::{self, ImportError, ImportOptions, ImportSummary, Layout, States, TimeMarks, Unit};
use kernel::time::{DAY, HOUR, MINUTE, SECOND};

use crate::call::{Event, Events, Failure, ImportArguments, failed, say};
use crate::node::Node;

pub(crate) async fn import(
    node: &Node,
    actor: &str,
    file: &Path,
    arguments: &ImportArguments,
    events: &Events,
) -> Result<(), Failure> {
    let options = options(arguments)?;
    let name = file.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    let refused = node.folder.join("refused").join(format!("{name}.{}.csv", node.clock.now().0));
    let mut last = 0;
    let mut progress = |now: import::Progress| {
        // Some ten steps a percent are enough for any screen.
        if now.bytes >= last + now.total_bytes / 200 || now.bytes == now.total_bytes {
            last = now.bytes;
            let unit = format!("{} values", now.rows);
            // A slow screen must not slow the import.
            let _ = events.try_send(Event::Progress { done: now.bytes, total: now.total_bytes, unit });
        }
    };
    let imported = import::import(&node.intake, file, &options, &refused, &mut progress).await;
    let summary = match imported {
        Ok(summary) => summary,
        Err(ImportError::NothingAccepted { path, summary }) => {
            say(events, describe(&summary)).await;
            return Err(failed(ImportError::NothingAccepted { path, summary }));
        }
        Err(error) => return Err(failed(error)),
    };
    if let Some(seq) = summary.last_seq {
        node.engine.settled(seq).await.map_err(failed)?.map_err(failed)?;
        node.engine.file().await.map_err(failed)?.map_err(failed)?;
        let entry = Entry {
            at: node.clock.now(),
            actor: actor.to_owned(),
            kind: "import".to_owned(),
            subject: format!("file:{name}"),
            detail: describe(&summary),
        };
        node.engine.record(entry).await.map_err(failed)?.map_err(failed)?;
    }
    say(events, describe(&summary)).await;
    Ok(())
}

fn describe(summary: &ImportSummary) -> String {
    use std::fmt::Write as _;
    let refused = summary.refused.total();
    let mut text = format!(
        "{} values read: {} accepted for {} meters, {} missing, {refused} refused",
        summary.rows_read, summary.accepted, summary.meters, summary.missing
    );
    if let (Some(first), Some(last)) = (summary.first_time, summary.last_time) {
        // Writing into a string cannot fail.
        let _ = write!(text, "\nfrom {first} to {last}; durable, priced, posted and in the lake");
    }
    for (reason, count) in &summary.refused.0 {
        let _ = write!(text, "\n  {count} refused: {reason}");
    }
    if let Some(file) = &summary.refused_file {
        let _ = write!(text, "\neach refused row is listed in {}", file.display());
    }
    text
}

fn options(arguments: &ImportArguments) -> Result<ImportOptions, Failure> {
    let states = match (&arguments.register_column, &arguments.usage_column) {
        (Some(_), None) => {
            if arguments.interval.is_some() || arguments.time_marks.is_some() {
                return Err(Failure(
                    "--interval and --time-marks belong to --usage-column: a register has no interval".into(),
                ));
            }
            States::Register
        }
        (None, Some(_)) => States::Usage {
            interval: arguments.interval.as_deref().map(span).transpose()?,
            time_marks: match arguments.time_marks.as_deref() {
                Some("start") => TimeMarks::Start,
                Some("end") => TimeMarks::End,
                _ => {
                    return Err(Failure(
                        "--usage-column needs --time-marks start or end: whether the time is where each interval begins or ends".into(),
                    ));
                }
            },
        },
        _ => {
            return Err(Failure(
                "say what the values are: --register-column C (a cumulative register) or --usage-column C (a quantity in each interval)".into(),
            ));
        }
    };
    let value = arguments.register_column.as_ref().or(arguments.usage_column.as_ref()).cloned().unwrap_or_default();
    let layout = match (&arguments.meter_column, arguments.wide) {
        (_, true) => Layout::Wide,
        (Some(meter_column), false) if !value.is_empty() => {
            Layout::Long { meter_column: meter_column.clone(), value_column: value }
        }
        _ => {
            return Err(Failure(
                "name the columns: --meter-column C with --register-column C or --usage-column C, or --wide for a column per meter".into(),
            ));
        }
    };
    Ok(ImportOptions {
        time_column: arguments.time_column.clone(),
        layout,
        states,
        unit: arguments.unit.as_deref().map(Unit::from_str).transpose().map_err(failed)?,
        time_zone: arguments.time_zone.clone(),
    })
}

/// `90s`, `15m`, `1h` or `1d` in microseconds.
pub(super) fn span(text: &str) -> Result<i64, Failure> {
    let parse = || {
        let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "s" => SECOND,
            "m" | "min" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            _ => return None,
        };
        count.parse::<i64>().ok()?.checked_mul(unit).filter(|span| *span > 0)
    };
    parse().ok_or_else(|| Failure(format!("the interval {text:?} is no length of time: write it as 15m, 1h or 1d")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_people_write_them_or_refused() {
        for (text, micros) in
            [("15m", Some(15 * MINUTE)), ("1h", Some(HOUR)), ("1d", Some(DAY)), ("90s", Some(90 * SECOND))]
        {
            assert_eq!(span(text).ok(), micros, "{text}");
        }
        for text in ["", "h", "0h", "1", "-1h", "1w", "99999999999999999h"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
