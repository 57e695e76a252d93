//! What the benchmarks share: the binary that is measured, a folder, a process and its peak memory.

#![allow(dead_code, reason = "each of those who share this uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kernel::time::Moment;
use wal::clock::Clock;

/// The binary: METERLEDGER_BIN, or the one that cargo built with this benchmark.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("METERLEDGER_BIN").map_or_else(|| env!("CARGO_BIN_EXE_meterledger").into(), PathBuf::from)
}

/// The binary on a data folder.
pub(crate) fn command(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("--data-dir").arg(data).args(words).env("METERLEDGER_LOG", "error").stdin(Stdio::null());
    command
}

/// Runs a command that must succeed; gives what it prints.
pub(crate) fn run(data: &Path, words: &[&str]) -> String {
    let done = command(data, words).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&done.stderr));
    text
}

/// Microseconds that some work takes.
pub(crate) fn timed<T>(clock: &Clock, work: impl FnOnce() -> T) -> (T, i64) {
    let began = clock.now();
    let made = work();
    (made, clock.now().since(began))
}

/// Waits for a process to end; gives the most memory that it ever held, in kB (0 where /proc does not tell).
pub(crate) fn watch(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        peak = peak.max(now);
        if let Some(status) = child.try_wait().expect("the child is ours") {
            assert!(status.success(), "{status}");
            return peak;
        }
        pause(Duration::from_millis(20));
    }
}

/// Real time passes.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures in real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A time as the command line prints it, in UTC.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    text.parse::<jiff::Timestamp>().ok().map(|time| Moment(time.as_microsecond()))
}
