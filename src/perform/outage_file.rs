//! `outage import`: the power failures that a file lists, each recorded as if it were said by itself.
//!
//! A line that cannot be recorded is named with its number and reason, and the rest goes on. A file read twice changes
//! nothing: an outage with the same meter and times is the same one.

use super::outage::{Said, state};
use crate::call::{Events, Failure, OutageFile, failed, say};
use crate::node::Node;
use crate::perform::readings::say_what_waits;

pub(super) async fn import(
    node: &Node,
    actor: &str,
    asked: &OutageFile,
    text: &str,
    events: &Events,
) -> Result<(), Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let columns = columns(reader.headers().map_err(failed)?, asked)?;
    let (mut recorded, mut refused) = (0_usize, 0_usize);
    for record in reader.records() {
        let outcome = match &record {
            Ok(record) => {
                let [meter, from, to] = columns.map(|place| record.get(place).unwrap_or_default());
                let said = Said { meter, from, to, withdraw: false, reason: &asked.reason };
                state(node, actor, &said).await.map_err(|Failure(why)| {
                    let line = record.position().map_or(0, csv::Position::line);
                    format!("line {line} ({meter}, {from} to {to}): {}", why.replace('\n', ": "))
                })
            }
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(_) => recorded += 1,
            Err(why) => {
                refused += 1;
                say(events, why).await;
            }
        }
    }
    let counted = format!("{recorded} outages recorded or known, {refused} lines refused");
    if recorded == 0 {
        return Err(Failure(format!("{counted}: the file says nothing that could be recorded")));
    }
    say(events, counted).await;
    say_what_waits(node, events).await
}

/// Where meter, beginning and end stand.
fn columns(headers: &csv::StringRecord, asked: &OutageFile) -> Result<[usize; 3], Failure> {
    let place = |name: &str, option: &str| {
        headers.iter().position(|header| header == name).ok_or_else(|| {
            let known: Vec<&str> = headers.iter().collect();
            Failure(format!("there is no column {name:?}; the file has {}: name it with {option}", known.join(", ")))
        })
    };
    Ok([
        place(&asked.meter_column, "--meter-column")?,
        place(&asked.from_column, "--from-column")?,
        place(&asked.to_column, "--to-column")?,
    ])
}
