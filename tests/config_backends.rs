//! The configs of Prometheus, Loki, Tempo, Mimir and Pyroscope say what the stack relies on, and pass their program's own
//! check where the program can be had.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/yaml.rs"]
mod yaml;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml_ng::Value;
use signalbox::facts;
use yaml::{Rule, problems, read, text, unseen};

const fn rule(path: &'static str, is: &'static str, lost: &'static str) -> Rule {
    Rule { path, is, lost }
}

const BIND: &str = "listens where it was not asked to";
const GRPC: &str = "its internal gRPC is open, or clashes with another's";
const HOME: &str = "calls home";
const LOOP: &str = "sends its own traces into the stack it serves";
const EXEMPLARS: &str = "exemplars are dropped";
const LATE: &str = "what the collector kept over an outage is refused";
const DISK: &str = "the disk fills";
const ETH0: &str = "does not start where there is no eth0";

const PROMETHEUS: &[Rule] = &[
    rule("rule_files", "[rules/*.yaml]", "no alerts"),
    rule("storage/tsdb/out_of_order_time_window", "1h", LATE),
    rule("storage/exemplars/max_exemplars", "100000", EXEMPLARS),
    rule("global/evaluation_interval", "15s", "alerts fire late"),
];

const LOKI: &[Rule] = &[
    rule("server/http_listen_address", "${SIGNALBOX_BIND}", BIND),
    rule("server/grpc_listen_address", "127.0.0.1", GRPC),
    rule("common/replication_factor", "1", "waits for replicas that do not exist"),
    rule("common/instance_addr", "127.0.0.1", ETH0),
    rule("common/ring/instance_addr", "127.0.0.1", ETH0),
    rule("common/ring/kvstore/store", "inmemory", "gossips on every interface"),
    rule("ingester/lifecycler/min_ready_duration", "0s", "ready 15 s late"),
    rule("pattern_ingester/lifecycler/min_ready_duration", "0s", "ready 15 s late"),
    rule("frontend/scheduler_dns_lookup_period", "1s", "ready 10 s late"),
    rule("schema_config/configs/0/store", "tsdb", "structured metadata is refused"),
    rule("schema_config/configs/0/schema", "v13", "structured metadata is refused"),
    rule("schema_config/configs/0/object_store", "${LOKI_STORAGE:-filesystem}", "S3 cannot be chosen"),
    rule("storage_config/filesystem/directory", "${SIGNALBOX_STATE}/loki/chunks", "nowhere to store"),
    rule("storage_config/aws/bucketnames", "${LOKI_S3_BUCKET:-signalbox-loki}", "S3 cannot be chosen"),
    rule("storage_config/aws/s3forcepathstyle", "true", "a stand-in's bucket is looked up as a host"),
    rule("compactor/retention_enabled", "true", DISK),
    rule("compactor/delete_request_store", "${LOKI_STORAGE:-filesystem}", "does not start with retention"),
    rule("limits_config/retention_period", "${LOKI_RETENTION:-168h}", DISK),
    rule("limits_config/allow_structured_metadata", "true", "trace ids are refused"),
    rule("limits_config/per_stream_rate_limit", "5MB", "one stream starves the others"),
    rule("limits_config/reject_old_samples_max_age", "24h", LATE),
    rule("limits_config/otlp_config/resource_attributes/ignore_defaults", "true", "a new stream at every start"),
    rule(
        "limits_config/otlp_config/resource_attributes/attributes_config/0/attributes",
        "[service.name, service.namespace, deployment.environment.name]",
        "dashboards find no service_name",
    ),
    rule("analytics/reporting_enabled", "false", HOME),
    rule("tracing/enabled", "false", LOOP),
];

