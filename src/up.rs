//! Runs everything.
use std::process::ExitCode;

use crate::cli::UpArgs;

/// Runs the subcommand.
///
/// # Errors
/// When it cannot start.
pub async fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet: {args:?}")
}
