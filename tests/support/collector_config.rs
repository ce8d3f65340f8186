//! The collector's configuration as data: merged as the collector merges it, and judged by a pure function that says what is
//! wrong. Included by `config_collector`; no file of the configuration may be named here but through [`merged`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use regex::Regex;
use serde_json::{Map, Value, json};
use signalbox::facts;

/// What a combination of files must amount to.
pub(crate) struct Expect {
    /// Names of the files in configs/collector, in the order of `--config`.
    pub(crate) files: &'static [&'static str],
    /// Pipeline, what feeds it, where it goes: complete lists.
    pub(crate) pipelines: &'static [(&'static str, &'static [&'static str], &'static [&'static str])],
    /// Whether e-mail addresses are redacted.
    pub(crate) emails: bool,
    /// Whether every component must be one that ADOT ships.
    pub(crate) adot: bool,
}

/// Folder of the collector's files.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/collector")
}

/// One file as data.
pub(crate) fn file(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
    serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{name}.yaml: {error}"))
}

/// Several files as the collector merges them.
pub(crate) fn merged(files: &[&str]) -> Value {
    files.iter().fold(Value::Null, |below, name| merge(below, file(name)))
}

/// Maps merge deep; everything else, lists too, is replaced.
pub(crate) fn merge(below: Value, above: Value) -> Value {
    match (below, above) {
        (Value::Object(mut below), Value::Object(above)) => {
            for (key, value) in above {
                let old = below.remove(&key).unwrap_or_default();
                below.insert(key, merge(old, value));
            }
            Value::Object(below)
        }
        (_, above) => above,
    }
}

/// What is wrong with a merged configuration.
pub(crate) fn problems(config: &Value, expect: &Expect) -> Vec<String> {
    let mut wrong = Vec::new();
    references(config, &mut wrong);
    pipelines(config, expect, &mut wrong);
    exporters(config, &mut wrong);
    secrets(config, &mut wrong);
    ports(config, &mut wrong);
    if expect.adot {
        let foreign = components(config).into_iter().filter(|(kind, name)| !adot(kind).contains(&name.as_str()));
        wrong.extend(foreign.map(|(kind, name)| format!("{kind}: ADOT has no `{name}`")));
    }
    wrong
}

fn map<'a>(value: &'a Value, pointer: &str) -> &'a Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.pointer(pointer).and_then(Value::as_object).unwrap_or(&EMPTY)
}

