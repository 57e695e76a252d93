//! Commands that move money, or set it aside: the same types on the command line and as data.

use serde::{Deserialize, Serialize};

use crate::call::Tabular;

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum MoneyCommand {
    /// Set money of a wallet aside, give it free, or take it
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Undo a transfer or a payment by a new, linked transfer
    Reverse(Reverse),
    /// Give back cash that was paid in and not used; above the site's refund_limit a second person approves
    Refund(Refund),
    /// Give a customer something on top of what it paid; it is never refunded
    Bonus(Bonus),
    /// Money whose owner was not known when it came (`topup --suspense`)
    #[command(subcommand)]
    Suspense(SuspenseCommand),
    /// Close an account, or hand a service point to another account
    #[command(subcommand)]
    Account(AccountCommand),
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum HoldCommand {
    /// Set money aside; the balance is without it
    Place {
        account: String,
        /// Such as 100 or 99.50; at most the balance
        amount: String,
        /// The client's key: the same key sets aside once, for ever
        #[arg(long)]
        key: String,
        #[arg(long)]
        reason: String,
        /// It expires then, by itself: 2026-03-01, 2026-03-01T12:00 (the site's time) or with an offset
        #[arg(long, value_name = "T")]
        until: Option<String>,
    },
    /// Give held money free
    Release {
        /// The hold's number
        hold: i64,
        #[arg(long)]
        key: String,
    },
    /// Take held money; what is not taken is free again
    Capture {
        /// The hold's number
        hold: i64,
        #[arg(long)]
        key: String,
        /// All of it by default
        #[arg(long)]
        amount: Option<String>,
        /// What becomes of it; a deposit stays the customer's, and a reversal gives it back
        #[arg(long, default_value = "deposit")]
        into: Into,
    },
    /// List holds, those that ended too
    List {
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
}

/// What becomes of held money.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Into {
    Deposit,
    Fee,
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct Reverse {
    /// The transfer's number
    #[arg(required_unless_present = "payment", conflicts_with = "payment")]
    pub(crate) transfer: Option<i64>,
    /// The key of the payment to reverse
    #[arg(long, value_name = "KEY")]
    pub(crate) payment: Option<String>,
    /// A part of it; what is left of it by default
    #[arg(long)]
    pub(crate) amount: Option<String>,
    /// The client's key of this reversal
    #[arg(long)]
    pub(crate) key: String,
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Refund {
    #[command(subcommand)]
    pub(crate) request: Option<RefundCommand>,
    #[arg(required = true)]
    pub(crate) account: Option<String>,
    /// Such as 100 or 99.50; at most the refundable cash
    #[arg(required = true)]
    pub(crate) amount: Option<String>,
    /// The client's key of this refund
    #[arg(long, required = true)]
    pub(crate) key: Option<String>,
    #[arg(long, required = true)]
    pub(crate) reason: Option<String>,
    /// How it is paid
    #[arg(long, default_value = "cash")]
    pub(crate) channel: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum RefundCommand {
    /// List refunds and requests for them
    List {
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Pay what another person requested
    Approve {
        /// The request's number
        id: i64,
    },
    /// Do not pay what was requested
    Reject {
        /// The request's number
        id: i64,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct Bonus {
    pub(crate) account: String,
    pub(crate) amount: String,
    #[arg(long)]
    pub(crate) key: String,
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum SuspenseCommand {
    /// List it, also what has found its owner
    List {
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Give it to its owner
    Assign {
        /// The key under which it came
        entry: String,
        account: String,
        /// The client's key of this assignment
        #[arg(long)]
        key: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum AccountCommand {
    /// End its contracts, charge it to the end, and refund what is left or keep the debt as arrears
    Close {
        account: String,
        /// When it ends: 2026-03-01, 2026-03-01T12:00 (the site's time) or with an offset
        #[arg(long, value_name = "T")]
        at: String,
        /// The client's key of this closing
        #[arg(long)]
        key: String,
        /// How what is left is paid back
        #[arg(long, default_value = "cash")]
        refund_channel: String,
        /// Charge demand by the readings that there are, though some are missing; why is kept in the audit log
        #[arg(long, value_name = "WHY")]
        demand_as_measured: Option<String>,
    },
    /// End an account's contract at a service point and begin another's, by the same tariff
    Move {
        /// The service point
        point: String,
        /// Who pays until then
        #[arg(long, value_name = "ACCOUNT")]
        from: String,
        /// Who pays from then on
        #[arg(long, value_name = "ACCOUNT")]
        to: String,
        /// When: 2026-03-01, 2026-03-01T12:00 (the site's time) or with an offset
        #[arg(long, value_name = "T")]
        at: String,
    },
}

/// Money whose owner is not known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Suspend {
    pub(crate) payer: String,
    pub(crate) amount: String,
    pub(crate) key: String,
    pub(crate) channel: String,
    pub(crate) site: Option<String>,
}
