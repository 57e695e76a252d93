//! `probe`: one device, read once, every register decoded.

use std::time::Duration;

use ingest::{field, profile};

use super::table::Table;
use crate::call::{Failure, Tabular, failed};

/// A field engineer waits this long for one answer.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn probe(name: &str, address: &str, unit: u8) -> Result<(), Failure> {
    let profile = profile::find(name).map_err(failed)?;
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) =
        parts.ok_or_else(|| Failure(format!("{address:?} is no HOST:PORT; write it as 192.168.1.20:502")))?;
    let rows = field::probe(&profile, host, port, unit, TIMEOUT).await.map_err(failed)?;
    println!("{} {} ({}), unit {unit} at {address}", profile.vendor, profile.model, profile.name);
    let mut table = Table::new(&["register", "address>", "words", "value>", "note"]);
    for row in rows {
        let words: Vec<String> = row.raw.iter().map(|word| format!("{word:04X}")).collect();
        table.push([row.register, format!("0x{:04X}", row.address), words.join(" "), row.decoded, row.note]);
    }
    print!("{}", table.render(Tabular::Table));
    Ok(())
}