const TEMPO: &[Rule] = &[
    rule("server/http_listen_address", "${SIGNALBOX_BIND}", BIND),
    rule("server/grpc_listen_address", "127.0.0.1", GRPC),
    rule("distributor/receivers/otlp/protocols/grpc/endpoint", "${SIGNALBOX_BIND}:4417", "no traces"),
    rule("distributor/receivers/otlp/protocols/http/endpoint", "${SIGNALBOX_BIND}:4418", "no traces"),
    rule("storage/trace/backend", "${TEMPO_STORAGE:-local}", "S3 cannot be chosen"),
    rule("storage/trace/local/path", "${SIGNALBOX_STATE}/tempo/blocks", "nowhere to store"),
    rule("storage/trace/wal/path", "${SIGNALBOX_STATE}/tempo/wal", "writes outside its folder"),
    rule("storage/trace/s3/bucket", "${TEMPO_S3_BUCKET:-signalbox-tempo}", "S3 cannot be chosen"),
    rule("query_frontend/query_end_cutoff", "0s", "a search leaves the last 30 s out"),
    rule("live_store/wal/path", "${SIGNALBOX_STATE}/tempo/live-store", "3.0 writes to /var/tempo"),
    rule("live_store/shutdown_marker_dir", "${SIGNALBOX_STATE}/tempo/shutdown-marker", "3.0 writes to /var/tempo"),
    rule("live_store/max_trace_idle", "1s", "more traces are lost with a kill -9"),
    rule("backend_scheduler/local_work_path", "${SIGNALBOX_STATE}/tempo/scheduler", "3.0 writes to /var/tempo"),
    rule("backend_worker/finish_on_shutdown_timeout", "5s", "3.0 is killed before it has stopped"),
    rule("overrides/defaults/compaction/block_retention", "${TEMPO_RETENTION:-168h}", DISK),
    rule("usage_report/reporting_enabled", "false", HOME),
];

const GENERATOR: &[Rule] = &[
    rule("metrics_generator/storage/remote_write/0/url", "${METRICS_WRITE_URL}", "span metrics go nowhere"),
    rule("metrics_generator/storage/remote_write/0/send_exemplars", "true", EXEMPLARS),
    rule("overrides/defaults/metrics_generator/processors", "[service-graphs, span-metrics]", "no service graph"),
];

const MIMIR: &[Rule] = &[
    rule("server/http_listen_address", "${SIGNALBOX_BIND}", BIND),
    rule("server/grpc_listen_address", "127.0.0.1", GRPC),
    rule("multitenancy_enabled", "false", "every request without a tenant is refused"),
    rule("limits/max_global_exemplars_per_user", "100000", EXEMPLARS),
    rule("limits/out_of_order_time_window", "1h", LATE),
    rule("limits/compactor_blocks_retention_period", "${MIMIR_RETENTION:-7d}", DISK),
    rule("common/storage/backend", "${MIMIR_STORAGE:-filesystem}", "S3 cannot be chosen"),
    rule("ruler_storage/backend", "local", "no alerts"),
    rule("ruler_storage/local/directory", "${SIGNALBOX_CONFIGS}/mimir/rules", "no alerts"),
    rule("ingester/ring/replication_factor", "1", "waits for replicas that do not exist"),
    rule("store_gateway/sharding_ring/replication_factor", "1", "waits for replicas that do not exist"),
    rule("ingester/ring/min_ready_duration", "1s", "ready 15 s late"),
    rule("usage_stats/enabled", "false", HOME),
];

const PYROSCOPE: &[Rule] = &[
    rule("server/http_listen_address", "${SIGNALBOX_BIND}", BIND),
    rule("server/grpc_listen_address", "127.0.0.1", GRPC),
    rule("architecture_storage", "v2", "no heat map of spans"),
    rule("storage/backend", "${PYROSCOPE_STORAGE:-filesystem}", "S3 cannot be chosen"),
    rule("storage/filesystem/dir", "${SIGNALBOX_STATE}/pyroscope/shared", "writes outside its folder"),
    rule("metastore/data_dir", "${SIGNALBOX_STATE}/pyroscope/metastore/data", "writes outside its folder"),
    rule("metastore/raft/dir", "${SIGNALBOX_STATE}/pyroscope/metastore/raft", "writes outside its folder"),
    rule("memberlist/bind_addr", "[127.0.0.1]", BIND),
    rule("segment_writer/lifecycler/address", "127.0.0.1", "advertises an address where nobody listens"),
    rule("limits/retention_period", "${PYROSCOPE_RETENTION:-7d}", DISK),
    rule("self_profiling/disable_push", "true", "its own profiles outnumber the service's"),
    rule("analytics/reporting_enabled", "false", HOME),
    rule("tracing/enabled", "false", LOOP),
];

