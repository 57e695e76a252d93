//! The order of things within one tick.

use kernel::control::evidence::BalanceFacts;
use kernel::control::relay::{Event, State};
use kernel::id::{AccountId, MeterId};
use kernel::time::{Moment, SECOND};

use super::output::{ControlOutput, ControlWrite, SupplyRow};
use super::state::Health;
use super::{Control, FieldCommand};

/// A contact that is not known is asked for this often.
const ASK_EVERY: i64 = 30 * SECOND;

impl Control {
    /// Takes the balances that changed, decides every account that has a reason to be decided, moves commands on, and
    /// gives what is to be stored and then done. It returns at once; it waits on nothing.
    pub fn tick(&mut self, now: Moment, changed: &[(AccountId, BalanceFacts)], health: &Health) -> ControlOutput {
        if self.health != *health {
            self.health = health.clone();
            self.dirty.extend(self.waiting.keys());
        }
        for (account, balance) in changed {
            self.accounts.entry(*account).or_default().balance = Some(*balance);
            self.dirty.insert(*account);
        }
        self.ask_for_contacts(now);
        // Time passes for the commands; a cut that was paid meanwhile is taken back before anything else.
        for meter in self.busy_meters() {
            self.step_command(meter, &Event::Tick, now);
            if self.is_to_be_reversed(meter, now) {
                self.step_command(meter, &Event::Cancel { why: "paid: it is reversed".to_owned() }, now);
            }
        }
        let due = self.waiting.iter().filter(|(_, at)| **at <= now).map(|(account, _)| *account);
        self.dirty.extend(due);
        for account in std::mem::take(&mut self.dirty) {
            self.evaluate(account, now);
        }
        for meter in self.busy_meters() {
            self.look_and_send(meter, now);
        }
        self.finish()
    }

    /// When [`Control::tick`] should be called although nothing is heard.
    #[must_use]
    pub fn next_wake(&self) -> Option<Moment> {
        let waiting = self.waiting.values().min().copied();
        let commands = self.busy.iter().filter_map(|meter| {
            let command = self.meters.get(meter)?.command.as_ref()?;
            match &command.state {
                State::Queued { from } => Some(*from),
                State::Acknowledged(watch) if watch.samples > 0 => Some(watch.until),
                _ => command.deadline(),
            }
        });
        let dirty = (!self.dirty.is_empty()).then_some(self.started);
        commands.chain(waiting).chain(dirty).min()
    }

    fn busy_meters(&self) -> Vec<MeterId> {
        self.busy.iter().copied().collect()
    }

    fn ask_for_contacts(&mut self, now: Moment) {
        let due = |asked: &Option<Moment>| asked.is_none_or(|at| now.since(at) >= ASK_EVERY);
        let asked: Vec<MeterId> = self.unknown.iter().filter(|(_, at)| due(at)).map(|(meter, _)| *meter).collect();
        for meter in asked {
            self.unknown.insert(meter, Some(now));
            self.ask_field(FieldCommand::ReadNow { meter });
        }
    }

    /// Gathers the rows of what changed. Commands that ended come before new ones, because a meter has one open command.
    fn finish(&mut self) -> ControlOutput {
        let commands = std::mem::take(&mut self.changed_commands);
        let (open, ended): (Vec<_>, Vec<_>) = commands.into_values().partition(|command| command.is_open());
        self.out.writes.extend(ended.into_iter().chain(open).map(ControlWrite::Command));
        for id in std::mem::take(&mut self.changed_supply) {
            let Some(meter) = self.meters.get(&id) else { continue };
            // A meter that nobody pays for has no supply to speak of.
            let Some(account) = self.setup.meters.get(&id).and_then(|setup| setup.account) else { continue };
            self.out.writes.push(ControlWrite::Supply(SupplyRow {
                meter: id,
                account,
                desired: meter.desired,
                commanded: meter.commanded,
                observed: meter.observed,
                observed_at: meter.observed_at,
                opened_for: meter.opened_for,
                changed_at: meter.changed_at,
                evaluation: meter.evaluation,
            }));
        }
        for site in std::mem::take(&mut self.changed_brakes) {
            if let Some(brake) = self.brakes.get(&site) {
                self.out.writes.push(ControlWrite::Brake(site, brake.clone()));
            }
        }
        std::mem::take(&mut self.out)
    }
}
