//! Who may do what: what each call needs, and which role gives it. The one place that says so; the match over all calls
//! is complete, so that a new call has to be put here.

use engine::access::Role;

use crate::call::Call;
use crate::control::ControlCommand;
use crate::money::{HoldCommand, MoneyCommand, RefundCommand, SuspenseCommand};
use crate::users::{TokenCommand, UserCommand};

/// What a call may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permission {
    /// Look at balances, statements, reports, readings and findings; prove the book.
    Read,
    /// Ask in SQL, try tariffs and site files without changing anything.
    Analyse,
    /// Take money in, set it aside, ask for a refund.
    Sell,
    /// Change what was booked: reversals, bonuses, re-rates, months, closed and moved accounts.
    Settle,
    /// Be the second person.
    Approve,
    /// Keep meters, readings, outages and findings.
    Operate,
    /// Switch supplies by hand, keep them on, decide relay commands.
    Control,
    /// Apply site files: sites, tariffs, policies, accounts.
    Configure,
    /// Keep users, their roles and everybody's tokens.
    Administer,
}

use Permission::{Administer, Analyse, Approve, Configure, Control, Operate, Read, Sell, Settle};

impl Permission {
    fn name(self) -> &'static str {
        match self {
            Read => "read",
            Analyse => "analyse",
            Sell => "sell",
            Settle => "settle",
            Approve => "approve",
            Operate => "operate",
            Control => "control",
            Configure => "configure",
            Administer => "administer",
        }
    }
}

/// What a role may do. An admin moves no money and approves none; who has to do both has two roles.
fn granted(role: Role) -> &'static [Permission] {
    match role {
        Role::Admin => &[Read, Analyse, Configure, Administer],
        Role::Operator => &[Read, Operate, Control],
        Role::Cashier => &[Read, Sell],
        Role::Finance => &[Read, Analyse, Sell, Settle],
        Role::Approver => &[Read, Approve],
        Role::Energy => &[Read, Analyse],
        Role::Viewer => &[Read],
    }
}

/// Whether one of the roles gives it.
pub(crate) fn may(roles: &std::collections::BTreeSet<Role>, permission: Permission) -> bool {
    roles.iter().any(|role| granted(*role).contains(&permission))
}

/// What is needed for a call, where the book has users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: nobody can be known yet, or there is nothing to protect.
    Nothing,
    /// To be a user.
    User,
    /// To be a user who gave the password: an API token cannot make another one of itself.
    SignIn,
    /// A permission.
    May(Permission),
    /// A permission, and to have given the password: a token that leaked must not outlive itself.
    MayInPerson(Permission),
}

