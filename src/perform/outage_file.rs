//! `outage import`: the power failures that a file lists, recorded in one change.
//!
//! A line that cannot be recorded is named with its number and reason, and the rest goes on. A file read twice changes
//! nothing: an outage with the same meter and times is the same one.

use super::outage::{self, Said};
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
    let registry = node.engine.registry();
    // What each line is called, and where it is understood its place among those that billing is asked.
    let (mut lines, mut asking) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let [meter, from, to] = columns.map(|place| record.get(place).unwrap_or_default());
        let line = record.position().map_or(0, csv::Position::line);
        let said = Said { meter, from, to, withdraw: false, reason: &asked.reason };
        let understood = outage::asked(&registry, actor, &said).map(|outage| asking.push(outage));
        lines.push((format!("line {line} ({meter}, {from} to {to})"), understood.map_err(|Failure(why)| why)));
    }
    let stated = node.engine.state_outages(asking).await.map_err(failed)?.map_err(failed)?;
    let mut stated = stated.into_iter();
    let mut recorded = 0;
    let all = lines.len();
    for (line, understood) in lines {
        match understood.and_then(|()| stated.next().unwrap_or_else(|| Err("billing gave no answer".to_owned()))) {
            Ok(_) => recorded += 1,
            Err(why) => say(events, format!("{line}: {why}")).await,
        }
    }
    let counted = format!("{recorded} outages recorded or known, {} lines refused", all - recorded);
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
