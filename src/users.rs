//! Commands about who may ask: the same types on the command line and as data. Passwords are never on the command line,
//! where every user of the machine could read them.

use std::collections::BTreeSet;

use engine::access::{Role, Secret};
use serde::{Deserialize, Serialize};

use crate::access::session::{Ask, password};
use crate::call::{Failure, Tabular};

/// One of them, as it is typed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AccessCommand {
    /// Who may give commands; from the first user on everybody must sign in
    #[command(subcommand)]
    User(UserCommand),
    /// Secrets that speak for a user in METERLEDGER_TOKEN, for programs
    #[command(subcommand)]
    Token(TokenCommand),
    /// Sign in to the book of this data folder; good for 12 hours
    SignIn {
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// End the sign-in on this data folder
    SignOut,
    /// Say as whom commands are given, and what that user may do
    Whoami,
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user; the first one must be an admin
    Add {
        /// a-z, 0-9, '.', '-', '_' and '@'; it is never used again for another person
        name: String,
        /// admin, operator, cashier, finance, approver, energy or viewer; may be given again
        #[arg(long = "role", value_name = "R", required = true, value_delimiter = ',')]
        roles: Vec<Role>,
        /// The person, in words
        #[arg(long, value_name = "T")]
        title: Option<String>,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        #[arg(skip)]
        password: Secret,
    },
    /// List users and their roles
    List {
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Give a user other roles
    Roles {
        name: String,
        /// All that the user is to have; may be given again
        #[arg(long = "set", value_name = "R", required = true, value_delimiter = ',')]
        set: Vec<Role>,
    },
    /// Give a user another password, and end its sign-ins
    Password {
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        #[arg(skip)]
        password: Secret,
    },
    /// Let a user do nothing from now on, and end its sign-ins
    Disable { name: String },
    /// Let a user act again
    Enable { name: String },
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, and print its secret once
    New {
        /// What it is for, such as "nightly report"
        name: String,
        /// The user as whom it speaks; who asks, by default
        #[arg(long = "for", value_name = "USER")]
        user: Option<String>,
        /// How long it is valid, such as 12h or 90d
        #[arg(long, value_name = "T", default_value = "90d")]
        expires: String,
    },
    /// List tokens, sign-ins too: the own ones, or everybody's for an admin
    List {
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// End a token
    Revoke {
        name: String,
        /// Whose; that of who asks, by default
        #[arg(long = "for", value_name = "USER")]
        user: Option<String>,
    },
}

impl UserCommand {
    /// The same with the password that it needs.
    pub(crate) fn with_password(mut self) -> Result<UserCommand, Failure> {
        if let UserCommand::Add { name, password_stdin, password: secret, .. }
        | UserCommand::Password { name, password_stdin, password: secret } = &mut self
        {
            *secret = password(name, *password_stdin, Ask::Twice)?;
        }
        Ok(self)
    }
}

/// Roles in words: `admin, viewer`.
pub(crate) fn roles_in_words(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}
