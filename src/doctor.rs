//! What this machine has and lacks.
use std::process::ExitCode;

use crate::cli::DoctorArgs;

/// Runs the subcommand.
///
/// # Errors
/// When it cannot start.
pub async fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet: {args:?}")
}
