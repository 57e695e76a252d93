//! A data folder of its own for each test, and the real binary on it.
//!
//! Every wait has a limit and ends by an event (a line, an exit), never by a guess about time.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Far more than any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A folder with site files, readings and, in `data`, what meterledger keeps.
pub(crate) struct Folder {
    root: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Folder {
    /// An empty folder.
    pub(crate) fn new() -> Folder {
        Folder { root: tempfile::Builder::new().prefix("it").tempdir().unwrap() }
    }

    /// A folder whose book has this site.
    pub(crate) fn with_site(text: &str) -> Folder {
        let folder = Folder::new();
        folder.write("site.toml", text);
        folder.ok(&["apply", "site.toml"]);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, data: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meterledger"));
        command.arg("--data-dir").arg(data).args(words).current_dir(self.root.path());
        command.env("METERLEDGER_LOG", "warn,sqlx=error").env("USER", "tester").env("NO_COLOR", "1");
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command.env_remove("METERLEDGER_TOKEN").env_remove("METERLEDGER_ACTOR");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command and leaves it running.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::new(self.command(&self.data(), words))
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Done {
        self.start(words).end()
    }

    /// Runs a command to its end with this token, if it is not empty, and this on its standard input.
    pub(crate) fn run_as(&self, token: &str, typed: &str, words: &[&str]) -> Done {
        self.write("typed", typed);
        let mut command = self.command(&self.data(), words);
        command.env("METERLEDGER_TOKEN", token).stdin(fs::File::open(self.path("typed")).unwrap());
        Running::new(command).end()
    }

    /// The same on another data folder.
    pub(crate) fn run_in(&self, data: &Path, words: &[&str]) -> Done {
        Running::new(self.command(data, words)).end()
    }

    /// Runs a command that must succeed; gives what it prints.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert!(done.status.success(), "{words:?}: {}\n{}{}", done.status, done.text(), done.stderr);
        done.text()
    }

    /// Runs a command that must fail with a message that holds each of these pieces; gives the message.
    pub(crate) fn refused(&self, words: &[&str], pieces: &[&str]) -> String {
        let done = self.run(words);
        done.assert_refused(words, pieces);
        done.stderr
    }

    /// Rows of a query, without the header.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let text = self.ok(&["sql", statement, "--format", "csv"]);
        text.split_once('\n').map(|(_, rows)| rows.trim_end().to_owned()).unwrap()
    }

    /// Imports a long file of registers.
    pub(crate) fn import(&self, file: &str) -> String {
        self.ok(&import_words(file))
    }

    /// Starts a server and waits until it serves.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.start(&["serve", "--simulate"]))
    }
}

/// The words that import a long file of registers.
pub(crate) fn import_words(file: &str) -> [&str; 10] {
    let [meter, time, register] = ["--meter-column", "--time-column", "--register-column"];
    ["import", file, meter, "meter", time, "time", register, "count", "--unit", "counts"]
}

impl Done {
    pub(crate) fn assert_refused(&self, words: &[&str], pieces: &[&str]) {
        let all = || format!("{words:?}: {}\n{}{}", self.status, self.text(), self.stderr);
        assert!(self.status.code().is_some_and(|code| code != 0), "not refused: {}", all());
        assert!(!self.stderr.contains("panicked"), "{}", all());
        for piece in pieces {
            assert!(self.stderr.contains(piece), "says nothing of {piece:?}: {}", all());
        }
    }
}

/// A process that was started. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    words: String,
}

/// Reads a pipe line by line in a thread of its own; the channel closes with the pipe.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (out, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match pipe.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => drop(out.send(line)),
            }
        }
    });
    lines
}

fn rest(lines: &Receiver<Vec<u8>>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(LIMIT) {
            Ok(line) => all.extend(line),
            Err(RecvTimeoutError::Disconnected) => return Some(all),
            Err(RecvTimeoutError::Timeout) => return None,
        }
    }
}

impl Running {
    fn new(mut command: Command) -> Running {
        let words = format!("{command:?}");
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Running { child, stdout, stderr, words }
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> Done {
        let (Some(stdout), Some(stderr)) = (rest(&self.stdout), rest(&self.stderr)) else {
            panic!("{} does not end", self.words)
        };
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Done { status: self.child.wait().unwrap(), stdout, stderr }
    }

    /// kill -9; gives what it had done until then.
    pub(crate) fn kill(mut self) -> Done {
        let _ = self.child.kill();
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that serves.
pub(crate) struct Server {
    process: Running,
    /// What it said before it served.
    pub(crate) said: String,
}

impl Server {
    fn start(process: Running) -> Server {
        let mut said = String::new();
        while !said.contains("\nserving ") && !said.starts_with("serving ") {
            match process.stdout.recv_timeout(LIMIT) {
                Ok(line) => said.push_str(&String::from_utf8_lossy(&line)),
                Err(_) => panic!("it does not serve: {said}{}", process.kill().stderr),
            }
        }
        Server { process, said }
    }

    /// kill -9.
    pub(crate) fn kill(self) -> Done {
        self.process.kill()
    }

    /// SIGTERM, and the end that it makes.
    pub(crate) fn terminate(self) -> Done {
        let id = self.process.child.id().to_string();
        assert!(Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().unwrap().success());
        self.process.end()
    }
}

/// Waits for a moment of real time that a seed has chosen.
#[expect(clippy::disallowed_methods, reason = "a kill comes at a seeded moment of real time; nothing relies on it")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

/// Tries until it gives something, every 50 ms of real time, and fails after `LIMIT`.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let step = Duration::from_millis(50);
    for _ in 0..LIMIT.as_millis() / step.as_millis() {
        if let Some(found) = attempt() {
            return found;
        }
        pause(step);
    }
    panic!("in {LIMIT:?} never: {what}")
}
