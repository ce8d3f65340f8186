//! `signalbox dashboards`: dashboards and alert rules as code. Called by `main` and the tests that diff what is checked in.
//! Queries are built from `telemetry::names`, so a renamed metric cannot leave a dead panel. Nothing may ask a backend here.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::DashboardsArgs;

mod alerts;

/// A file that is generated and checked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Path from the checkout's root.
    pub path: String,
    /// The whole text.
    pub contents: String,
}

/// Every generated file.
#[must_use]
pub fn files() -> Vec<Generated> {
    alerts::files()
}

/// Writes the files, or with `--check` names those that differ.
///
/// # Errors
/// When a file cannot be read or written.
pub fn run(args: &DashboardsArgs) -> anyhow::Result<ExitCode> {
    let mut differing = 0;
    for file in files() {
        let path = args.into.join(&file.path);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == file.contents) {
            continue;
        }
        differing += 1;
        if args.check {
            eprintln!("{} differs; `signalbox dashboards` writes it", file.path);
        } else {
            write(&path, &file.contents)?;
            println!("{}", file.path);
        }
    }
    Ok(if args.check && differing > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write(path: &Path, contents: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}
