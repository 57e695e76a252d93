//! `apply`: the book brought to a site file.

use std::collections::BTreeMap;
use std::path::Path;

use kernel::epoch::ProfileFacts;

use crate::call::{Events, Failure, failed, say};
use crate::node::Node;

/// What the engine must know of every profile.
pub(crate) fn profile_facts() -> Result<BTreeMap<String, ProfileFacts>, Failure> {
    ingest::profile::names()
        .map(|name| Ok((name.to_owned(), ingest::profile::find(name).map_err(failed)?.facts())))
        .collect()
}

pub(crate) async fn apply(
    node: &Node,
    actor: &str,
    file: &Path,
    text: &str,
    dry_run: bool,
    events: &Events,
) -> Result<(), Failure> {
    let name = file.display().to_string();
    let changes = node.engine.apply(text, &name, profile_facts()?, actor, dry_run).await.map_err(failed)?;
    let changes = changes.map_err(failed)?;
    if changes.is_empty() {
        say(events, format!("{name}: nothing to change")).await;
        return Ok(());
    }
    for change in &changes {
        say(events, change.clone()).await;
    }
    let done = if dry_run { "would change; nothing was written" } else { "changed" };
    say(events, format!("{name}: {} things {done}", changes.len())).await;
    if !dry_run {
        node.registry_changed().await?;
    }
    Ok(())
}
