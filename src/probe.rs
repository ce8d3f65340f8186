//! Health check for images without a shell.
use std::process::ExitCode;

use crate::cli::ProbeArgs;

/// Runs the subcommand.
///
/// # Errors
/// When it cannot start.
pub async fn run(args: ProbeArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet: {args:?}")
}
