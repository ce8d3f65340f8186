//! What a person sees while the load runs: one updating line on a terminal, a line each few seconds elsewhere, a line
//! a phase when quiet. Called by the director in `load`. No measuring may live here.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::recorder::Recorder;

/// Writes the progress of a run to standard output.
#[derive(Debug)]
pub(super) struct Progress {
    every: Option<Duration>,
    terminal: bool,
    started: Instant,
    last: Instant,
    phase: String,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let every = (!quiet).then(|| Duration::from_secs(if terminal { 1 } else { 5 }));
        let now = Instant::now();
        Self { every, terminal: terminal && !quiet, started: now, last: now, phase: String::new() }
    }

    /// A phase has begun.
    pub(super) fn phase(&mut self, name: &str, users: usize) {
        name.clone_into(&mut self.phase);
        if !self.terminal {
            say(&format!("load: {:>4} s  phase {name}, {users} users\n", self.started.elapsed().as_secs()));
        }
    }

    /// Prints when it is time to.
    pub(super) fn tick(&mut self, users: usize, recorder: &Recorder) {
        let passed = self.last.elapsed();
        if self.every.is_none_or(|every| passed < every) {
            return;
        }
        self.last = Instant::now();
        let window = recorder.window();
        let rate = window.requests as f64 / passed.as_secs_f64();
        let line = format!(
            "load: {:>4} s  {:<9} {users:>3} users  {rate:>6.0} req/s  p95 {:>6.1} ms  {} failed",
            self.started.elapsed().as_secs(),
            self.phase,
            window.p95_ms,
            window.failures
        );
        // Return, then erase the line: the old one may be longer.
        say(&if self.terminal { format!("\r\x1b[2K{line}") } else { format!("{line}\n") });
    }

    /// Leaves the updating line.
    pub(super) fn end(&self) {
        if self.terminal {
            say("\n");
        }
    }
}

/// Prints; a closed standard output ends no load.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