/// Every config with what it must hold.
const CONFIGS: &[(&str, &[&[Rule]])] = &[
    ("configs/prometheus/prometheus.yaml", &[PROMETHEUS]),
    ("configs/loki/loki.yaml", &[LOKI]),
    ("configs/tempo/tempo.yaml", &[TEMPO]),
    ("configs/tempo/metrics-generator.yaml", &[TEMPO, GENERATOR]),
    ("configs/mimir/mimir.yaml", &[MIMIR]),
    ("configs/pyroscope/pyroscope.yaml", &[PYROSCOPE]),
];

fn all_problems(config: &Value, rules: &[&[Rule]]) -> Vec<String> {
    rules.iter().flat_map(|rules| problems(config, rules)).collect()
}

#[test]
fn every_config_holds_what_the_stack_relies_on() {
    for (file, rules) in CONFIGS {
        let found = all_problems(&read(file), rules);
        assert!(found.is_empty(), "{file}:\n{}", found.join("\n"));
    }
}

#[test]
fn a_guarded_value_that_is_removed_is_missed() {
    for (file, rules) in CONFIGS {
        let paths = rules.iter().flat_map(|rules| rules.iter()).map(|rule| rule.path);
        let unseen = unseen(&read(file), paths, |broken| all_problems(broken, rules));
        assert!(unseen.is_empty(), "{file}: nobody misses {unseen:?}");
    }
}

/// Every `kvstore` and every address of a ring, however deep.
fn rings(value: &Value, found: &mut Vec<String>) {
    let Value::Mapping(map) = value else { return };
    for (key, value) in map {
        if key.as_str() == Some("kvstore") && value.get("store").and_then(Value::as_str) != Some("inmemory") {
            found.push(format!("{value:?}"));
        }
        rings(value, found);
    }
}

#[test]
fn no_ring_gossips_on_every_interface() {
    for file in ["configs/loki/loki.yaml", "configs/mimir/mimir.yaml"] {
        let mut found = Vec::new();
        rings(&read(file), &mut found);
        assert!(found.is_empty(), "{file}: {found:?}");
    }
    let mut found = Vec::new();
    rings(&serde_yaml_ng::from_str("{ a: { kvstore: { store: memberlist } } }").unwrap(), &mut found);
    assert_eq!(found.len(), 1, "the check sees one that does");
}

#[test]
fn tempos_shared_file_has_no_block_that_only_one_version_knows() {
    let old = ["ingester", "ingester_client", "compactor", "metrics_generator_client"];
    let new = ["memory", "live_store/block_reclaim_grace"];
    for file in ["configs/tempo/tempo.yaml", "configs/tempo/metrics-generator.yaml"] {
        let config = read(file);
        for block in old.iter().chain(&new) {
            assert!(yaml::get(&config, block).is_none(), "{file}: `{block}` is not in both 2.10 and 3.0");
        }
    }
}

#[test]
fn tempo_with_the_metrics_generator_is_tempo_plus_two_blocks() {
    let mut with = read("configs/tempo/metrics-generator.yaml");
    yaml::remove(&mut with, "metrics_generator");
    yaml::remove(&mut with, "overrides/defaults/metrics_generator");
    assert_eq!(with, read("configs/tempo/tempo.yaml"), "the two files drifted apart");
    // Comments are not data; a reason written in one file belongs in both.
    let body = |file| text(file).split_once("server:\n").unwrap().1.to_owned();
    assert!(body("configs/tempo/metrics-generator.yaml").starts_with(&body("configs/tempo/tempo.yaml")));
}

#[test]
fn prometheus_knows_no_address() {
    let config = read("configs/prometheus/prometheus.yaml");
    for block in ["scrape_configs", "remote_write", "remote_read", "alerting"] {
        assert!(config.get(block).is_none(), "`{block}` needs an address, and Prometheus expands no variables");
    }
}

#[test]
fn the_pulling_prometheus_asks_the_collectors_pull_port() {
    let config = read("configs/prometheus/pull.yaml");
    let targets = yaml::get(&config, "scrape_configs/0/static_configs/0/targets/0").and_then(Value::as_str);
    assert_eq!(targets, Some(format!("127.0.0.1:{}", facts::port("collector", "pull")).as_str()));
    assert_eq!(yaml::get(&config, "scrape_configs/0/honor_labels"), Some(&Value::Bool(true)));
}