/// The name of a call and what it needs, asked by the user `who`.
pub(crate) fn needed(call: &Call, who: &str) -> (&'static str, Need) {
    use Need::{May, MayInPerson};
    // Everybody keeps the own password and tokens.
    let own = |name: &str, own: Need| if name == who { own } else { MayInPerson(Administer) };
    let whose = |user: &Option<String>, need| user.as_deref().map_or(need, |user| own(user, need));
    match call {
        Call::Apply { dry_run: true, .. } => ("apply --dry-run", May(Analyse)),
        Call::Apply { dry_run: false, .. } => ("apply", May(Configure)),
        Call::Meter { .. } => ("meter", May(Operate)),
        Call::Import { .. } => ("import", May(Operate)),
        Call::TopUp { .. } => ("topup", May(Sell)),
        Call::Suspend(_) => ("topup --suspense", May(Sell)),
        Call::Money(command) => match command {
            MoneyCommand::Hold(HoldCommand::List { .. }) => ("hold list", May(Read)),
            MoneyCommand::Hold(
                HoldCommand::Place { .. } | HoldCommand::Release { .. } | HoldCommand::Capture { .. },
            ) => ("hold", May(Sell)),
            MoneyCommand::Reverse(_) => ("reverse", May(Settle)),
            MoneyCommand::Refund(refund) => match refund.request {
                None => ("refund", May(Sell)),
                Some(RefundCommand::List { .. }) => ("refund list", May(Read)),
                Some(RefundCommand::Approve { .. }) => ("refund approve", May(Approve)),
                Some(RefundCommand::Reject { .. }) => ("refund reject", May(Approve)),
            },
            MoneyCommand::Bonus(_) => ("bonus", May(Settle)),
            MoneyCommand::Suspense(SuspenseCommand::List { .. }) => ("suspense list", May(Read)),
            MoneyCommand::Suspense(SuspenseCommand::Assign { .. }) => ("suspense assign", May(Settle)),
            MoneyCommand::Account(_) => ("account", May(Settle)),
        },
        Call::Control(command) => match command {
            ControlCommand::List { .. } => ("supply list", May(Read)),
            ControlCommand::Cut(_) => ("supply cut", May(Control)),
            ControlCommand::Restore(_) => ("supply restore", May(Control)),
            ControlCommand::Keep { .. } => ("supply keep", May(Control)),
            ControlCommand::Unkeep { .. } => ("supply unkeep", May(Control)),
            ControlCommand::Approve { .. } => ("supply approve", May(Control)),
            ControlCommand::Cancel { .. } => ("supply cancel", May(Control)),
            ControlCommand::ReleaseBrake { .. } => ("supply release-brake", May(Control)),
        },
        Call::Why { .. } => ("why", May(Read)),
        Call::Balance { .. } => ("balance", May(Read)),
        Call::Report { .. } => ("report", May(Read)),
        Call::ReportList => ("report --list", Need::Nothing),
        Call::Sql { .. } => ("sql", May(Analyse)),
        Call::Audit => ("audit", May(Read)),
        Call::Explain { .. } => ("explain", May(Read)),
        Call::Quality { .. } => ("quality", May(Read)),
        Call::QualityAck { .. } => ("quality ack", May(Operate)),
        Call::PeriodList { .. } => ("period list", May(Read)),
        Call::PeriodChange { .. } => ("period", May(Settle)),
        Call::AdjustmentList { .. } => ("adjustment list", May(Read)),
        Call::AdjustmentDecide { approve: true, .. } => ("adjustment approve", May(Approve)),
        Call::AdjustmentDecide { approve: false, .. } => ("adjustment reject", May(Approve)),
        Call::ReadingCorrect { .. } => ("readings correct", May(Operate)),
        Call::Outage { .. } => ("outage", May(Operate)),
        Call::OutageImport { .. } => ("outage import", May(Operate)),
        Call::ReadingShow { .. } => ("readings show", May(Read)),
        Call::ReadingList { .. } => ("readings list", May(Read)),
        Call::Simulate { .. } => ("tariff simulate", May(Analyse)),
        Call::Rerate { asked, .. } if asked.dry_run => ("rerate --dry-run", May(Analyse)),
        Call::Rerate { .. } => ("rerate", May(Settle)),
        Call::Statement { .. } => ("statement", May(Read)),
        Call::User(command) => match command {
            UserCommand::Add { .. } => ("user add", MayInPerson(Administer)),
            UserCommand::List { .. } => ("user list", May(Administer)),
            UserCommand::Roles { .. } => ("user roles", MayInPerson(Administer)),
            UserCommand::Password { name, .. } => ("user password", own(name, Need::SignIn)),
            UserCommand::Disable { .. } => ("user disable", MayInPerson(Administer)),
            UserCommand::Enable { .. } => ("user enable", MayInPerson(Administer)),
        },
        Call::Token(command) => match command {
            TokenCommand::New { user, .. } => ("token new", whose(user, Need::SignIn)),
            TokenCommand::List { .. } => ("token list", Need::User),
            TokenCommand::Revoke { user, .. } => ("token revoke", whose(user, Need::User)),
        },
        Call::SignIn { .. } => ("sign-in", Need::Nothing),
        Call::SignOut => ("sign-out", Need::User),
        Call::WhoAmI => ("whoami", Need::User),
    }
}

