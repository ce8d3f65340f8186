//! One child process of `up`: its start, its log file, its end. Called by `up`; why it runs must not be known here.

use std::fmt;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::plan::Plan;

/// How long a child may drain and flush before it is killed.
const DRAIN_WITHIN: Duration = Duration::from_secs(12);
/// Lines of a dead child's log that are shown.
const TAIL_LINES: usize = 15;

/// A running child.
#[derive(Debug)]
pub(super) struct Child {
    name: &'static str,
    log: PathBuf,
    pid: u32,
    process: tokio::process::Child,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End(ExitStatus);

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        Self(status)
    }
}

impl End {
    /// Its exit code; 128 + n for signal n, as shells have it.
    pub(super) fn code(self) -> u8 {
        let code = self.0.code().or_else(|| self.0.signal().map(|signal| 128 + signal)).unwrap_or(1);
        u8::try_from(code).unwrap_or(1)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.signal() {
            Some(signal) => write!(f, "killed by signal {signal}"),
            None => write!(f, "exit code {}", self.code()),
        }
    }
}

impl Child {
    /// Starts this binary with the arguments; its output goes to `NAME.log` in `logs`.
    pub(super) fn spawn(name: &'static str, args: &[String], plan: &Plan, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = plan.command(args)?;
        command.stdout(Stdio::from(file)).stderr(Stdio::from(errors));
        let process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = process.id().unwrap_or_default();
        Ok(Self { name, log, pid, process })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> String {
        tail(&self.log)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<End> {
        self.process.try_wait().ok().flatten().map(End)
    }

    /// Waits for the end of a child; `None` at once when there is none.
    pub(super) async fn end_of(child: &mut Option<Self>) -> Option<End> {
        child.as_mut()?.process.wait().await.ok().map(End)
    }

    /// Asks it to end, waits until it has drained, and kills it when it does not.
    pub(super) async fn stop(mut self) {
        // Waited for already: its id may be another process's by now.
        if self.process.id().is_none() {
            return;
        }
        if let Ok(pid) = i32::try_from(self.pid) {
            // An error means it is gone, which is what is wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(DRAIN_WITHIN, self.process.wait()).await.is_err() {
            eprintln!("signalbox: {} did not end within {DRAIN_WITHIN:?} and was killed", self.name);
            let _ = self.process.kill().await;
        }
    }
}

/// The last lines of a file, indented.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines = text.lines().collect::<Vec<_>>();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
