//! Deciding an adjustment: a person who did not propose it.

use super::adjustments::{Cause, Decision, Proposal, write_rejected};
use super::periods::{Refused, because};
use super::writer::Writer;
use crate::book::second_person::{Second, second_person};

impl Writer {
    /// Posts an adjustment in the current period.
    ///
    /// # Errors
    /// [`Refused`] where it does not wait, or where the same person proposed it.
    pub(crate) async fn approve_adjustment(&mut self, id: i64, actor: &str, reason: &str) -> Result<Proposal, Refused> {
        let (proposal, decision) = self.decision(id, actor, reason).await?;
        let mut tx = self.book.begin().await?;
        let proposed = (proposal.origin.actor.as_str(), proposal.proposed_at);
        // What came late was proposed by the program.
        if proposal.origin.cause != Cause::Late && second_person(tx.conn(), proposed, actor).await? == Second::Unproven
        {
            return because(format!(
                "{} proposed {proposal}, and was no user of this book then, so that nobody knows whether another person \
                 approves it: reject it, and propose it again by `meterledger rerate`",
                proposed.0
            ));
        }
        self.approval = Some((id, decision));
        // From here on memory runs ahead of the transaction: if it fails, billing stops and recovers from the book.
        self.settle_change(tx).await?;
        Ok(proposal)
    }

    /// Decides that an adjustment is never posted: what was charged stays.
    ///
    /// # Errors
    /// As [`Writer::approve_adjustment`].
    pub(crate) async fn reject_adjustment(&mut self, id: i64, actor: &str, reason: &str) -> Result<Proposal, Refused> {
        let (proposal, decision) = self.decision(id, actor, reason).await?;
        let mut tx = self.book.begin().await?;
        write_rejected(&mut tx, &proposal, &decision).await?;
        self.adjustments.pending.remove(&id);
        self.pricing.touched.insert(proposal.account);
        self.pricing.held = self.adjustments.waiting().collect();
        // Others of the month that wait have counted on it: theirs are worked out without it.
        let of_month = |waits: &Proposal| (waits.account, waits.month) == (proposal.account, proposal.month);
        if self.adjustments.pending.values().any(of_month) {
            self.mark_lines(proposal.lines.keys());
        }
        self.settle_change(tx).await?;
        Ok(proposal)
    }

    async fn decision(&self, id: i64, actor: &str, reason: &str) -> Result<(Proposal, Decision), Refused> {
        let Some(proposal) = self.adjustments.pending.get(&id) else {
            let sql = "SELECT state, superseded_by FROM adjustments WHERE id = $1";
            let known: Option<(String, Option<i64>)> =
                sqlx::query_as(sql).bind(id).fetch_optional(self.book.reader()).await?;
            return because(match known {
                Some((_, Some(by))) => {
                    format!("adjustment {id} is superseded by {by}, which includes it: look at that one")
                }
                Some((state, None)) => format!("adjustment {id} is {state}: it does not wait for a decision"),
                None => format!("there is no adjustment {id}; `meterledger adjustment list` lists them"),
            });
        };
        if proposal.origin.actor == actor {
            return because(format!("{actor} proposed {proposal}: another person must decide it"));
        }
        if reason.trim().is_empty() {
            return because("a decision needs a reason: write --reason \"...\"");
        }
        let decision = Decision { by: actor.to_owned(), reason: reason.to_owned(), at: self.clock.now() };
        Ok((proposal.clone(), decision))
    }
}
