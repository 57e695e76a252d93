//! What control hears: readings, observations of the field, payments, and what people say.

use kernel::control::evidence::{OpenedFor, PendingPayment};
use kernel::control::proof::{Before, Sample};
use kernel::control::relay::Event;
use kernel::id::{AccountId, CommandId, MeterId, SiteId};
use kernel::reading::{Contact, Observation, Reading, Seen, Value, Verdict};
use kernel::time::{MINUTE, Moment};

use super::notice::Notice;
use super::output::{AuditEntry, NoticeKind};
use super::state::MeterState;
use super::{Control, FieldCommand};

impl Control {
    /// A reading with what billing made of it. Old readings (imports, replays) say nothing of a contact.
    pub fn on_reading(&mut self, reading: &Reading, verdict: Verdict, now: Moment) {
        if matches!(verdict, Verdict::Duplicate | Verdict::Future | Verdict::Invalid | Verdict::NoEpoch) {
            return;
        }
        let (id, at) = (reading.meter, reading.time);
        let before = self.before(id, now);
        let Some(meter) = self.meters.get_mut(&id) else { return };
        let was = (meter.exception, meter.answers);
        let count = match reading.value {
            Value::Register(count) if verdict.counts() => Some(count),
            _ => None,
        };
        match verdict {
            Verdict::Suspended | Verdict::Exception | Verdict::Conflict => meter.exception = true,
            _ if verdict.counts() => meter.exception = false,
            _ => {}
        }
        if verdict.counts() && meter.last_reading.is_none_or(|last| last < at) {
            let flows = reading.instruments.power_mw.is_some_and(|power| power.abs() > before.about_zero_mw());
            if flows || matches!((meter.last_count, count), (Some(from), Some(to)) if to > from) {
                meter.load_at = Some(at);
            }
            (meter.last_reading, meter.last_count) = (Some(at), count.or(meter.last_count));
        }
        let live = at >= self.started;
        if live {
            self.answered(id, now);
            let instruments = reading.instruments;
            let sample = Sample { at, contact: instruments.contact, power_mw: instruments.power_mw, count };
            self.step_command(id, &Event::Sample(sample), now);
            self.watch_trip(id, &sample, before, now);
            if let Some(contact) = instruments.contact {
                self.contact_seen(id, contact, at, now);
            }
        }
        let changed = self.meters.get(&id).is_some_and(|meter| (meter.exception, meter.answers) != was);
        self.look_at(id, changed);
    }

    /// Evidence from the field.
    pub fn on_observation(&mut self, observation: &Observation, now: Moment) {
        let Observation { meter: id, time, seen } = *observation;
        if time < self.started || !self.meters.contains_key(&id) {
            return;
        }
        match seen {
            Seen::Silent => {
                if let Some(meter) = self.meters.get_mut(&id) {
                    meter.answers = false;
                }
            }
            Seen::Written(_) | Seen::Refused(..) | Seen::Contact(_) => self.answered(id, now),
            Seen::TimedOut(_) | Seen::NotSent(_) => {}
        }
        let open = self.meters.get(&id).and_then(|meter| Some(meter.command.as_ref()?.id));
        self.step_command(id, &Event::Seen { at: time, seen }, now);
        match seen {
            // An answer to a command that has ended: the relay itself says what became of it.
            Seen::Written(command) | Seen::TimedOut(command) if open != Some(command) => {
                self.ask_field(FieldCommand::ReadNow { meter: id });
            }
            Seen::Contact(contact) => self.contact_seen(id, contact, time, now),
            _ => {}
        }
        self.look_at(id, true);
    }

    /// A payment was posted. Its balance comes with the next [`Control::tick`].
    pub fn on_top_up(&mut self, account: AccountId, now: Moment) {
        let setup = std::sync::Arc::clone(&self.setup);
        let Some(facts) = setup.accounts.get(&account) else { return };
        self.dirty.insert(account);
        for id in &facts.meters {
            let Some(meter) = self.meters.get(id) else { continue };
            let why = match meter.opened_for {
                Some(OpenedFor::Manual) => "by hand",
                Some(OpenedFor::Safety) => "for safety",
                Some(OpenedFor::Credit) | None => continue,
            };
            let serial = setup.meters.get(id).map_or("", |meter| &meter.serial);
            let text = format!("paid, not restored automatically: meter {serial} was opened {why}");
            let kind = NoticeKind::PaidNotRestored;
            let notice = Notice { site: facts.site, account: Some(account), meter: Some(*id), kind, level: 0, text };
            self.notify(notice, now);
        }
    }

    /// The payments of an account that have begun and are neither posted nor voided.
    pub fn on_payment(&mut self, account: AccountId, pending: Vec<PendingPayment>) {
        self.accounts.entry(account).or_default().payments = pending;
        self.dirty.insert(account);
    }