/// Why somebody may not make a call, and what would help; `None` where it is allowed.
pub(crate) fn refusal(
    call: &'static str,
    need: Need,
    (who, roles, signed_in): (&str, &std::collections::BTreeSet<Role>, bool),
) -> Option<String> {
    let permission = match need {
        Need::Nothing | Need::User => return None,
        Need::SignIn if signed_in => return None,
        Need::MayInPerson(permission) if may(roles, permission) && signed_in => return None,
        Need::MayInPerson(permission) if !may(roles, permission) => permission,
        Need::SignIn | Need::MayInPerson(_) => {
            return Some(format!(
                "`{call}` needs {who} in person, an API token asks: unset METERLEDGER_TOKEN and run `meterledger sign-in {who}`"
            ));
        }
        Need::May(permission) if may(roles, permission) => return None,
        Need::May(permission) => permission,
    };
    let list = |roles: &mut dyn Iterator<Item = Role>| roles.map(Role::name).collect::<Vec<_>>().join(", ");
    let giving = list(&mut Role::ALL.into_iter().filter(|role| granted(*role).contains(&permission)));
    let has = list(&mut roles.iter().copied());
    Some(format!(
        "`{call}` needs the permission {} (role {giving}), and {who} has the role {has}: ask somebody who has it, or an admin \
         for another role (`meterledger user roles {who} --set ..`)",
        permission.name()
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_role_gives_its_permissions_and_no_others() {
        for (role, gives) in [
            (Role::Admin, "read analyse configure administer"),
            (Role::Operator, "read operate control"),
            (Role::Cashier, "read sell"),
            (Role::Finance, "read analyse sell settle"),
            (Role::Approver, "read approve"),
            (Role::Energy, "read analyse"),
            (Role::Viewer, "read"),
        ] {
            let all = [Read, Analyse, Sell, Settle, Approve, Operate, Control, Configure, Administer];
            let found = all.into_iter().filter(|permission| may(&BTreeSet::from([role]), *permission));
            assert_eq!(found.map(Permission::name).collect::<Vec<_>>().join(" "), gives, "{role}");
        }
    }

    #[test]
    fn nobody_who_changes_money_alone_approves_it_and_an_admin_does_neither() {
        for role in Role::ALL {
            let has = |permission| granted(role).contains(&permission);
            assert!(!(has(Approve) && (has(Sell) || has(Settle) || has(Operate))), "{role}");
            assert!(!(has(Administer) && (has(Approve) || has(Sell) || has(Settle))), "{role}");
        }
    }

    #[test]
    fn a_refusal_names_the_call_what_it_needs_who_asks_and_the_remedy() {
        let roles = BTreeSet::from([Role::Viewer, Role::Energy]);
        let text = refusal("topup", Need::May(Sell), ("anna", &roles, true)).unwrap();
        for piece in
            ["`topup`", "permission sell", "cashier, finance", "anna has the role energy, viewer", "user roles anna"]
        {
            assert!(text.contains(piece), "{piece}: {text}");
        }
        assert_eq!(refusal("sql", Need::May(Analyse), ("anna", &roles, true)), None);
    }

    #[test]
    fn the_own_password_and_tokens_are_everybodys_and_those_of_others_an_admins() {
        let password = |name: &str| {
            Call::User(UserCommand::Password { name: name.into(), password_stdin: false, password: Default::default() })
        };
        let token = |user: Option<&str>| {
            let user = user.map(str::to_owned);
            Call::Token(TokenCommand::New { name: "ci".into(), user, expires: "90d".into() })
        };
        for (call, need) in [
            (password("anna"), Need::SignIn),
            (password("bob"), Need::MayInPerson(Administer)),
            (token(None), Need::SignIn),
            (token(Some("anna")), Need::SignIn),
            (token(Some("bob")), Need::MayInPerson(Administer)),
        ] {
            assert_eq!(needed(&call, "anna").1, need, "{call:?}");
        }
        let roles = BTreeSet::from([Role::Admin]);
        let by_token = refusal("token new", Need::SignIn, ("anna", &roles, false)).unwrap();
        assert!(by_token.contains("in person") && by_token.contains("sign-in anna"), "{by_token}");
        assert_eq!(refusal("token new", Need::SignIn, ("anna", &roles, true)), None);
        // An admin's token keeps no users.
        let kept = |signed_in| refusal("user add", Need::MayInPerson(Administer), ("anna", &roles, signed_in));
        assert!(kept(false).is_some_and(|text| text.contains("in person")) && kept(true).is_none());
    }
}
