//! What can be asked of a node, as data: a command line's call goes the same way to a local folder or a server.

use std::path::PathBuf;

use engine::access::Secret;
use engine::site_file::Attached;
use serde::{Deserialize, Serialize};

use crate::control::ControlCommand;
use crate::money::{MoneyCommand, Suspend};
use crate::users::{TokenCommand, UserCommand};

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    Apply {
        file: PathBuf,
        text: String,
        /// The files that the site file names: the server may have another working folder.
        #[serde(default)]
        attached: Attached,
        dry_run: bool,
        /// Say what a new version of a tariff would have charged.
        #[serde(default)]
        preview: bool,
    },
    Meter {
        change: MeterCommand,
        dry_run: bool,
    },
    Import {
        file: PathBuf,
        options: ImportArguments,
    },
    TopUp {
        account: String,
        amount: String,
        key: String,
        channel: String,
    },
    Suspend(Suspend),
    Money(MoneyCommand),
    Control(ControlCommand),
    Why {
        name: String,
        format: Tabular,
    },
    Balance {
        account: Option<String>,
        format: Tabular,
    },
    Report {
        name: String,
        period: Period,
        format: String,
    },
    ReportList,
    Sql {
        statement: String,
        format: Tabular,
    },
    Audit,
    Explain {
        account: String,
        day: Option<String>,
        #[serde(default)]
        statement: Option<i64>,
        #[serde(default)]
        month: Option<String>,
        #[serde(default)]
        line: Option<usize>,
    },
    Quality {
        filter: QualityFilter,
        format: Tabular,
    },
    QualityAck {
        issue: String,
        meter: String,
        from: String,
        reason: String,
    },
    PeriodList {
        format: Tabular,
    },
    PeriodChange {
        action: PeriodAction,
        month: String,
        site: Option<String>,
        reason: String,
    },
    AdjustmentList {
        all: bool,
        lines: Option<i64>,
        format: Tabular,
    },
    AdjustmentDecide {
        id: i64,
        approve: bool,
        reason: String,
    },
    ReadingCorrect {
        meter: String,
        at: String,
        value: CorrectedValue,
        reason: String,
    },
    Outage {
        meter: String,
        from: String,
        to: String,
        withdraw: bool,
        reason: String,
    },
    OutageImport {
        asked: OutageFile,
        text: String,
    },
    ReadingShow {
        meter: String,
        at: String,
        format: Tabular,
    },
    ReadingList {
        meter: String,
        from: Option<String>,
        to: Option<String>,
        format: Tabular,
    },
    Simulate {
        asked: SimulateArguments,
        text: String,
        #[serde(default)]
        attached: Attached,
        format: Tabular,
    },
    Rerate {
        asked: RerateArguments,
        format: Tabular,
    },
    Statement {
        asked: StatementArguments,
        format: StatementFormat,
    },
    User(UserCommand),
    Token(TokenCommand),
    SignIn {
        name: String,
        password: Secret,
    },
    SignOut,
    WhoAmI,
}

/// What a meter said, as it was typed: one of these.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[group(skip)]
pub(crate) struct CorrectedValue {
    /// The count that the register showed
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true, required_unless_present_any = ["usage", "void"], conflicts_with_all = ["usage", "void"])]
    pub(crate) register: Option<i64>,
    /// What was used, in the unit that the meter's usage is in, from --start to --at
    #[arg(long, value_name = "Q", allow_negative_numbers = true, requires = "start", conflicts_with = "void")]
    pub(crate) usage: Option<String>,
    /// Where the usage interval begins
    #[arg(long, value_name = "T", requires = "usage")]
    pub(crate) start: Option<String>,
    /// The meter said nothing then
    #[arg(long)]
    pub(crate) void: bool,
}

/// Whose statement is wanted.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct StatementArguments {
    /// Whose
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) account: Option<String>,
    /// Those of all accounts
    #[arg(long)]
    pub(crate) all: bool,
    /// Such as 2026-03
    #[arg(long, value_name = "M")]
    pub(crate) month: String,
}

/// How a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum StatementFormat {
    Table,
    Csv,
    Json,
    /// A page for the tenant, to be printed
    Html,
    /// A workbook for finance
    Xlsx,
}

