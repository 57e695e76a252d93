//! `cargo bench --bench report`: monthly reports of all meters over five years of hourly readings, each by a process of
//! its own on a closed folder. Target: under 1 s.

#[path = "../it/real_data/cambridge.rs"]
mod cambridge;
mod support;

use wal::clock::Clock;

const ROUNDS: usize = 5;

fn main() {
    let (Some(file), Some(meters)) = (cambridge::shared(cambridge::ALL), cambridge::inventory()) else {
        println!("PASSED OVER: {} is not here; set METERLEDGER_SHARED_DATA", cambridge::ALL);
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the data");
    let (data, site) = (folder.path().join("data"), folder.path().join("site.toml"));
    std::fs::write(&site, cambridge::site(&meters)).expect("the folder takes files");
    support::run(&data, &["apply", &site.to_string_lossy()]);
    support::run(&data, &[&["import", &file.to_string_lossy()], &cambridge::IMPORT[..]].concat());
    let clock = Clock::live();
    for name in ["monthly-use", "monthly-energy"] {
        let words = ["report", name, "--from", "2018-01-01", "--to", "2022-12-31", "--format", "csv"];
        let mut times: Vec<i64> =
            (0..ROUNDS).map(|_| support::timed(&clock, || support::run(&data, &words)).1 / 1_000).collect();
        times.sort_unstable();
        let lines = support::run(&data, &words).lines().count() - 1;
        println!("{name}: {lines} rows; median {} ms, slowest {} ms", times[ROUNDS / 2], times[ROUNDS - 1]);
    }
}
