//! Starts the real `signalbox up` with a state directory of its own. Used by `tests/up_*.rs`.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running `up`.
pub(crate) struct Up {
    child: Child,
    state: tempfile::TempDir,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Up {
    /// Starts `up` with the arguments; what it prints is kept, standard error too.
    pub(crate) fn start(args: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
        command.arg("up").args(args).env("SIGNALBOX_STATE", state.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let readers =
            vec![read(child.stdout.take().unwrap(), lines.clone()), read(child.stderr.take().unwrap(), lines.clone())];
        Self { child, state, lines, readers }
    }

    /// Everything printed so far.
    pub(crate) fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line that `wanted` accepts and returns what it makes of it.
    pub(crate) fn line<T>(&mut self, within: Duration, wanted: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = self.lines.lock().unwrap().iter().find_map(|line| wanted(line)) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {}\n{}", self.output(), self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process id that the table shows for a program.
    pub(crate) fn pid(&mut self, what: &str) -> Pid {
        let found = |line: &str| {
            let row = line.starts_with(what).then(|| line.rsplit_once("pid "))??;
            row.1.trim().parse().ok()
        };
        Pid::from_raw(self.line(Duration::from_secs(60), found))
    }

    /// Sends Ctrl-C's signal to `up` alone.
    pub(crate) fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    }

    /// Waits for the end: how it ended and all lines.
    pub(crate) fn end(mut self, within: Duration) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + within;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "up still runs:\n{}\n{}", self.output(), self.logs());
            std::thread::sleep(Duration::from_millis(50));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let lines = self.lines.lock().unwrap().clone();
        (status, lines)
    }

    /// The last lines of the children's logs, for the message of a failure.
    pub(crate) fn logs(&self) -> String {
        let tail = |name: &str| {
            let text = std::fs::read_to_string(self.state.path().join(format!("logs/{name}.log"))).unwrap_or_default();
            let lines = text.lines().collect::<Vec<_>>();
            format!("--- {name}.log\n{}", lines[lines.len().saturating_sub(10)..].join("\n"))
        };
        ["console", "app", "load"].map(tail).join("\n")
    }
}

impl Drop for Up {
    /// A failed test must leave no process: `up` ends its children on SIGTERM.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

fn read(stream: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}
