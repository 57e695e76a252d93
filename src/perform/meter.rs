//! `meter replace`, `meter retype`, `meter reset`: a register changed from a moment on.

use engine::site_file::{NewMeter, Ratio, RegisterChange, RegisterEdit};

use super::apply::profile_facts;
use crate::call::{Events, Failure, MeterCommand, RatioArguments, failed, say};
use crate::node::Node;

pub(crate) async fn meter(
    node: &Node,
    actor: &str,
    command: &MeterCommand,
    dry_run: bool,
    events: &Events,
) -> Result<(), Failure> {
    let edit = edit(command)?;
    let (name, changes_of) = (edit.name(), hint(command));
    let changes = node.engine.change_register(edit, profile_facts()?, actor, dry_run).await.map_err(failed)?;
    let changes = changes.map_err(failed)?;
    if changes.is_empty() {
        say(events, format!("{name}: nothing to change: the book has it so already")).await;
        return Ok(());
    }
    for change in &changes {
        say(events, change.clone()).await;
    }
    let done = if dry_run { "would change; nothing was written" } else { "changed" };
    say(events, format!("{name}: {} things {done}", changes.len())).await;
    if !dry_run {
        node.registry_changed().await?;
        say(events, format!("before the site file is applied again, write there: {changes_of}")).await;
    }
    Ok(())
}

fn edit(command: &MeterCommand) -> Result<RegisterEdit, Failure> {
    let (seam, change) = match command {
        MeterCommand::Replace {
            place,
            new_serial,
            profile,
            closing_count,
            opening_count,
            seam,
            ratio,
            modulus,
            rating,
            bus,
            unit,
        } => {
            let new = NewMeter {
                serial: new_serial.clone(),
                profile: profile.clone(),
                multiplier: multiplier(ratio)?,
                modulus: count("--modulus", *modulus)?,
                rating: rating.clone(),
                bus: bus.clone(),
                unit: *unit,
            };
            let closing = whole("--closing-count", *closing_count)?;
            let opening = whole("--opening-count", *opening_count)?;
            (seam, RegisterChange::Replace { place: place.clone(), new, closing, opening })
        }
        MeterCommand::Retype { serial, seam, ratio, modulus, count: shown } => {
            let (multiplier, modulus) = (multiplier(ratio)?, count("--modulus", *modulus)?);
            let shown = count("--count", *shown)?;
            (seam, RegisterChange::Retype { serial: serial.clone(), multiplier, modulus, count: shown })
        }
        MeterCommand::Reset { serial, opening_count, closing_count, seam } => {
            let closing = count("--closing-count", *closing_count)?;
            let opening = whole("--opening-count", *opening_count)?;
            (seam, RegisterChange::Reset { serial: serial.clone(), closing, opening })
        }
    };
    Ok(RegisterEdit { at: seam.at.clone(), reason: seam.reason.clone(), change })
}

fn whole(option: &str, count: i64) -> Result<i64, Failure> {
    if count >= 0 { Ok(count) } else { Err(Failure(format!("{option} is {count}: a register shows no count below 0"))) }
}

fn count(option: &str, given: Option<i64>) -> Result<Option<i64>, Failure> {
    given.map(|given| whole(option, given)).transpose()
}

/// The product of what is given; `None` where nothing is.
fn multiplier(given: &RatioArguments) -> Result<Option<Ratio>, Failure> {
    let mut product = None;
    for (option, text) in [("--ct", &given.ct), ("--pt", &given.pt), ("--multiplier", &given.multiplier)] {
        let Some(text) = text else { continue };
        let ratio = Ratio::parse(text)
            .ok_or_else(|| Failure(format!("{option} is {text:?}: write a ratio such as 40 or 200/5")))?;
        let times = product.unwrap_or(Ratio::ONE).times(ratio);
        product = Some(times.ok_or_else(|| Failure(format!("{option} {text} makes the multiplier too large")))?);
    }
    Ok(product)
}

/// What the site file must say from now on, so that it does not undo the change.
fn hint(command: &MeterCommand) -> String {
    match command {
        MeterCommand::Replace { new_serial, profile, closing_count, opening_count, seam, .. } => format!(
            "in the old [[meter]] `until = {at}` and `closing_count = {closing_count}`; and a [[meter]] with `serial = \
             \"{new_serial}\"`, `profile = \"{profile}\"`, its service point, `from = {at}` and `opening_count = \
             {opening_count}`",
            at = seam.at
        ),
        MeterCommand::Retype { serial, seam, .. } => {
            format!("in [[meter]] {serial} the new values and `from = {}`", seam.at)
        }
        MeterCommand::Reset { serial, opening_count, seam, .. } => {
            format!("in [[meter]] {serial} `from = {}` and `opening_count = {opening_count}`", seam.at)
        }
    }
}
