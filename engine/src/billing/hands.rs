//! What a person orders of control: it is taken between two settlements, and settled before the answer.

use kernel::control::decide::Evaluation;
use kernel::id::{AccountId, CommandId, SiteId};

use super::periods::{Refused, because};
use super::supply::Supply;
use super::writer::Writer;
use crate::control::by_hand::{ByHand, Taken};

/// Without a server nothing is switched.
const NOBODY_CONTROLS: &str =
    "no server controls this folder, so that no relay can be reached: start `meterledger serve`, and ask again";

/// What is decided of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent.
    Approve,
    /// It is called off.
    CallOff,
}

impl Writer {
    fn controlled(&mut self) -> Result<&mut Supply, Refused> {
        match &mut self.control {
            Some(supply) => Ok(supply),
            None => Err(Refused::Because(vec![NOBODY_CONTROLS.to_owned()])),
        }
    }

    /// Switches a supply by hand.
    pub(crate) async fn switch_by_hand(&mut self, order: &ByHand) -> Result<Taken, Refused> {
        let now = self.clock.now();
        let taken = self.controlled()?.control.switch_by_hand(order, now);
        let taken = taken.map_err(|fault| Refused::Because(vec![fault.to_string()]))?;
        self.settle_news().await?;
        Ok(taken)
    }

    /// Approves a command that asks, or calls off one that was not sent.
    pub(crate) async fn decide_command(&mut self, id: CommandId, verdict: Verdict, actor: &str) -> Result<(), Refused> {
        let now = self.clock.now();
        let control = &mut self.controlled()?.control;
        let (done, what) = match verdict {
            Verdict::Approve => (control.approve(id, actor, now), "asks for approval"),
            Verdict::CallOff => (control.call_off(id, actor, now), "waits to be sent"),
        };
        if !done {
            return because(format!("no command {id} to open {what}: see `meterledger supply list`"));
        }
        Ok(self.settle_news().await?)
    }

    /// Lets a site's cuts go on.
    pub(crate) async fn release_brake(&mut self, site: SiteId, actor: &str) -> Result<(), Refused> {
        let now = self.clock.now();
        if !self.controlled()?.control.release_brake(site, actor, now) {
            let name = self.registry.site(site).map_or_else(|| site.to_string(), |site| site.name.clone());
            return because(format!("the fleet brake of {name} is not on"));
        }
        Ok(self.settle_news().await?)
    }

    /// What control would decide of an account now, with every reason; nothing without control, a balance and a policy.
    pub(crate) fn look_at(&self, account: AccountId) -> Option<Evaluation> {
        self.control.as_ref()?.control.look_at_account(account, self.clock.now())
    }
}
