//! Roles: what a person is at a utility. Several may be given to one user; each is for all sites of the book.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Keeps users, sites, tariffs and policies; moves no money.
    Admin,
    /// Switches supplies; keeps meters, readings, outages and their quality.
    Operator,
    /// Takes money at the counter.
    Cashier,
    /// Keeps the ledger: money, months, closed accounts.
    Finance,
    /// The second person.
    Approver,
    /// Asks in SQL and tries tariffs.
    Energy,
    /// Looks.
    Viewer,
}

/// No role has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {0:?}: the roles are {all}", all = all())]
pub struct UnknownRole(String);

fn all() -> String {
    Role::ALL.map(Role::name).join(", ")
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 7] =
        [Role::Admin, Role::Operator, Role::Cashier, Role::Finance, Role::Approver, Role::Energy, Role::Viewer];

    /// The name in the book and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Cashier => "cashier",
            Role::Finance => "finance",
            Role::Approver => "approver",
            Role::Energy => "energy",
            Role::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_by_its_name_and_no_other() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        let error = "Admin".parse::<Role>().unwrap_err().to_string();
        assert!(error.contains("no role \"Admin\"") && error.contains("admin, operator, cashier"), "{error}");
    }
}