/// What a tariff is tried on.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct SimulateArguments {
    /// A file of [[tariff]] tables, or a site file (TOML); the tariff's last version is tried, as if always in force
    pub(crate) file: PathBuf,
    /// Accounts, `all`, or `tariff:NAME` for whoever is on that tariff now
    #[arg(long, value_name = "ACCOUNTS", required = true, value_delimiter = ',')]
    pub(crate) against: Vec<String>,
    /// How many months
    #[arg(long, value_name = "N", default_value = "12m")]
    pub(crate) last: String,
    /// Their last one, such as 2026-03; by default the last that has ended
    #[arg(long, value_name = "M")]
    pub(crate) until: Option<String>,
    /// Which of the file's tariffs
    #[arg(long, value_name = "NAME")]
    pub(crate) tariff: Option<String>,
    /// A row for each month
    #[arg(long, value_name = "WHAT", value_parser = ["month"])]
    pub(crate) by: Option<String>,
    /// Accounts whose bill changes by more percent than this are named
    #[arg(long, value_name = "PERCENT", default_value = "20")]
    pub(crate) threshold: String,
}

/// What is re-rated.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct RerateArguments {
    /// First local day, such as 2026-03-01
    #[arg(long, value_name = "D")]
    pub(crate) from: String,
    /// Last local day, inclusive
    #[arg(long, value_name = "D")]
    pub(crate) to: String,
    /// Only what this account owes; may be given again
    #[arg(long, value_name = "A")]
    pub(crate) account: Vec<String>,
    /// Show the difference of each account, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why the difference is posted; it is kept in the audit log
    #[arg(long, value_name = "R")]
    pub(crate) reason: Option<String>,
}

/// What is done with a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PeriodAction {
    Review,
    Close,
    Reopen,
}

/// Which findings are listed.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct QualityFilter {
    /// open, ended, acknowledged or all
    #[arg(long, default_value = "open", value_parser = ["open", "ended", "acknowledged", "all"])]
    pub(crate) state: String,
    /// Only findings of this severity: info, warning or critical
    #[arg(long, value_parser = ["info", "warning", "critical"])]
    pub(crate) severity: Option<String>,
    /// Only findings of this meter
    #[arg(long, value_name = "SERIAL")]
    pub(crate) meter: Option<String>,
}

/// A call with what says who makes it; who that is, [`crate::access::admit`] finds out where the call is carried out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// A token's secret.
    pub(crate) secret: Option<Secret>,
    /// A claim, made on purpose.
    pub(crate) actor: Option<String>,
    /// The system's user: the claim where there is no other.
    pub(crate) login: String,
    pub(crate) call: Call,
}

/// A change at one meter.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
pub(crate) enum MeterCommand {
    /// Put another meter in the place of one: closes its installation and opens the new one's
    Replace {
        /// The service point, or the serial number of the meter that was taken out
        place: String,
        /// The new meter's serial number
        #[arg(long, value_name = "S")]
        new_serial: String,
        /// The new meter's profile (register map)
        #[arg(long, value_name = "P")]
        profile: String,
        /// What the old register showed last, as it shows it, without the decimal point
        #[arg(long, value_name = "C")]
        closing_count: i64,
        /// What the new register showed first
        #[arg(long, value_name = "C")]
        opening_count: i64,
        #[command(flatten)]
        seam: Seam,
        #[command(flatten)]
        ratio: RatioArguments,
        /// Where its register wraps to 0, as the profile says by default; 0 for never
        #[arg(long, value_name = "M")]
        modulus: Option<i64>,
        /// What it is made for, such as "75 kW" or "10 m3/h"
        #[arg(long, value_name = "R")]
        rating: Option<String>,
        /// HOST:PORT; by default that of the old meter
        #[arg(long, value_name = "B")]
        bus: Option<String>,
        /// Its address on the bus, 1 to 247; by default that of the old meter
        #[arg(long, value_name = "U", value_parser = clap::value_parser!(u8).range(1..=247))]
        unit: Option<u8>,
    },
    /// Let a meter count by another multiplier, or wrap at another count
    Retype {
        /// Its serial number
        serial: String,
        #[command(flatten)]
        seam: Seam,
        #[command(flatten)]
        ratio: RatioArguments,
        /// Where its register wraps to 0 from now on; 0 for never
        #[arg(long, value_name = "M")]
        modulus: Option<i64>,
        /// What the register showed at that moment; without it nothing is charged between the readings around it
        #[arg(long, value_name = "C")]
        count: Option<i64>,
    },
    /// Let a register go on from another count, after a reset or jump
    Reset {
        /// Its serial number
        serial: String,
        /// From which count it goes on
        #[arg(long, value_name = "C")]
        opening_count: i64,
        /// What it showed last before; without it nothing is charged after the last accepted reading
        #[arg(long, value_name = "C")]
        closing_count: Option<i64>,
        #[command(flatten)]
        seam: Seam,
    },
}

