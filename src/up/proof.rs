//! Runs `verify` as a child process of `up`, and reads its summary. Called by `up`; no check may be written here.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::child::End;
use super::plan::Plan;

/// Longest wait for `verify`: it may add this to `--for`.
const VERIFY_WITHIN: Duration = Duration::from_secs(60);

/// When `verify` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// As traffic flows: a spike has not been yet; only failures are shown.
    Traffic,
    /// After a spike: everything must be there, and is shown.
    AfterSpike,
}

impl Stage {
    /// For a summary that is not the last line.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Traffic => "as traffic flows",
            Self::AfterSpike => "after the spike",
        }
    }
}

/// How a run of `verify` ended.
pub(super) struct Verified {
    /// Its exit code.
    pub(super) code: u8,
    /// Its last line.
    pub(super) summary: String,
    /// When it ran.
    pub(super) stage: Stage,
}

/// A run of `verify` under way.
pub(super) type Verifying = tokio::task::JoinHandle<anyhow::Result<Verified>>;

/// The summary line, not the heading.
fn is_summary(line: &str) -> bool {
    line.starts_with("verify: ") && line.contains(" passed, ")
}

/// Runs `verify`, printing its checks as they end; its summary is returned for the caller to print.
pub(super) async fn verify(plan: Plan, stage: Stage) -> anyhow::Result<Verified> {
    let mut command = plan.command(&["verify".to_owned()])?;
    match stage {
        // `verify::SPIKE_VARIABLE`; `up` imports no sibling.
        Stage::Traffic => command.env("SIGNALBOX_VERIFY_SPIKE", "0"),
        Stage::AfterSpike => command.arg("--require-all"),
    };
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start verify")?;
    let stdout = child.stdout.take().context("verify has no stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut summary = "verify: 0 passed, 1 failed".to_owned();
    let reading = async {
        while let Some(line) = lines.next_line().await? {
            if is_summary(&line) {
                summary = line;
            } else if stage == Stage::AfterSpike || line.starts_with("FAIL") {
                println!("{line}");
            }
        }
        child.wait().await
    };
    let code = match tokio::time::timeout(VERIFY_WITHIN, reading).await {
        Ok(status) => End::from(status?).code(),
        Err(_) => {
            println!("FAIL  verify did not end within {VERIFY_WITHIN:?}");
            1
        }
    };
    Ok(Verified { code, summary, stage })
}

/// The end of a run of `verify`; never when none is under way.
pub(super) async fn finished(
    running: &mut Option<Verifying>,
) -> Result<anyhow::Result<Verified>, tokio::task::JoinError> {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}
