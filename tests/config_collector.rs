//! The collector's configuration keeps its promises: every combination of files goes where it says, loses nothing it can
//! keep, lets no secret pass, runs in ADOT where it must, and the collector itself accepts it (where there is one).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};
use signalbox::facts;

#[path = "support/collector_config.rs"]
mod collector_config;
#[path = "support/programs.rs"]
mod programs;

use collector_config::{Expect, components, file, folder, merge, merged, problems};

const OTLP: &[&str] = &["otlp"];
const METRICS_IN: &[&str] = &["otlp", "prometheus/self"];
const LOCAL_METRICS_IN: &[&str] = &["otlp", "prometheus/self", "prometheus/targets"];
const METRICS_OUT: &[&str] = &["prometheus_remote_write", "prometheus"];
const TEMPO: &[&str] = &["otlp_http/tempo"];
const LOKI: &[&str] = &["otlp_http/loki"];
const LGTM_IN: &[&str] = &["otlp", "faro"];
const LGTM_METRICS_IN: &[&str] = &["otlp", "prometheus/self", "prometheus/targets", "span_metrics", "service_graph"];

/// The combinations that are promised (configs/README.md).
const COMBINATIONS: &[Expect] = &[
    Expect {
        files: &["core", "local"],
        pipelines: &[("traces", OTLP, TEMPO), ("logs", OTLP, LOKI), ("metrics", LOCAL_METRICS_IN, METRICS_OUT)],
        emails: false,
        adot: true,
    },
    Expect {
        files: &["core", "local", "tail-sampling"],
        pipelines: &[("traces", OTLP, TEMPO), ("logs", OTLP, LOKI), ("metrics", LOCAL_METRICS_IN, METRICS_OUT)],
        emails: false,
        adot: true,
    },
    Expect {
        files: &["core", "lgtm"],
        pipelines: &[
            ("traces", LGTM_IN, TEMPO),
            ("traces/metrics", LGTM_IN, &["span_metrics", "service_graph"]),
            ("logs", LGTM_IN, LOKI),
            ("metrics", LGTM_METRICS_IN, METRICS_OUT),
            ("metrics/host", &["hostmetrics"], METRICS_OUT),
        ],
        emails: true,
        adot: false,
    },
    Expect {
        files: &["core", "lgtm", "tail-sampling", "lgtm-tail-sampling"],
        pipelines: &[
            ("traces", LGTM_IN, TEMPO),
            ("traces/metrics", LGTM_IN, &["span_metrics", "service_graph"]),
            ("logs", LGTM_IN, LOKI),
            ("metrics", LGTM_METRICS_IN, METRICS_OUT),
            ("metrics/host", &["hostmetrics"], METRICS_OUT),
        ],
        emails: true,
        adot: false,
    },
    Expect {
        files: &["core", "aws"],
        pipelines: &[
            ("traces", OTLP, &["awsxray"]),
            ("logs", OTLP, &["otlp_http/loki", "awscloudwatchlogs"]),
            ("metrics", METRICS_IN, METRICS_OUT),
        ],
        emails: false,
        adot: true,
    },
    Expect {
        files: &["core", "aws-local"],
        pipelines: &[
            ("traces", OTLP, &["awsxray", "otlp_http/tempo"]),
            ("logs", OTLP, LOKI),
            ("metrics", METRICS_IN, METRICS_OUT),
        ],
        emails: false,
        adot: true,
    },
];

#[test]
fn every_combination_keeps_every_promise() {
    for expect in COMBINATIONS {
        let wrong = problems(&merged(expect.files), expect);
        assert!(wrong.is_empty(), "{}:\n{}", expect.files.join(" + "), wrong.join("\n"));
    }
}

