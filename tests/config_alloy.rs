//! Alloy's configuration is the collector's pipeline in Alloy's words: same ports, same limits, same redaction, everything
//! connected. Structural, because Alloy cannot be had everywhere; `alloy validate` is asked where there is one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use signalbox::facts;

#[path = "support/collector_config.rs"]
#[allow(dead_code, reason = "only the files are read here")]
mod collector_config;
#[path = "support/programs.rs"]
mod programs;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/alloy/config.alloy")
}

/// The configuration without its comments.
fn code() -> String {
    let text = std::fs::read_to_string(path()).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Components that a reference needs and nobody defines; components that nobody refers to and that feed nobody.
fn loose_ends(code: &str) -> Vec<String> {
    let block = Regex::new(r#"(?m)^([a-z_.]+) "([a-z]+)" \{"#).unwrap();
    let defined = block.captures_iter(code).map(|c| format!("{}.{}", &c[1], &c[2])).collect::<BTreeSet<_>>();
    let reference =
        Regex::new(r"\b((?:otelcol|prometheus|discovery)[a-z_.]+)\.(?:input|receiver|handler|output|targets)\b")
            .unwrap();
    let used = reference.captures_iter(code).map(|c| c[1].to_owned()).collect::<BTreeSet<_>>();
    let source = |id: &&String| id.contains(".receiver.") || id.starts_with("prometheus.scrape");
    let undefined = used.difference(&defined).map(|id| format!("{id} is used and not defined"));
    let unused = defined.difference(&used).filter(|id| !source(id)).map(|id| format!("{id} is defined and not used"));
    undefined.chain(unused).collect()
}

#[test]
fn everything_is_connected_and_a_missing_connection_is_noticed() {
    let whole = code();
    assert_eq!(loose_ends(&whole), [""; 0]);
    for entry in [
        "otelcol.exporter.otlphttp.tempo.input",
        "otelcol.exporter.otlphttp.loki.input",
        "otelcol.connector.servicegraph.default.input",
        "prometheus.remote_write.mimir.receiver",
        "otelcol.processor.transform.clean.input",
    ] {
        assert_ne!(loose_ends(&whole.replace(entry, "")), [""; 0], "{entry} was taken away unnoticed");
    }
    let bare = Regex::new("`[^`]*`").unwrap().replace_all(&whole, "").into_owned();
    for (open, close) in [('{', '}'), ('[', ']')] {
        let count = |c| bare.matches(c).count();
        assert_eq!(count(open), count(close), "{open} and {close}");
    }
}

#[test]
fn it_listens_where_the_collector_listens() {
    for role in ["otlp-grpc", "otlp-http", "faro"] {
        let port = format!(r#"sys.env("SIGNALBOX_BIND") + ":{}""#, facts::port("collector", role));
        assert!(code().contains(&port), "{role}: no {port}");
    }
}

#[test]
fn limits_queues_and_redaction_are_the_collectors() {
    let (alloy, core) = (code(), collector_config::file("core"));
    let limit = |key: &str| format!("= \"{}MiB\"", core["processors"]["memory_limiter"][key]);
    let pattern = core["processors"]["attributes/secrets"]["actions"][0]["pattern"].as_str().unwrap().to_owned();
    let queue = &core["exporters"]["otlp_http/loki"]["sending_queue"];
    let expected = [
        (limit("limit_mib"), 1),
        (limit("spike_limit_mib"), 1),
        (format!("queue_size = {}", queue["queue_size"]), 2),
        (format!("max_size      = {}", queue["batch"]["max_size"]), 2),
        ("max_elapsed_time = \"0s\"".into(), 2),
        ("storage    = otelcol.storage.file.queue.handler".into(), 2),
        // Resource and span, resource and record, point; and the events of spans.
        (pattern, 6),
    ];
    for (text, times) in expected {
        assert_eq!(alloy.matches(&text).count(), times, "{text}");
    }
    let lgtm = collector_config::file("lgtm");
    for kind in ["trace_statements", "log_statements"] {
        for statement in lgtm["processors"]["transform/emails"][kind].as_array().unwrap() {
            let statement = statement.as_str().unwrap();
            assert!(alloy.contains(statement), "Alloy lacks {statement}");
        }
    }
    let buckets = lgtm["connectors"]["span_metrics"]["histogram"]["explicit"]["buckets"].as_array().unwrap();
    let buckets = buckets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    assert!(alloy.contains(&format!("buckets = [{buckets}]")), "buckets differ");
}

#[test]
fn alloy_accepts_it() {
    let Some(alloy) = programs::find("alloy") else {
        // Not `programs::not_run`: Alloy cannot be built from what a Go proxy serves.
        println!("not run: alloy (configs/alloy/config.alloy was checked by structure only)");
        return;
    };
    let state = tempfile::tempdir().unwrap();
    let mut command = Command::new(alloy);
    command.args(["validate", "--stability.level=experimental"]).arg(path());
    command.envs(facts::local_settings()).env("SIGNALBOX_STATE", state.path());
    programs::check(&mut command).unwrap();
}
