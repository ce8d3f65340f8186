//! The dashboards checked in are the generated ones, pass a lint, and cover the contract: no metric of
//! `telemetry::names` without a panel, no panel with a metric that nobody emits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "dashboards")]

#[path = "support/panel_lint.rs"]
mod panel_lint;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use panel_lint::{panels, problems};
use serde_json::{Value, json};
use signalbox::dashboards::files;
use signalbox::telemetry::names::{self, Kind, METRICS, Metric};

/// Which dashboards must show which metric of the contract.
const COVERS: &[(&Metric, &[&str])] = &[
    (&names::HTTP_SERVER_REQUEST_DURATION, &["golden-signals", "routes", "load-test"]),
    (&names::HTTP_SERVER_ACTIVE_REQUESTS, &["golden-signals", "load-test"]),
    (&names::REQUEST_COUNT, &["golden-signals"]),
    (&names::HTTP_CLIENT_REQUEST_DURATION, &["routes", "load-test"]),
    (&names::DB_CLIENT_OPERATION_DURATION, &["routes"]),
    (&names::WORK_DURATION, &["routes"]),
    (&names::DICE_ROLLS, &["routes"]),
    (&names::LOG_GENERATOR_RECORDS, &["logs"]),
    (&names::ACTIVE_SIMULATED_USERS, &["load-test"]),
    (&names::PROCESS_CPU_TIME, &["resources"]),
    (&names::PROCESS_CPU_UTILIZATION, &["golden-signals", "resources", "load-test"]),
    (&names::PROCESS_MEMORY_USAGE, &["golden-signals", "resources"]),
    (&names::PROCESS_OPEN_FILE_DESCRIPTOR_COUNT, &["resources"]),
    (&names::PROCESS_UPTIME, &["resources"]),
    (&names::TOKIO_WORKERS, &["resources"]),
    (&names::TOKIO_ALIVE_TASKS, &["resources"]),
    (&names::TOKIO_GLOBAL_QUEUE_DEPTH, &["resources"]),
    (&names::SDK_PROCESSOR_SPAN_QUEUE_SIZE, &["pipeline"]),
    (&names::SDK_PROCESSOR_SPAN_QUEUE_CAPACITY, &["pipeline"]),
    (&names::SDK_PROCESSOR_SPAN_PROCESSED, &["pipeline"]),
    (&names::SDK_EXPORTER_SPAN_EXPORTED, &["pipeline"]),
    (&names::SDK_PROCESSOR_LOG_QUEUE_SIZE, &["pipeline"]),
    (&names::SDK_PROCESSOR_LOG_QUEUE_CAPACITY, &["pipeline"]),
    (&names::SDK_PROCESSOR_LOG_PROCESSED, &["pipeline"]),
    (&names::SDK_EXPORTER_LOG_EXPORTED, &["pipeline"]),
    (&names::SDK_EXPORTER_METRIC_EXPORTED, &["pipeline"]),
];

/// How the names begin that others emit (src/dashboards/foreign.rs has each whole).
const FOREIGN: &[&str] = &[
    "otelcol_",
    "node_",
    "system_",
    "traces_span_metrics_",
    "slo:",
    "sloth_slo_info",
    "ALERTS",
    "up",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
];