    /// A person approves a cut that asks. False when no such command waits.
    pub fn approve(&mut self, command: CommandId, actor: &str, now: Moment) -> bool {
        let Some((meter, account)) = self.find_asking(command) else { return false };
        let life = self.command_life(account);
        self.step_command(meter, &Event::Approve { actor: actor.to_owned(), expires: now.plus(life) }, now);
        true
    }

    fn find_asking(&self, command: CommandId) -> Option<(MeterId, AccountId)> {
        self.asking().find(|asking| asking.id == command).map(|asking| (asking.meter, asking.account))
    }

    /// A person lets a site's cuts go on. False when its brake is not on.
    pub fn release_brake(&mut self, site: SiteId, actor: &str, now: Moment) -> bool {
        if !self.brakes.get_mut(&site).is_some_and(kernel::control::brake::Brake::release) {
            return false;
        }
        self.changed_brakes.insert(site);
        let accounts = self.setup.accounts.iter().filter(|(_, account)| account.site == site);
        self.dirty.extend(accounts.map(|(id, _)| *id));
        let subject =
            self.setup.sites.get(&site).map_or_else(|| format!("site:{site}"), |it| format!("site:{}", it.name));
        self.out.audit.push(AuditEntry {
            at: now,
            actor: actor.to_owned(),
            kind: "brake".to_owned(),
            subject,
            detail: "fleet brake released".to_owned(),
        });
        true
    }

    /// What is known of a meter before it is switched.
    pub(super) fn before(&self, id: MeterId, now: Moment) -> Before {
        let rating_mw = self.setup.meters.get(&id).and_then(|meter| meter.rating_mw);
        let load_at = self.meters.get(&id).and_then(|meter| meter.load_at);
        Before { had_load: load_at.is_some_and(|at| now.since(at) <= 15 * MINUTE), rating_mw }
    }

    /// A device that is back is asked for its contact, and what waited on it is decided afresh.
    fn answered(&mut self, id: MeterId, now: Moment) {
        let Some(meter) = self.meters.get_mut(&id) else { return };
        if meter.answers {
            return;
        }
        meter.answers = true;
        meter.rest_until = None;
        if self.setup.meters.get(&id).is_some_and(|setup| setup.has_relay) {
            (meter.observed, meter.unknown_since) = (None, now);
            self.unknown.insert(id, Some(now));
            self.ask_field(FieldCommand::ReadNow { meter: id });
        }
    }

    /// What the contact was seen to be, and whose doing that is.
    fn contact_seen(&mut self, id: MeterId, contact: Contact, at: Moment, now: Moment) {
        let Some(meter) = self.meters.get_mut(&id) else { return };
        if meter.observed_at.is_some_and(|last| at < last) {
            return;
        }
        let before = meter.observed.replace(contact);
        meter.observed_at = Some(at);
        self.unknown.remove(&id);
        let idle = meter.command.is_none();
        let opened_for = meter.opened_for;
        match contact {
            Contact::Closed if idle && opened_for.is_some() => {
                meter.opened_for = None;
                if before == Some(Contact::Open) {
                    self.alarm(id, "closed by another hand", now);
                }
            }
            Contact::Open if idle && opened_for.is_none() => meter.opened_for = Some(OpenedFor::Manual),
            _ => {}
        }
        if before != Some(contact) {
            self.supply_changed(id, now);
        }
    }

    /// After a cut has ended: an open contact that still delivers is an alarm, once.
    fn watch_trip(&mut self, id: MeterId, sample: &Sample, before: Before, now: Moment) {
        let Some(meter) = self.meters.get_mut(&id) else { return };
        let tripped = meter.opened_for == Some(OpenedFor::Credit)
            && meter.command.is_none()
            && meter.observed == Some(Contact::Open)
            && sample.contact != Some(Contact::Closed)
            && !meter.contradicted;
        let advanced = matches!((meter.count_at_trip, sample.count), (Some(trip), Some(count)) if count > trip);
        let flows = sample.power_mw.is_some_and(|power| power.abs() > before.about_zero_mw());
        if tripped && (advanced || flows) {
            meter.contradicted = true;
            self.alarm(id, "keeps counting after trip", now);
        }
    }

    /// Decides the meter's account at the next tick, if it waits on evidence.
    fn look_at(&mut self, id: MeterId, anyway: bool) {
        let Some(account) = self.setup.meters.get(&id).and_then(|meter| meter.account) else { return };
        if anyway || self.waiting.contains_key(&account) {
            self.dirty.insert(account);
        }
    }

    /// Notes that the meter's row in `supply` is to be written.
    pub(super) fn supply_changed(&mut self, id: MeterId, now: Moment) {
        if let Some(MeterState { changed_at, .. }) = self.meters.get_mut(&id) {
            *changed_at = now;
            self.changed_supply.insert(id);
        }
    }
}
