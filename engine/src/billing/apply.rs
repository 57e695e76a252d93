//! Changing the registry: only here, after the earlier frames are settled, and in one transaction with what it re-rates.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::control::policy::Policy;
use kernel::epoch::ProfileFacts;
use kernel::id::ServicePointId;
use kernel::time::Moment;

use super::adjustments::{Cause, Origin};
use super::anew::at_once;
use super::error::BillingError;
use super::late::{Task, agree, resolve};
use super::point::Setup;
use super::settlement::Settlement;
use super::supply::Rerated;
use super::writer::Writer;
use crate::book::{BookError, Tx};
use crate::registry::{Registry, load_from};
use crate::site_file::{self, Checks, Fault, Plan, RegisterEdit, SiteText, WriteError};

/// Why a site file is not applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file says what cannot be.
    #[error("{}", list(.0))]
    Refused(Vec<Fault>),
    /// The plan could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The book.
    #[error(transparent)]
    Billing(#[from] BillingError),
}

impl From<BookError> for ApplyError {
    fn from(error: BookError) -> ApplyError {
        ApplyError::Billing(error.into())
    }
}

fn list(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    format!("nothing was changed\n{}", lines.join("\n"))
}

/// A policy's text, checked by the rules of cut-off.
fn check_policy(definition: &serde_json::Value) -> Result<(), String> {
    let policy: Policy = serde_json::from_value(definition.clone()).map_err(|error| error.to_string())?;
    let faults = policy.faults();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

impl Writer {
    /// Brings the book to a site file; gives what changes, for people, and the registry as it is then.
    ///
    /// What the change reaches back to is rated anew from stored readings, and the difference is part of the same
    /// transaction.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub(crate) async fn apply(
        &mut self,
        site: SiteText,
        name: &str,
        profiles: &BTreeMap<String, ProfileFacts>,
        actor: &str,
        dry_run: bool,
    ) -> Result<(Vec<String>, Arc<Registry>), ApplyError> {
        let now = self.clock.now();
        // What is rated anew is compared with what is charged by now, closing counts included.
        self.close_ended(now).await?;
        let file = site_file::parse(site, name).map_err(ApplyError::Refused)?;
        let checks = Checks { profiles, policy: &check_policy };
        let plan = site_file::plan(&file, &self.registry, &checks, now).map_err(ApplyError::Refused)?;
        self.carry_out(&plan, now, actor, dry_run).await
    }

    /// Changes one register: a meter replaced, a multiplier changed, a register that began anew. As [`Writer::apply`],
    /// by the same plan; counts that the stored readings contradict are refused.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub(crate) async fn change_register(
        &mut self,
        edit: &RegisterEdit,
        profiles: &BTreeMap<String, ProfileFacts>,
        actor: &str,
        dry_run: bool,
    ) -> Result<(Vec<String>, Arc<Registry>), ApplyError> {
        let now = self.clock.now();
        self.close_ended(now).await?;
        let checks = Checks { profiles, policy: &check_policy };
        let plan = site_file::plan_registers(edit, &self.registry, &checks, now).map_err(ApplyError::Refused)?;
        let faults = self.contradictions(edit.name(), &plan.installations())?;
        if !faults.is_empty() {
            return Err(ApplyError::Refused(faults));
        }
        self.carry_out(&plan, now, actor, dry_run).await
    }

    /// Performs a plan in one transaction with what it re-rates.
    async fn carry_out(
        &mut self,
        plan: &Plan,
        now: Moment,
        actor: &str,
        dry_run: bool,
    ) -> Result<(Vec<String>, Arc<Registry>), ApplyError> {
        let changes: Vec<String> = plan.changes.iter().map(ToString::to_string).collect();
        if plan.is_empty() || dry_run {
            return Ok((changes, Arc::clone(&self.registry)));
        }
        let mut tx = self.book.begin().await?;
        self.change_registry(&mut tx, plan, now, actor).await?;
        self.settle_change(tx).await?;
        Ok((changes, Arc::clone(&self.registry)))
    }

    /// Writes a plan and rates anew what it reaches back to. After that memory runs ahead of the transaction: if the
    /// transaction fails, billing must stop and recover from the book.
    pub(super) async fn change_registry(
        &mut self,
        tx: &mut Tx,
        plan: &Plan,
        now: Moment,
        actor: &str,
    ) -> Result<(), ApplyError> {
        site_file::write(tx, plan, now, actor).await?;
        let changes = &plan.changes;
        let more = if changes.len() > 1 { format!(" and {} more", changes.len() - 1) } else { String::new() };
        let detail = format!("{}{more}", changes.first().map(ToString::to_string).unwrap_or_default());
        self.adopt_registry(tx, &plan.dirty, now, Origin { cause: Cause::Apply, actor: actor.to_owned(), detail })
            .await?;
        Ok(())
    }

    /// Takes over the registry that the transaction has written, and rates anew what changed of each of these service
    /// points since a moment. After that memory runs ahead of the transaction, as above.
    pub(super) async fn adopt_registry(
        &mut self,
        tx: &mut Tx,
        dirty: &[(ServicePointId, Moment)],
        now: Moment,
        origin: Origin,
    ) -> Result<(), BillingError> {
        let registry = Arc::new(load_from(tx.conn()).await?);
        let new = |id| registry.setup(id).cloned();
        let work = self.anew(dirty, &registry, new).await?;
        let old_terms: BTreeMap<ServicePointId, Arc<Setup>> =
            work.iter().flatten().map(|member| (member.id, Arc::clone(&member.old))).collect();
        let contracts = work.iter().flatten();
        let contracts =
            contracts.flat_map(|member| member.old.terms.contracts.iter().chain(&member.new.terms.contracts));
        let rerated: Rerated = contracts.map(|contract| (contract.account, now)).collect();
        let corrections = [self.corrections.as_ref(); 2];
        let tasks = work.into_iter().map(|members| Task { members, closed_until: now, corrections });
        let mut outcomes = Vec::new();
        for some in at_once(tasks.collect(), |task: &Task<'_>| task.members.len()) {
            outcomes.extend(resolve(&self.lake, &self.files, &self.hot, &self.overrides, &some, now)?);
        }
        agree(&mut outcomes);
        super::supply::write_rerated(tx, &rerated).await?;
        // From here on memory runs ahead of the transaction: if it fails, billing stops and recovers from the book.
        let charging = self.charging.points().clone();
        self.registry = Arc::clone(&registry);
        self.charging.follow(&registry);
        self.pricing.follow(&registry);
        for outcome in outcomes {
            self.take_outcome(outcome);
        }
        for (id, since) in dirty {
            let Some(old) = old_terms.get(id) else { continue };
            self.pricing.accrue_anew(*id, &old.terms, *since);
            if charging.contains(id) || self.charging.points().contains(id) {
                self.mark_final(*id, *since, now);
            }
        }
        self.rerated.extend(rerated);
        self.origin = Some(origin);
        self.registry_changed(now);
        Ok(())
    }

    /// Settles in the transaction of what memory holds already, and commits it. If it fails, billing stops and recovers from
    /// the book.
    pub(super) async fn settle_change(&mut self, tx: Tx) -> Result<(), BillingError> {
        match self.write_with(tx).await {
            Ok(mut settlement) => {
                self.settled_through(&mut settlement);
                Ok(())
            }
            Err(error) => {
                self.broken = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// Settles what control's memory holds already. If it fails, billing stops and recovers from the book, so that nothing is
    /// done that the book does not know.
    pub(super) async fn settle_news(&mut self) -> Result<(), BillingError> {
        let settled = self.settle().await;
        if let Err(error) = &settled {
            self.broken = Some(error.to_string());
        }
        settled
    }

    /// Settles in this transaction and commits it.
    pub(super) async fn write_with(&mut self, mut tx: Tx) -> Result<Settlement, BillingError> {
        let settlement = self.prepare().await?;
        self.write_in(&mut tx, &settlement).await?;
        tx.commit().await?;
        Ok(settlement)
    }
}
