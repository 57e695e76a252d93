//! Accounts.

use std::sync::Arc;

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;

use super::{ChangeKind, Differences, KnownAccount, Planner};
use crate::registry::{Account, Conditions};
use crate::site_file::model::AccountItem;

impl Planner<'_> {
    pub(super) fn accounts(&mut self) {
        let file = self.file;
        self.twice("account", file.accounts.iter().map(|item| (item.name.as_str(), &item.at)));
        for item in &file.accounts {
            let site = self.site_ids[item.site];
            let policy = item.policy.as_ref().and_then(|name| {
                let found = self.names.policies.get(name).copied();
                if found.is_none() {
                    let what = format!("is {name:?}, which neither this file nor the book has");
                    self.faults.add(&item.at, "policy", what, "add the [[policy]], or correct the name");
                }
                found
            });
            let location = self.location(&item.at, item.site, item.location.as_ref());
            let old = self.registry.account_named(&item.name);
            let id = old.map_or_else(|| AccountId(self.next("accounts")), |old| old.id);
            let known = KnownAccount { id, site, until: item.until };
            self.names.accounts.insert(item.name.clone(), known);
            let opened_at = item.from.or(old.map(|old| old.opened_at)).unwrap_or(self.default_from(item.site));
            let new = Account {
                id,
                name: (&item.name).into(),
                holder: (&item.holder).into(),
                location,
                // A confirmation that was given elsewhere stays.
                confirmed_at: item.confirmed.or(old.and_then(|old| old.confirmed_at)),
                opened_at,
                closed_at: item.until,
                conditions: Arc::new(Conditions {
                    site,
                    kind: item.kind,
                    policy,
                    credit_limit: item.credit_limit,
                    cutoff_enabled: item.cutoff,
                    protected: item.protected.clone(),
                    unit: item.unit,
                    pooled: item.pooled,
                }),
            };
            match old {
                None => {
                    let mut text = format!("{}, {}", new.holder, new.kind.name());
                    if let Some(unit) = new.unit {
                        text += &format!(", balance in {unit}");
                        self.rows.unit_account(new.id, unit);
                    }
                    if new.pooled {
                        text += ", tiers pooled";
                        self.rows.pooled_account(new.id, true);
                    }
                    if new.credit_limit != Amount::ZERO {
                        text += &format!(", credit limit {:.2}", new.credit_limit);
                    }
                    if let Some(reason) = &new.protected {
                        text += &format!(", never cut: {reason}");
                    } else if !new.cutoff_enabled {
                        text += ", cut-off disabled";
                    }
                    self.rows.account(&new);
                    self.change(ChangeKind::Created, format!("account:{}", new.name), text);
                }
                Some(old) => self.changed_account(item, old, &new),
            }
        }
        self.missing_accounts();
    }

    fn changed_account(&mut self, item: &AccountItem, old: &Account, new: &Account) {
        if old.site != new.site {
            self.faults.add(&item.at, "name", "is the name of an account of another site", "give it another name");
            return;
        }
        if let (Some(closed), None) = (old.closed_at, new.closed_at) {
            let closed = self.show(item.site, closed);
            let what = format!("was closed at {closed}");
            let remedy = "write that as `until`, or remove the account; a returning customer gets a new account";
            self.faults.add(&item.at, "", what, remedy);
            return;
        }
        if old.unit != new.unit {
            let kept = |unit: Option<&'static str>| unit.unwrap_or("money");
            let what = format!("is {:?}, but the account is kept in {}", kept(new.unit), kept(old.unit));
            let remedy = "what a wallet is kept in never changes: close the account, and give the customer a new one";
            self.faults.add(&item.at, "balance", what, remedy);
            return;
        }
        if !self.pooling_stays(item, old) {
            return;
        }
        let mut differences = Differences::default();
        differences.of("pooled_tiers", &old.pooled, &new.pooled, bool::to_string);
        if old.pooled != new.pooled {
            self.rows.pooled_account(new.id, new.pooled);
        }
        differences.text("holder", &old.holder, &new.holder);
        differences.text("kind", old.kind.name(), new.kind.name());
        let policy = |id: &Option<_>| {
            let named = self.names.policies.iter().find(|(_, other)| Some(**other) == *id);
            named.map_or("none".to_owned(), |(name, _)| format!("{name:?}"))
        };
        differences.of("policy", &old.policy, &new.policy, policy);
        let location = |id: &Option<_>| {
            let named = self.names.locations.iter().find(|(_, other)| Some(**other) == *id);
            named.map_or("none".to_owned(), |((_, name), _)| format!("{name:?}"))
        };
        differences.of("location", &old.location, &new.location, location);
        differences.of("credit_limit", &old.credit_limit, &new.credit_limit, |amount| format!("{amount:.2}"));
        differences.of("cutoff", &old.cutoff_enabled, &new.cutoff_enabled, bool::to_string);
        differences.optional("protected", old.protected.as_deref(), new.protected.as_deref());
        let moment = |moment: &Option<Moment>| moment.map_or("none".to_owned(), |moment| self.show(item.site, moment));
        differences.of("confirmed", &old.confirmed_at, &new.confirmed_at, moment);
        differences.of("from", &Some(old.opened_at), &Some(new.opened_at), moment);
        differences.of("until", &old.closed_at, &new.closed_at, moment);
        if let Some(text) = differences.joined() {
            let ends = old.closed_at.is_none() && new.closed_at.is_some();
            let kind = if ends { ChangeKind::Ended } else { ChangeKind::Changed };
            self.rows.account(new);
            self.change(kind, format!("account:{}", new.name), text);
        }
    }

    fn missing_accounts(&mut self) {
        for (index, site) in self.site_ids.iter().enumerate() {
            for old in self.registry.accounts().filter(|old| old.site == *site && old.closed_at.is_none()) {
                if !self.names.accounts.contains_key(old.name.as_str()) {
                    let what = format!("has no [[account]] {:?}, but the book has", old.name);
                    let remedy = "keep it in the file; write `until = ...` in it to close it";
                    self.faults.add(&self.file.sites[index].at, "", what, remedy);
                }
            }
        }
    }
}