/// Words of PromQL that are no metrics.
const WORDS: &[&str] =
    &["sum", "min", "max", "avg", "count", "rate", "histogram_quantile", "or", "vector", "by", "on", "group_left"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The dashboards as they lie on disk, by name.
fn dashboards() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        found.push((name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

fn values(dashboards: &[(String, Value)]) -> Vec<Value> {
    dashboards.iter().map(|(_, value)| value.clone()).collect()
}

#[test]
fn the_files_checked_in_are_the_generated_ones() {
    let fix = "run `just dashboards` (cargo run -- dashboards)";
    for file in files() {
        let on_disk = fs::read_to_string(root().join(&file.path)).unwrap_or_default();
        assert!(on_disk == file.contents, "{} differs from its source: {fix}", file.path);
        assert!(
            file.contents.ends_with("}\n") || !file.path.ends_with(".json"),
            "{} ends without a newline",
            file.path
        );
    }
    let generated: BTreeSet<String> = files().into_iter().map(|file| file.path).collect();
    for (name, _) in dashboards() {
        assert!(
            generated.contains(&format!("dashboards/{name}.json")),
            "nothing generates dashboards/{name}.json: remove it"
        );
    }
}

#[test]
fn every_panel_passes_the_lint() {
    let problems = problems(&values(&dashboards()));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A mistake: its name, what makes it, and what the lint must say.
type Mistake = (&'static str, fn(&mut Value), &'static str);

const MISTAKES: &[Mistake] = &[
    ("no unit", |panel| panel["fieldConfig"]["defaults"]["unit"] = json!(""), "has no unit"),
    ("no description", |panel| panel["description"] = json!(""), "has no description"),
    ("no title", |panel| panel["title"] = json!(""), "has no title"),
    ("no thresholds", |panel| panel["fieldConfig"]["defaults"]["thresholds"]["steps"] = json!([]), "has no thresholds"),
    ("unknown datasource", |panel| panel["targets"][0]["datasource"]["uid"] = json!("prom"), "unknown datasource"),
    ("wrong plugin", |panel| panel["targets"][0]["datasource"]["type"] = json!("loki"), "unknown datasource"),
    ("other datasource", |panel| panel["datasource"]["uid"] = json!("logs"), "its queries ask"),
    ("fixed window", |panel| panel["targets"][0]["expr"] = json!("rate(x[5m])"), "has the window [5m]"),
    ("empty query", |panel| panel["targets"][0]["expr"] = json!(""), "has an empty query"),
    ("no query", |panel| panel["targets"] = json!([]), "asks nothing"),
    ("undefined variable", |panel| panel["targets"][0]["expr"] = json!("x{a=\"$nobody\"}"), "uses $nobody"),
    ("same id", |panel| panel["id"] = json!(2), "share an id"),
    ("overlap", |panel| panel["gridPos"]["h"] = json!(40), "lies on another panel"),
    ("too wide", |panel| panel["gridPos"]["w"] = json!(25), "does not fit"),
    (
        "dead link",
        |panel| panel["fieldConfig"]["defaults"]["links"] = json!([{ "url": "/d/signalbox-gone?x" }]),
        "links to the dashboard signalbox-gone",
    ),
];

#[test]
fn the_lint_sees_every_kind_of_mistake() {
    let dashboards = values(&dashboards());
    for (name, make, expected) in MISTAKES {
        let mut changed = dashboards.clone();
        let golden = changed.iter_mut().find(|dashboard| dashboard["uid"] == "signalbox-golden-signals").unwrap();
        make(&mut golden["panels"][0]);
        let found = problems(&changed);
        assert!(
            found.iter().any(|problem| problem.contains(expected)),
            "{name}: expected {expected:?}, got {found:#?}"
        );
    }
    let mut orphan = dashboards.clone();
    orphan[0]["templating"]["list"].as_array_mut().unwrap().push(json!({ "name": "orphan", "type": "custom" }));
    assert!(problems(&orphan).iter().any(|problem| problem.contains("orphan, which nothing uses")));
}

/// Names of metrics in a PromQL expression: what is left without strings, selectors, windows and lists of labels.
fn metrics_in(expr: &str) -> BTreeSet<String> {
    let mut left = String::new();
    let (mut depth, mut quoted) = (0_i32, false);
    for c in expr.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => {
                depth -= 1;
                left.push(' ');
            }
            c if !quoted && depth == 0 => left.push(c),
            _ => {}
        }
    }
    for list in ["by (", "on (", "on("] {
        while let Some(start) = left.find(list) {
            let end = start + left[start..].find(')').unwrap();
            left.replace_range(start..=end, " ");
        }
    }
    left.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()) && !WORDS.contains(word))
        .map(ToOwned::to_owned)
        .collect()
}