fn names(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Type of a component: `otlp_http` of `otlp_http/loki`.
fn kind_of(id: &str) -> &str {
    id.split('/').next().unwrap_or(id)
}

/// Kind and type of every component.
pub(crate) fn components(config: &Value) -> BTreeSet<(&'static str, String)> {
    let of = |kind: &'static str| map(config, &format!("/{kind}")).keys().map(move |id| (kind, kind_of(id).to_owned()));
    ["extensions", "receivers", "processors", "connectors", "exporters"].into_iter().flat_map(of).collect()
}

/// Everything named is defined, everything defined is named.
fn references(config: &Value, wrong: &mut Vec<String>) {
    let pipelines = map(config, "/service/pipelines");
    let used = |role: &str| pipelines.values().flat_map(|p| names(p.get(role))).collect::<BTreeSet<_>>();
    let defined = |kind: &str| map(config, &format!("/{kind}")).keys().map(String::as_str).collect::<BTreeSet<_>>();
    let connectors = defined("connectors");
    let extensions = names(config.pointer("/service/extensions")).into_iter().collect::<BTreeSet<_>>();
    let mut compare = |role: &str, used: &BTreeSet<&str>, defined: &BTreeSet<&str>| {
        wrong.extend(used.difference(defined).map(|id| format!("{role}: `{id}` is used and not defined")));
        wrong.extend(defined.difference(used).map(|id| format!("{role}: `{id}` is defined and not used")));
    };
    compare("extensions", &extensions, &defined("extensions"));
    compare("processors", &used("processors"), &defined("processors"));
    for role in ["receivers", "exporters"] {
        compare(role, &used(role), &defined(role).union(&connectors).copied().collect());
    }
}

fn pipelines(config: &Value, expect: &Expect, wrong: &mut Vec<String>) {
    let pipelines = map(config, "/service/pipelines");
    let expected = expect.pipelines.iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>();
    let found = pipelines.keys().map(String::as_str).collect::<BTreeSet<_>>();
    if found != expected {
        wrong.push(format!("pipelines are {found:?}, not {expected:?}"));
    }
    for (name, receivers, exporters) in expect.pipelines {
        let Some(pipeline) = pipelines.get(*name) else { continue };
        for (role, expected) in [("receivers", receivers), ("exporters", exporters)] {
            let found = names(pipeline.get(role));
            if found != **expected {
                wrong.push(format!("{name}: {role} are {found:?}, not {expected:?}"));
            }
        }
        let steps = names(pipeline.get("processors"));
        let mut needs = |step: &str| {
            if !steps.contains(&step) {
                wrong.push(format!("{name}: no `{step}`"));
            }
        };
        needs("resource");
        // Metrics that the collector reads off its own host hold nobody's attributes.
        if !receivers.contains(&"hostmetrics") {
            needs("attributes/secrets");
        }
        if expect.emails && !name.starts_with("metrics") {
            needs("transform/emails");
        }
        if steps.first() != Some(&"memory_limiter") {
            wrong.push(format!("{name}: `memory_limiter` does not come first"));
        }
        // Behind the queue on disk for traces and logs; last for metrics, whose exporter cannot batch.
        if (steps.last() == Some(&"batch")) != name.starts_with("metrics") {
            wrong.push(format!("{name}: `batch` is for metrics only, as the last step"));
        }
    }
}

/// Never gives up, never forgets.
fn exporters(config: &Value, wrong: &mut Vec<String>) {
    for (id, exporter) in map(config, "/exporters") {
        let kind = kind_of(id);
        let queued = ["otlp_http", "otlp_grpc", "awscloudwatchlogs"].contains(&kind);
        let written = kind == "prometheus_remote_write";
        if (queued || written) && exporter.pointer("/retry_on_failure/max_elapsed_time") != Some(&"0s".into()) {
            wrong.push(format!("{id}: retry_on_failure.max_elapsed_time is not 0s"));
        }
        if queued {
            match exporter.pointer("/sending_queue/storage").and_then(Value::as_str) {
                Some(store) if names(config.pointer("/service/extensions")).contains(&store) => {}
                store => wrong.push(format!("{id}: sending_queue.storage is {store:?}, no extension in service")),
            }
            if exporter.pointer("/sending_queue/batch/max_size").is_none() {
                wrong.push(format!("{id}: no sending_queue.batch.max_size"));
            }
        }
        if written && exporter.get("timeout") != Some(&"300s".into()) {
            wrong.push(format!("{id}: timeout ends the retries and must be 300s"));
        }
        if kind == "prometheus" && exporter.get("enable_open_metrics") != Some(&true.into()) {
            wrong.push(format!("{id}: no exemplars without enable_open_metrics"));
        }
    }
}

/// Keys that must not pass, and some that must.
const SECRET: &[&str] = &[
    "authorization",
    "Authorization",
    "cookie",
    "set-cookie",
    "http.request.header.authorization",
    "http.request.header.cookie",
    "http.response.header.set-cookie",
    "http.request.header.set_cookie",
    "http.request.header.proxy-authorization",
    "rpc.request.metadata.authorization",
];
const HARMLESS: &[&str] = &["http.route", "authorization.decision", "cookies_accepted", "url.path"];

fn secrets(config: &Value, wrong: &mut Vec<String>) {
    for pointer in ["/processors/resource/attributes", "/processors/attributes~1secrets/actions"] {
        let actions = config.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        let patterns =
            actions.filter(|action| action["action"] == "delete").filter_map(|action| action["pattern"].as_str());
        let patterns = patterns.collect::<Vec<_>>();
        let deleted = |key: &str| patterns.iter().any(|pattern| matches(pattern, key));
        wrong.extend(SECRET.iter().filter(|key| !deleted(key)).map(|key| format!("{pointer} lets `{key}` pass")));
        wrong.extend(HARMLESS.iter().filter(|key| deleted(key)).map(|key| format!("{pointer} deletes `{key}`")));
    }
}

/// Compiles each pattern once: hundreds of configurations are judged.
fn matches(pattern: &str, key: &str) -> bool {
    static COMPILED: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap();
    compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(key)
}

/// Address in the configuration, role in stack.json.
const PORTS: &[(&str, &str)] = &[
    ("/receivers/otlp/protocols/grpc/endpoint", "otlp-grpc"),
    ("/receivers/otlp/protocols/http/endpoint", "otlp-http"),
    ("/exporters/prometheus/endpoint", "pull"),
    ("/extensions/health_check/endpoint", "health"),
];

fn ports(config: &Value, wrong: &mut Vec<String>) {
    let faro = config.pointer("/receivers/faro").map(|_| ("/receivers/faro/endpoint", "faro"));
    for (pointer, role) in PORTS.iter().copied().chain(faro) {
        let expected = format!("${{env:SIGNALBOX_BIND}}:{}", facts::port("collector", role));
        if config.pointer(pointer) != Some(&expected.as_str().into()) {
            wrong.push(format!("{pointer} is not {expected}"));
        }
    }
    let own = facts::port("collector", "metrics");
    if config.pointer("/service/telemetry/metrics/readers/0/pull/exporter/prometheus/port") != Some(&own.into()) {
        wrong.push(format!("the collector's own metrics are not on {own}"));
    }
    let own_name = config.pointer("/service/telemetry/resource/attributes/0");
    if own_name != Some(&json!({ "name": "service.name", "value": "collector" })) {
        wrong.push("the collector's own metrics are not of job `collector`, which the alerts watch".into());
    }
    let scraped = config.pointer("/receivers/prometheus~1self/config/scrape_configs/0/static_configs/0/targets/0");
    if scraped != Some(&format!("127.0.0.1:{own}").as_str().into()) {
        wrong.push("prometheus/self does not read the collector's own metrics".into());
    }
}

/// Types that ADOT v0.49.0 (= 0.156) ships, by kind: its pkg/defaultcomponents/defaults.go.
fn adot(kind: &str) -> &'static [&'static str] {
    match kind {
        "extensions" => &["awsproxy", "ecs_observer", "health_check", "pprof", "sigv4auth", "zpages", "file_storage"],
        "receivers" => &[
            "awsecscontainermetrics",
            "awscontainerinsightreceiver",
            "awsxray",
            "statsd",
            "prometheus",
            "kafka",
            "jaeger",
            "zipkin",
            "otlp",
            "filelog",
        ],
        "processors" => &[
            "groupbytrace",
            "tail_sampling",
            "attributes",
            "resource",
            "probabilistic_sampler",
            "span",
            "filter",
            "metricstransform",
            "resource_detection",
            "metricsgeneration",
            "cumulativetodelta",
            "deltatorate",
            "batch",
            "memory_limiter",
            "k8sattributes",
        ],
        "exporters" => &[
            "awsemf",
            "prometheus_remote_write",
            "prometheus",
            "file",
            "kafka",
            "debug",
            "otlp_grpc",
            "otlp_http",
            "awsxray",
            "loadbalancing",
            "awscloudwatchlogs",
        ],
        // It has no connectors.
        _ => &[],
    }
}