#[test]
fn mimir_evaluates_the_rules_of_prometheus() {
    let link = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mimir/rules/anonymous");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/prometheus/rules");
    assert_eq!(std::fs::read_link(&link).unwrap(), PathBuf::from("../../prometheus/rules"));
    // Mimir takes every file of the folder for rules.
    for entry in std::fs::read_dir(&rules).into_iter().flatten() {
        let path = entry.unwrap().path();
        assert!(path.extension().is_some_and(|e| e == "yaml"), "{}: Mimir would read it as rules", path.display());
    }
}

#[test]
fn tempo_and_mimir_do_not_trace_themselves_into_the_stack() {
    // They have no setting for it: the environment says it, and OTEL_EXPORTER_OTLP_ENDPOINT is in everybody's.
    for (file, program) in [("configs/processes/core.yaml", "tempo"), ("configs/processes/lgtm.yaml", "mimir")] {
        let config = read(file);
        let environment = yaml::get(&config, &format!("processes/{program}/environment"));
        let environment = environment.and_then(Value::as_sequence).cloned().unwrap_or_default();
        assert!(environment.contains(&"OTEL_TRACES_EXPORTER=none".into()), "{file}: {program}");
    }
}

/// Every folder of data that a config names, however deep.
fn folders(value: &Value) -> Vec<&str> {
    match value {
        Value::Mapping(map) => map.values().flat_map(folders).collect(),
        Value::String(text) if text.starts_with("${SIGNALBOX_STATE}/") => vec![text],
        _ => Vec::new(),
    }
}

#[test]
fn no_folder_of_data_lies_in_another_or_in_another_programs() {
    // Mimir refuses to start when two of its folders overlap; the others would mix their files.
    for (file, _) in CONFIGS.iter().filter(|(file, _)| !file.contains("loki")) {
        let program = file.split('/').nth(1).unwrap();
        let (config, inside) = (read(file), |one: &str, other: &str| one.starts_with(&format!("{other}/")));
        for (at, one) in folders(&config).iter().enumerate() {
            assert!(one.starts_with(&format!("${{SIGNALBOX_STATE}}/{program}/")), "{file}: {one}");
            for other in &folders(&config)[at + 1..] {
                assert!(one != other && !inside(one, other) && !inside(other, one), "{file}: {one} and {other}");
            }
        }
    }
}

/// The environment of one machine, with data in a folder of the test's own.
fn environment(command: &mut Command, state: &Path) {
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().envs(facts::local_settings());
    command.env("SIGNALBOX_STATE", state);
}

#[test]
fn loki_accepts_its_config_on_disk_and_on_s3() {
    let Some(loki) = programs::find_or_say("loki") else { return };
    for storage in ["filesystem", "s3"] {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new(&loki);
        command.args(["-config.file=configs/loki/loki.yaml", "-config.expand-env=true", "-verify-config"]);
        environment(&mut command, state.path());
        programs::check(command.env("LOKI_STORAGE", storage)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn promtool_accepts_both_configs_of_prometheus() {
    let Some(promtool) = programs::find_or_say("promtool") else { return };
    for file in ["configs/prometheus/prometheus.yaml", "configs/prometheus/pull.yaml"] {
        let mut command = Command::new(&promtool);
        command.args(["check", "config", file]).current_dir(env!("CARGO_MANIFEST_DIR"));
        programs::check(&mut command).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn tempo_accepts_its_config_where_it_can_be_had() {
    // Not built by `just backends`: its missing is no failure even where everything is required.
    let Some(tempo) = programs::find("tempo") else { return println!("not run: tempo (cannot be had here)") };
    for file in ["configs/tempo/tempo.yaml", "configs/tempo/metrics-generator.yaml"] {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new(&tempo);
        command.args([&format!("-config.file={file}"), "-config.expand-env=true", "-config.verify=true"]);
        environment(&mut command, state.path());
        programs::check(&mut command).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn mimir_and_pyroscope_are_checked_by_structure_only() {
    for program in ["mimir", "pyroscope"] {
        println!("not run: {program} (cannot be had here; it has no check of a config without a start)");
    }
}