/// Names of metrics that the panels of a dashboard ask for.
fn asked(dashboard: &Value) -> BTreeSet<String> {
    let targets = panels(dashboard).iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    targets
        .filter(|target| target["datasource"]["uid"] == "metrics")
        .flat_map(|target| metrics_in(target["expr"].as_str().unwrap_or_default()))
        .collect()
}

/// Series of a metric as panels may ask for them.
fn series(metric: &Metric) -> Vec<String> {
    let name = metric.prometheus_name();
    match metric.kind {
        Kind::Histogram => ["_bucket", "_count", "_sum"].map(|suffix| format!("{name}{suffix}")).into(),
        _ => vec![name],
    }
}

/// What is missing of the contract, and what nobody emits.
fn uncovered(dashboards: &[(String, Value)]) -> Vec<String> {
    let mut problems = Vec::new();
    let ours: BTreeSet<String> = METRICS.iter().flat_map(series).collect();
    for (name, dashboard) in dashboards {
        let asked = asked(dashboard);
        for (metric, boards) in COVERS {
            if boards.contains(&name.as_str()) && !series(metric).iter().any(|series| asked.contains(series)) {
                problems.push(format!("no panel of {name} shows {}", metric.name));
            }
        }
        for metric in asked.iter().filter(|metric| !ours.contains(*metric)) {
            let foreign =
                FOREIGN.iter().any(|known| metric == known || known.ends_with(['_', ':']) && metric.starts_with(known));
            if !foreign {
                problems.push(format!("{name} asks for {metric}, which nobody emits"));
            }
        }
    }
    problems
}

#[test]
fn every_metric_of_the_contract_has_its_panels_and_no_panel_asks_for_one_that_nobody_emits() {
    for metric in METRICS {
        assert!(
            COVERS.iter().any(|(covered, _)| covered == &metric),
            "{} has no row in COVERS: say which dashboard shows it",
            metric.name
        );
    }
    let problems = uncovered(&dashboards());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn removing_or_renaming_the_metric_of_any_panel_is_seen() {
    let dashboards = dashboards();
    for (metric, boards) in COVERS {
        for board in *boards {
            let at = dashboards.iter().position(|(name, _)| name == board).unwrap();
            let mut renamed = dashboards.clone();
            let text = renamed[at].1.to_string().replace(&metric.prometheus_name(), "renamed_metric");
            renamed[at].1 = serde_json::from_str(&text).unwrap();
            let found = uncovered(&renamed);
            assert!(
                found.iter().any(|problem| problem.contains(metric.name)),
                "{} renamed in {board}: unseen",
                metric.name
            );
            assert!(
                found.iter().any(|problem| problem.contains("renamed_metric")),
                "{} renamed in {board}: unseen",
                metric.name
            );

            let mut removed = dashboards.clone();
            removed[at].1["panels"].as_array_mut().unwrap().retain(|panel| {
                let targets = panel["targets"].to_string();
                !series(metric).iter().any(|series| targets.contains(series.as_str()))
            });
            let found = uncovered(&removed);
            assert!(
                found.iter().any(|problem| problem.contains(metric.name)),
                "{} removed from {board}: unseen",
                metric.name
            );
        }
    }
}

#[test]
fn the_two_kinds_of_simulated_users_are_never_summed() {
    let name = names::ACTIVE_SIMULATED_USERS.prometheus_name();
    for (board, dashboard) in dashboards() {
        for expr in panels(&dashboard).iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default())
        {
            let expr = expr["expr"].as_str().unwrap_or_default();
            let one = [names::SERVICE_APP, names::SERVICE_LOAD]
                .iter()
                .any(|service| expr.contains(&format!("{name}{{job=\"{service}\"}}")));
            assert!(!expr.contains(&name) || one, "{board} sums the users of two services: {expr}");
        }
    }
}