/// When and why.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct Seam {
    /// When it was done: local to the site, such as 2026-03-01T12:00:00, or with an offset
    #[arg(long, value_name = "T")]
    pub(crate) at: String,
    /// Why, for the book and the audit log
    #[arg(long, value_name = "R")]
    pub(crate) reason: String,
}

/// What a count is multiplied by: the product of those that are given.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct RatioArguments {
    /// Current transformer, such as 40 or 200/5
    #[arg(long, value_name = "N")]
    pub(crate) ct: Option<String>,
    /// Voltage transformer
    #[arg(long, value_name = "N")]
    pub(crate) pt: Option<String>,
    /// Pulse weight
    #[arg(long, value_name = "M")]
    pub(crate) multiplier: Option<String>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Tabular {
    Table,
    Csv,
    Json,
}

/// The period of a report as it was given: dates, a month or a year.
#[derive(Clone, Debug, Default, Serialize, Deserialize, clap::Args)]
pub(crate) struct Period {
    /// First local day, such as 2026-03-01
    #[arg(long, value_name = "D", conflicts_with_all = ["month", "year"])]
    pub(crate) from: Option<String>,
    /// Last local day, inclusive
    #[arg(long, value_name = "D", conflicts_with_all = ["month", "year"])]
    pub(crate) to: Option<String>,
    /// A month, such as 2026-03
    #[arg(long, value_name = "M", conflicts_with = "year")]
    pub(crate) month: Option<String>,
    /// A year, such as 2026
    #[arg(long, value_name = "Y")]
    pub(crate) year: Option<i32>,
}

/// Which columns of a file say when which meter had no supply.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct OutageFile {
    /// The column of serial numbers
    #[arg(long, value_name = "C", default_value = "meter")]
    pub(crate) meter_column: String,
    /// The column of the first moments without supply
    #[arg(long, value_name = "C", default_value = "from")]
    pub(crate) from_column: String,
    /// The column of the first moments with it again
    #[arg(long, value_name = "C", default_value = "to")]
    pub(crate) to_column: String,
    /// Why; it is kept in the audit log
    #[arg(long)]
    pub(crate) reason: String,
}

/// How a file is to be read.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub(crate) struct ImportArguments {
    /// The column of serial numbers (not with --wide)
    #[arg(long, value_name = "C", required_unless_present = "wide", conflicts_with = "wide")]
    pub(crate) meter_column: Option<String>,
    /// The column of times
    #[arg(long, value_name = "C")]
    pub(crate) time_column: String,
    /// The column of register counts as the device shows them; with --wide: the columns hold registers
    #[arg(long, value_name = "C", conflicts_with = "usage_column", num_args = 0..=1, default_missing_value = "")]
    pub(crate) register_column: Option<String>,
    /// The column of quantities used in an interval; with --wide: the columns hold usage
    #[arg(long, value_name = "C", num_args = 0..=1, default_missing_value = "")]
    pub(crate) usage_column: Option<String>,
    /// How long a usage interval is, such as 15m, 1h or 1d; without it each reaches to its neighbour
    #[arg(long, value_name = "T")]
    pub(crate) interval: Option<String>,
    /// Which end of a usage interval the time gives
    #[arg(long, value_name = "END", value_parser = ["start", "end"])]
    pub(crate) time_marks: Option<String>,
    /// kWh, Wh, MWh, GJ, MJ, m3, L, ccf or counts; without it what the meter's usage is in: the billing unit, mostly
    #[arg(long, value_name = "U")]
    pub(crate) unit: Option<String>,
    /// The IANA zone of times that name none, such as Asia/Shanghai
    #[arg(long, value_name = "Z")]
    pub(crate) time_zone: Option<String>,
    /// A column for each meter, named by its serial number
    #[arg(long)]
    pub(crate) wide: bool,
}

/// What a call gives, piece by piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// For standard output (text, or the bytes of a picture).
    Output(Vec<u8>),
    /// For standard error.
    Note(String),
    /// How far a long call is: done, of how many, and what they are.
    Progress { done: u64, total: u64, unit: String },
}

/// Where a call's events go.
pub(crate) type Events = tokio::sync::mpsc::Sender<Event>;

/// Why a call failed, in words for the one who made it: what, where and the remedy. Empty when all has been said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(pub(crate) String);

/// Any error whose text is meant for people is a failure.
pub(crate) fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

/// Sends text to standard output. A reader that has gone is no failure of the call.
pub(crate) async fn say(events: &Events, text: impl Into<String>) {
    let mut text: String = text.into();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let _ = events.send(Event::Output(text.into_bytes())).await;
}
