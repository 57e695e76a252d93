//! The reports that there are: `queries/reports/*.sql`, built in.

use std::sync::LazyLock;

use engine::query::header::Header;

macro_rules! reports {
    ($($name:literal),* $(,)?) => {
        const TEXTS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../queries/reports/", $name, ".sql")))),*
        ];
    };
}
reports![
    "daily-energy",
    "monthly-energy",
    "yearly-energy",
    "monthly-use",
    "year-on-year",
    "income",
    "balances",
    "trial-balance",
    "cutoffs",
];

/// One report.
#[derive(Clone, Debug)]
pub struct ReportInfo {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its file: a documented header and one SELECT with `$from` and the like.
    pub sql: &'static str,
    /// Title, purpose, parameters, columns, chart.
    pub header: Header,
}

/// All reports.
#[must_use]
pub fn list() -> &'static [ReportInfo] {
    static REPORTS: LazyLock<Vec<ReportInfo>> = LazyLock::new(|| {
        TEXTS.iter().map(|(name, sql)| ReportInfo { name, sql, header: Header::parse(sql) }).collect()
    });
    &REPORTS
}

/// The report of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ReportInfo> {
    list().iter().find(|report| report.name == name)
}