/// Every list entry of `service`, and these: without any one of them, a promise is broken.
const PRECIOUS: &[&str] = &[
    "/exporters/otlp_http~1loki",
    "/exporters/otlp_http~1loki/sending_queue",
    "/exporters/otlp_http~1loki/sending_queue/storage",
    "/exporters/otlp_http~1loki/sending_queue/batch",
    "/exporters/otlp_http~1loki/retry_on_failure/max_elapsed_time",
    "/exporters/prometheus_remote_write",
    "/exporters/prometheus_remote_write/timeout",
    "/exporters/prometheus_remote_write/retry_on_failure/max_elapsed_time",
    "/exporters/prometheus/enable_open_metrics",
    "/extensions/file_storage",
    "/extensions/health_check",
    "/processors/resource/attributes/1",
    "/processors/attributes~1secrets/actions/0",
    "/receivers/otlp/protocols/grpc",
    "/receivers/otlp/protocols/http",
    "/receivers/prometheus~1self",
    "/service/pipelines/traces",
    "/service/pipelines/logs",
    "/service/pipelines/metrics",
    "/service/telemetry/metrics/readers/0",
];

#[test]
fn nothing_can_be_taken_away_unnoticed() {
    let mut taken = 0;
    for expect in COMBINATIONS {
        let whole = merged(expect.files);
        let mut pointers = PRECIOUS.iter().map(|pointer| (*pointer).to_owned()).collect::<Vec<_>>();
        entries(&whole["service"], "/service", &mut pointers);
        let queues = whole["exporters"].as_object().unwrap().iter().filter(|(_, e)| e.get("sending_queue").is_some());
        pointers.extend(queues.map(|(id, _)| format!("/exporters/{}/sending_queue/storage", id.replace('/', "~1"))));
        for pointer in pointers {
            let mut less = whole.clone();
            take(&mut less, &pointer);
            assert_ne!(less, whole, "{:?} has no {pointer}", expect.files);
            assert!(!problems(&less, expect).is_empty(), "{:?}: {pointer} was taken away unnoticed", expect.files);
            taken += 1;
        }
    }
    println!("{taken} entries taken away, one at a time; each was noticed");
}

/// Pointers of all entries of lists below a value.
fn entries(value: &Value, at: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, v)| entries(v, &format!("{at}/{}", key.replace('/', "~1")), into))
        }
        Value::Array(list) => into.extend((0..list.len()).map(|index| format!("{at}/{index}"))),
        _ => {}
    }
}

fn take(config: &mut Value, pointer: &str) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(&last.replace("~1", "/"))),
        Some(Value::Array(list)) => drop(list.remove(last.parse::<usize>().unwrap())),
        _ => {}
    }
}

#[test]
fn files_merge_as_the_collector_merges_them() {
    let below = json!({ "a": { "x": 1, "list": [1, 2] }, "b": 1 });
    let above = json!({ "a": { "y": 2, "list": [3] }, "b": { "c": 1 } });
    let expected = json!({ "a": { "x": 1, "y": 2, "list": [3] }, "b": { "c": 1 } });
    assert_eq!(merge(below, above), expected);
}

#[test]
fn the_core_names_no_destination_so_that_no_list_is_replaced_by_accident() {
    for (name, pipeline) in file("core")["service"]["pipelines"].as_object().unwrap() {
        assert!(
            pipeline.get("exporters").is_none(),
            "core.yaml: {name} has exporters, which every destination replaces"
        );
    }
}

#[test]
fn what_stands_in_several_files_is_the_same() {
    let tempo = &file("local")["exporters"]["otlp_http/tempo"];
    let loki = &file("core")["exporters"]["otlp_http/loki"];
    for name in ["lgtm", "aws-local"] {
        assert_eq!(&file(name)["exporters"]["otlp_http/tempo"], tempo, "{name}");
    }
    assert_eq!(tempo["sending_queue"], loki["sending_queue"]);
    assert_eq!(tempo["retry_on_failure"], loki["retry_on_failure"]);
    let (aws, stand_in) = (file("aws"), file("aws-local"));
    for pointer in ["/extensions", "/exporters/prometheus_remote_write", "/exporters/awsxray", "/service/extensions"] {
        assert_eq!(aws.pointer(pointer), stand_in.pointer(pointer), "aws.yaml, aws-local.yaml: {pointer}");
    }
}

