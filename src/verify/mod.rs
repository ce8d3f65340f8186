//! Proves the contract.
use std::process::ExitCode;

use crate::cli::VerifyArgs;

/// Runs the subcommand.
///
/// # Errors
/// When it cannot start.
pub async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet: {args:?}")
}
