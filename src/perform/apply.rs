//! `apply`: the book brought to a site file.

use std::collections::BTreeMap;
use std::path::Path;

use engine::site_file::{Attached, SiteText};
use kernel::epoch::ProfileFacts;

use crate::call::{Events, Failure, failed, say};
use crate::node::Node;

/// What the engine must know of every profile.
pub(crate) fn profile_facts() -> Result<BTreeMap<String, ProfileFacts>, Failure> {
    ingest::profile::names()
        .map(|name| Ok((name.to_owned(), ingest::profile::find(name).map_err(failed)?.facts())))
        .collect()
}

/// A file with the texts of the files that it names, each relative to the folder of the one that names it.
pub(crate) fn read(file: &Path, what: &str) -> Result<SiteText, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure(format!("cannot read the {what} {}: {error}", file.display())))?;
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let attached =
        Attached::gather(&text, |name| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string()));
    Ok(SiteText { text, attached })
}

/// How a site file is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Change nothing.
    pub(crate) dry_run: bool,
    /// Say what new versions of tariffs would have charged.
    pub(crate) preview: bool,
}

pub(crate) async fn apply(
    node: &Node,
    actor: &str,
    file: &Path,
    site: impl Into<SiteText>,
    way: Way,
    events: &Events,
) -> Result<(), Failure> {
    let Way { dry_run, preview } = way;
    let (name, site) = (file.display().to_string(), site.into());
    // By the terms of before: afterwards the old bills would be by the new version where it reaches back.
    let previewed = if preview { super::simulate::preview(node, site.clone(), &name).await } else { Vec::new() };
    let changes = node.engine.apply(site, &name, profile_facts()?, actor, dry_run).await.map_err(failed)?;
    let changes = changes.map_err(failed)?;
    if changes.is_empty() {
        say(events, format!("{name}: nothing to change")).await;
        return Ok(());
    }
    for change in &changes {
        say(events, change.clone()).await;
    }
    for line in previewed {
        say(events, line).await;
    }
    let done = if dry_run { "would change; nothing was written" } else { "changed" };
    say(events, format!("{name}: {} things {done}", changes.len())).await;
    if !dry_run {
        node.registry_changed().await?;
    }
    Ok(())
}
