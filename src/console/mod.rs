//! The embedded OTLP backend.
use std::process::ExitCode;

use crate::cli::ConsoleArgs;

/// Runs the subcommand.
///
/// # Errors
/// When it cannot start.
pub async fn run(args: ConsoleArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet: {args:?}")
}
