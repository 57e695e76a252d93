//! Commands that switch supply, or say what may not be switched: the same types on the command line and as data.

use serde::{Deserialize, Serialize};

use crate::call::Tabular;

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum ControlCommand {
    /// Of each meter with a relay or valve: what policy wants, what was commanded, what was seen, and what is under way
    List {
        /// Only this account's
        account: Option<String>,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Open a meter's relay by hand: it stays open until a person closes it, whatever is paid
    Cut(Switch),
    /// Close a meter's relay by hand; policy may cut it again, unless it is kept (`supply keep`)
    Restore(Switch),
    /// Keep an account's power on until a moment, whatever it owes; what was cut for credit is restored at once
    Keep {
        account: String,
        /// Such as 2026-03-01T12:00 (the site's time) or with an offset; 366 days ahead at most
        #[arg(long, value_name = "T")]
        until: String,
        #[arg(long)]
        reason: String,
    },
    /// Keep an account's power on no longer
    Unkeep {
        account: String,
        #[arg(long)]
        reason: String,
    },
    /// Approve a cut that asks for it (mode `ask`)
    Approve {
        /// The command's number
        command: u64,
    },
    /// Call off a command that was not sent yet; it is not given again for an hour
    Cancel {
        /// The command's number
        command: u64,
    },
    /// Let a site's cuts go on after its fleet brake stopped them
    ReleaseBrake { site: String },
}

/// An order for one relay.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct Switch {
    /// Its meter's serial number
    pub(crate) meter: String,
    /// Why; it is kept for ever
    #[arg(long)]
    pub(crate) reason: String,
    /// It concerns safety: protected supplies are cut too, and what was opened for safety is closed
    #[arg(long)]
    pub(crate) safety: bool,
}
