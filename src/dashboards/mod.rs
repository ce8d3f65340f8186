//! `signalbox dashboards`: dashboards and alert rules as code. Called by `main` and the tests that diff what is checked in.
//! Queries are built from `telemetry::names`, so a renamed metric cannot leave a dead panel. Nothing may ask a backend here.
//!
//! `boards/` says what is shown and asked, `queries` how to ask, `panel` how it looks, `board` where it stands, `model`
//! what Grafana reads.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

use crate::cli::DashboardsArgs;

mod alerts;
mod board;
mod boards;
mod foreign;
mod links;
mod model;
mod needs;
mod panel;
mod queries;

pub use model::Source;
pub use needs::Needs;
pub use queries::Query;

/// A file that is generated and checked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Path from the checkout's root.
    pub path: String,
    /// The whole text.
    pub contents: String,
}

/// A query of a panel, for those who run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelQuery {
    /// Name of the dashboard's file, without `.json`.
    pub dashboard: &'static str,
    /// Title of the panel.
    pub panel: &'static str,
    /// What is asked of whom.
    pub query: Query,
    /// What must run before it has an answer.
    pub needs: Needs,
}

/// Every generated file.
#[must_use]
pub fn files() -> Vec<Generated> {
    let mut files: Vec<Generated> = boards::all()
        .iter()
        .map(|board| Generated {
            path: format!("dashboards/{}.json", board.name),
            contents: format!("{:#}\n", sorted(serde_json::json!(board.dashboard()))),
        })
        .collect();
    files.extend(alerts::files());
    files
}

/// Every query of every panel.
#[must_use]
pub fn panel_queries() -> Vec<PanelQuery> {
    let boards = boards::all();
    let of_board = |board: &board::Board| {
        let dashboard = board.name;
        board
            .panels()
            .flat_map(move |panel| {
                let (title, needs) = (panel.title(), panel.needs);
                panel.queries.clone().into_iter().map(move |query| PanelQuery { dashboard, panel: title, query, needs })
            })
            .collect::<Vec<_>>()
    };
    boards.iter().flat_map(of_board).collect()
}

/// Keys in alphabetical order, whichever map the features of serde_json choose.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: std::collections::BTreeMap<_, _> = map.into_iter().collect();
            Value::Object(map.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
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