#[test]
fn sampling_keeps_errors_slow_traces_what_verify_sends_and_a_tenth() {
    let policies = &file("tail-sampling")["processors"]["tail_sampling"]["policies"];
    let kinds = policies.as_array().unwrap().iter().map(|p| p["type"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(kinds, ["status_code", "latency", "string_attribute", "probabilistic"]);
    assert_eq!(policies[0]["status_code"]["status_codes"], json!(["ERROR"]));
    assert_eq!(policies[2]["string_attribute"]["key"], signalbox::telemetry::names::attr::VERIFY_ID);
    assert_eq!(policies[3]["probabilistic"]["sampling_percentage"], 10);
}

fn config_files() -> Vec<PathBuf> {
    let alloy = folder().join("../alloy/config.alloy");
    std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).chain([alloy]).collect()
}

#[test]
fn every_variable_that_is_read_stands_in_every_environment_and_no_other_environment_is_read() {
    let named = Regex::new(r#"\$\{env:([A-Z0-9_]+)\}|sys\.env\("([A-Z0-9_]+)"\)"#).unwrap();
    let cluster = folder().join("../environments/cluster.env");
    let cluster = cluster.exists().then(|| dotenvy::from_path_iter(cluster).unwrap().map(|pair| pair.unwrap().0));
    let cluster = cluster.map(Iterator::collect::<BTreeSet<_>>);
    let loose = Regex::new(r"\$\{[A-Za-z]+\}|\$[A-Z]").unwrap();
    for path in config_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let code =
            text.lines().filter(|line| !line.trim_start().starts_with(['#', '/'])).collect::<Vec<_>>().join("\n");
        assert!(!loose.is_match(&code), "{}: write ${{env:NAME}}", path.display());
        for found in named.captures_iter(&code) {
            let name = found.get(1).or(found.get(2)).unwrap().as_str();
            assert!(facts::local_settings().contains_key(name), "{}: local.env lacks {name}", path.display());
            let there = cluster.as_ref().is_none_or(|cluster| cluster.contains(name));
            assert!(there, "{}: cluster.env lacks {name}", path.display());
        }
    }
}

/// The environment of local.env, with a state folder of its own and credentials that open nothing.
fn environment(command: &mut Command, state: &Path) {
    command.env_clear().envs(facts::local_settings()).env("SIGNALBOX_STATE", state);
    command.envs([
        ("AWS_ACCESS_KEY_ID", "none"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
}

#[test]
fn the_collector_accepts_every_combination() {
    let Some(otelcol) = programs::find("otelcol-contrib").or_else(|| programs::find_or_say("otelcol")) else { return };
    let state = tempfile::tempdir().unwrap();
    let known = programs::check(Command::new(&otelcol).arg("components")).unwrap();
    let known = Regex::new(r"(?m)name:\s*(\S+)")
        .unwrap()
        .captures_iter(&known)
        .map(|c| c[1].to_owned())
        .collect::<BTreeSet<_>>();
    for expect in COMBINATIONS {
        let missing = components(&merged(expect.files)).into_iter().map(|(_, name)| name);
        let missing = missing.filter(|name| !known.contains(name)).collect::<Vec<_>>();
        if !missing.is_empty() {
            // Not `programs::not_run`: no collector that can be built everywhere has these.
            println!("not run: {} (this collector has no {})", expect.files.join(" + "), missing.join(", "));
            continue;
        }
        let mut command = Command::new(&otelcol);
        environment(&mut command, state.path());
        command.arg("validate");
        for name in expect.files {
            command.arg("--config").arg(folder().join(format!("{name}.yaml")));
        }
        let said = programs::check(&mut command).unwrap();
        assert!(!said.contains("deprecated"), "{:?}: {said}", expect.files);
    }
}
