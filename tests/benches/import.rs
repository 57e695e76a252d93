//! `cargo bench --bench import`: 6.94 million real rows, acknowledged durable, priced, posted and in the lake.
//! Target on two cores: 1 million rows/s, under 1.5 GiB.

#[path = "../it/real_data/cambridge.rs"]
mod cambridge;
mod support;

use std::process::Stdio;

use wal::clock::Clock;

const ROWS: i64 = 6_941_880;

fn main() {
    let (Some(file), Some(meters)) = (cambridge::shared(cambridge::ALL), cambridge::inventory()) else {
        println!("PASSED OVER: {} is not here; set METERLEDGER_SHARED_DATA", cambridge::ALL);
        return;
    };
    let clock = Clock::live();
    for round in 1..=3 {
        let folder = tempfile::tempdir().expect("a folder for the data");
        let (data, site) = (folder.path().join("data"), folder.path().join("site.toml"));
        std::fs::write(&site, cambridge::site(&meters)).expect("the folder takes files");
        support::run(&data, &["apply", &site.to_string_lossy()]);
        let name = file.to_string_lossy();
        let words = [&["import", &name], &cambridge::IMPORT[..]].concat();
        let mut command = support::command(&data, &words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (peak, micros) = support::timed(&clock, || support::watch(command.spawn().expect("the binary starts")));
        let counted = support::run(&data, &["sql", "SELECT count(*) AS n FROM intervals", "--format", "csv"]);
        assert_eq!(counted.lines().nth(1), Some(ROWS.to_string().as_str()), "rows in the lake");
        println!(
            "import, round {round}: {ROWS} rows in {}.{:03} s, {} rows/s, peak {} MiB",
            micros / 1_000_000,
            micros / 1_000 % 1_000,
            ROWS * 1_000_000 / micros.max(1),
            peak / 1_024
        );
    }
}
