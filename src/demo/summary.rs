//! What is left when the scene has been played: balances, the month, pictures, the audit.

use std::path::Path;

use super::ask;
use crate::call::{Call, Failure, Period, Tabular, failed};
use crate::node::Node;

/// The pictures that the demonstration leaves: report, period and file.
const PICTURES: [(&str, Option<&str>, Option<i32>, &str); 3] = [
    ("year-on-year", None, Some(2026), "year-on-year-2026.png"),
    ("daily-energy", Some("2026-10"), None, "daily-energy-2026-10.png"),
    ("income", None, Some(2026), "income-2026.png"),
];

pub(super) async fn show(node: &Node, out: &Path) -> Result<(), Failure> {
    println!("\n6. Who has least left:");
    let lowest = "SELECT b.account, a.holder, b.balance, b.as_of FROM balances b JOIN accounts a ON a.account = b.account \
                  WHERE a.kind = 'prepaid' ORDER BY b.balance LIMIT 8";
    print(ask(node, Call::Sql { statement: lowest.to_owned(), format: Tabular::Table }).await?);
    println!("\n7. What was commanded:");
    let commands = "SELECT meter, account, action, state, created_at, ended_at FROM commands ORDER BY command_id";
    print(ask(node, Call::Sql { statement: commands.to_owned(), format: Tabular::Table }).await?);
    println!("\n8. October by tenant:");
    print(report(node, "monthly-use", Some("2026-10"), None).await?);
    println!("\n9. This year against the last:");
    print(report(node, "year-on-year", None, Some(2026)).await?);
    println!("\n10. Pictures:");
    for (name, month, year, file) in PICTURES {
        let period = Period { month: month.map(str::to_owned), year, ..Period::default() };
        let bytes = crate::perform::report::render(node, name, &period, "png").await?;
        let path = out.join(file);
        std::fs::write(&path, bytes).map_err(failed)?;
        println!("   {}", path.display());
    }
    println!("\n11. The audit:");
    print(ask(node, Call::Audit).await?);
    Ok(())
}

async fn report(node: &Node, name: &str, month: Option<&str>, year: Option<i32>) -> Result<Vec<String>, Failure> {
    let period = Period { month: month.map(str::to_owned), year, ..Period::default() };
    ask(node, Call::Report { name: name.to_owned(), period, format: "table".to_owned() }).await
}

fn print(lines: Vec<String>) {
    lines.iter().for_each(|line| println!("   {line}"));
}
