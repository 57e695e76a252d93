//! The transitions of a relay command.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{Command, Effect, Event, Outcome, READ_BACK, State};
use crate::control::FieldCommand;
use crate::control::proof::{Finding, Sample, Watch};
use crate::reading::{Contact, Seen};
use crate::time::Moment;

/// The command after an event, and what is to be performed once it is stored. An event that says nothing to this state
/// leaves the command as it is.
#[must_use]
pub fn step(command: Command, event: &Event, now: Moment) -> (Command, Vec<Effect>) {
    match (&command.state, event) {
        (State::Ended { .. }, _) => (command, Vec::new()),
        (State::Created, Event::Approve { actor, expires }) => {
            let state = State::Queued { from: now };
            (Command { actor: actor.clone(), expires_at: *expires, state, ..command }, Vec::new())
        }
        (_, Event::Approve { .. }) => (command, Vec::new()),
        (_, Event::Cancel { why }) => end(command, Outcome::Cancelled(why.clone()), now),
        (_, Event::CallOff { actor }) => {
            let why = Outcome::Cancelled(format!("called off by {actor}"));
            end(Command { called_off: true, actor: actor.clone(), ..command }, why, now)
        }
        (State::Queued { from }, Event::Send { expires }) if *from <= now => send(command, *expires, now),
        (_, Event::Send { .. }) => (command, Vec::new()),
        (_, Event::Seen { at, seen }) => seen_by_field(command, *at, *seen, now),
        (_, Event::Sample(sample)) => sampled(command, sample, now),
        (_, Event::Tick) => tick(command, now),
    }
}

fn send(command: Command, expires: Moment, now: Moment) -> (Command, Vec<Effect>) {
    let expires = expires.min(command.expires_at);
    if expires <= now {
        return (command, Vec::new());
    }
    let write = FieldCommand::Write { command: command.id, meter: command.meter, target: command.target, expires };
    let sent =
        Command { attempts: command.attempts + 1, sent_at: Some(now), state: State::Sent { expires }, ..command };
    (sent, vec![Effect::Field(write)])
}

fn seen_by_field(command: Command, at: Moment, seen: Seen, now: Moment) -> (Command, Vec<Effect>) {
    let (id, meter) = (command.id, command.meter);
    match (&command.state, seen) {
        (State::Sent { .. }, Seen::Written(written)) if written == id => acknowledge(command, at),
        // The answer came too late to be believed: the relay itself decides.
        (State::TimedOut { .. }, Seen::Written(written)) if written == id => {
            (command, vec![Effect::Field(FieldCommand::ReadNow { meter })])
        }
        (State::Sent { .. }, Seen::NotSent(unsent)) if unsent == id => {
            end(command, Outcome::Cancelled("not sent before it expired".into()), now)
        }
        (State::Sent { .. }, Seen::Refused(refused, code)) if refused == id => {
            retry(command, format!("the device refuses with Modbus exception {code}"), now)
        }
        (State::Sent { .. }, Seen::TimedOut(silent)) if silent == id => read_back(command, now),
        (_, Seen::Contact(contact)) => {
            sampled(command, &Sample { at, contact: Some(contact), power_mw: None, count: None }, now)
        }
        _ => (command, Vec::new()),
    }
}

/// The watch begins at the answer, so that only what the meter shows after it counts.
fn acknowledge(command: Command, at: Moment) -> (Command, Vec<Effect>) {
    let watch = Watch::begin(at, command.verify_micros);
    (Command { state: State::Acknowledged(watch), ..command }, Vec::new())
}

fn read_back(command: Command, now: Moment) -> (Command, Vec<Effect>) {
    let read = Effect::Field(FieldCommand::ReadNow { meter: command.meter });
    (Command { state: State::TimedOut { read_by: now.plus(READ_BACK) }, ..command }, vec![read])
}

fn sampled(command: Command, sample: &Sample, now: Moment) -> (Command, Vec<Effect>) {
    match command.state.clone() {
        State::TimedOut { .. } => {
            let after = command.sent_at.is_none_or(|sent| sample.at > sent);
            match sample.contact {
                Some(contact) if after && contact == command.target => acknowledge(command, sample.at),
                Some(_) if after => retry(command, "no answer, and the relay did not move".into(), now),
                _ => (command, Vec::new()),
            }
        }
        State::Acknowledged(mut watch) => {
            let finding = watch.sample(command.target, command.before, sample);
            let watched = Command {
                count_at_switch: watch.count.or(command.count_at_switch),
                state: State::Acknowledged(watch),
                ..command
            };
            found(watched, finding, now)
        }
        _ => (command, Vec::new()),
    }
}

fn tick(command: Command, now: Moment) -> (Command, Vec<Effect>) {
    if let State::Acknowledged(watch) = &command.state {
        let finding = watch.look(command.target, command.before, now);
        return found(command, finding, now);
    }
    if command.deadline().is_none_or(|deadline| now < deadline) {
        return (command, Vec::new());
    }
    match &command.state {
        State::Created => end(command, Outcome::Cancelled("nobody approved it in time".into()), now),
        State::Queued { .. } if command.attempts > 0 => {
            let why = "expired before it could be tried again".to_string();
            failed(command, why, now)
        }
        State::Queued { .. } => end(command, Outcome::Cancelled("expired before it was sent".into()), now),
        State::Sent { .. } => read_back(command, now),
        State::TimedOut { .. } => end(command, Outcome::TimedOut, now),
        State::Acknowledged(_) | State::Ended { .. } => (command, Vec::new()),
    }
}

fn found(command: Command, finding: Finding, now: Moment) -> (Command, Vec<Effect>) {
    match finding {
        Finding::Open => (command, Vec::new()),
        Finding::Verified => end(command, Outcome::Verified, now),
        Finding::WithoutLoadProof => end(command, Outcome::WithoutLoadProof, now),
        Finding::Silent => end(command, Outcome::TimedOut, now),
        Finding::Disobeyed => retry(command, "acknowledged, but the relay did not move".into(), now),
        Finding::Contradicted => {
            let count = command.count_at_switch.map_or("unknown".to_string(), |count| count.to_string());
            let alarm = format!("keeps counting after trip; the register at the trip was {count}");
            let (command, mut effects) = end(command, Outcome::Contradicted, now);
            effects.insert(0, Effect::Alarm(alarm));
            (command, effects)
        }
    }
}

/// Back into the queue, where it is looked at again before it is written; or failed, when it was written often enough.
fn retry(command: Command, why: String, now: Moment) -> (Command, Vec<Effect>) {
    let doublings = command.attempts.saturating_sub(1).min(20);
    let from = now.plus(command.retry_micros.saturating_mul(1 << doublings));
    if command.attempts >= command.max_attempts || from >= command.expires_at {
        return failed(command, why, now);
    }
    (Command { state: State::Queued { from }, ..command }, Vec::new())
}

fn failed(command: Command, why: String, now: Moment) -> (Command, Vec<Effect>) {
    let verb = match command.target {
        Contact::Open => "open",
        Contact::Closed => "close",
    };
    let alarm = format!("the relay does not {verb} after {} attempts: {why}", command.attempts);
    let (command, mut effects) = end(command, Outcome::Failed(why), now);
    effects.insert(0, Effect::Alarm(alarm));
    (command, effects)
}

fn end(command: Command, outcome: Outcome, now: Moment) -> (Command, Vec<Effect>) {
    let ended = Command { state: State::Ended { at: now, outcome: outcome.clone() }, ..command };
    (ended, vec![Effect::Ended(outcome)])
}
