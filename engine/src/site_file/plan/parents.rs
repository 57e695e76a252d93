//! Which meter also measures what another measures: of one utility, without a circle.

use std::collections::{HashMap, HashSet};

use super::{ChangeKind, Planner};

impl Planner<'_> {
    /// To be called when all meters of the file are known.
    pub(super) fn parents(&mut self) {
        let file = self.file;
        let above: HashMap<&str, &str> =
            file.meters.iter().filter_map(|item| Some((item.serial.as_str(), item.parent.as_deref()?))).collect();
        for item in &file.meters {
            let Some(known) = self.names.meters.get(&item.serial).copied() else { continue };
            let mut parent = None;
            if let Some(name) = &item.parent {
                let Some(found) = self.names.meters.get(name).copied() else {
                    let what = format!("is {name:?}, which the file has no [[meter]] for");
                    self.faults.add(&item.at, "parent", what, "add that meter, or correct the serial number");
                    continue;
                };
                if found.utility != known.utility {
                    let what = format!("is {name:?}, which measures {}", found.utility.name());
                    self.faults.add(&item.at, "parent", what, "name a meter of the same utility");
                }
                if is_circle(&above, &item.serial) {
                    let what = format!("is {name:?}, and so {} would be above itself", item.serial);
                    self.faults.add(&item.at, "parent", what, "leave out one of these parents");
                }
                parent = Some(found.id);
            }
            let before = self.registry.meter(known.id).and_then(|old| old.parent);
            if before == parent {
                continue;
            }
            let was = before.and_then(|id| self.registry.meter(id)).map_or("none", |meter| meter.serial.as_str());
            let text = format!("parent {was} -> {}", item.parent.as_deref().unwrap_or("none"));
            self.change(ChangeKind::Changed, format!("meter:{}", item.serial), text);
            self.rows.meter_parent(known.id, parent);
        }
    }
}

/// Whether a meter is above itself.
fn is_circle(above: &HashMap<&str, &str>, serial: &str) -> bool {
    let mut seen = HashSet::new();
    let mut at = serial;
    while let Some(parent) = above.get(at) {
        if *parent == serial {
            return true;
        }
        if !seen.insert(*parent) {
            return false;
        }
        at = parent;
    }
    false
}
