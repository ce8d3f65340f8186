//! Grafana's provisioning links every signal to every other, by data; Grafana itself cannot be had here, so its own
//! source (13.2) is what the known types and keys below were read from.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/yaml.rs"]
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_yaml_ng::Value;
use signalbox::facts;
use signalbox::telemetry::names::METRICS;
use yaml::{Rule, get, problems, read, text, unseen};

const fn rule(path: &'static str, is: &'static str, lost: &'static str) -> Rule {
    Rule { path, is, lost }
}

const INTERVAL: &str = "$__rate_interval is too short for the data";
const EXEMPLAR: &str = "no way from an exemplar to its trace";
const LOG: &str = "no way from a log line to its trace";
const LOGS: &str = "no way from a trace to its logs";
const RATE: &str = "no way from a trace to its metrics";
const PROFILE: &str = "no way from a trace to its profile";
const MAP: &str = "no service map";

/// What the datasource of metrics must hold in each variant.
const METRICS_SOURCE: &[Rule] = &[
    rule("datasources/uid=metrics/isDefault", "true", "Explore opens without a datasource"),
    rule("datasources/uid=metrics/jsonData/exemplarTraceIdDestinations/0/name", "trace_id", EXEMPLAR),
    rule("datasources/uid=metrics/jsonData/httpMethod", "POST", "long queries do not fit a URL"),
    rule("datasources/uid=logs/url", "${LOKI_URL}", "no logs"),
    rule("datasources/uid=logs/jsonData/derivedFields/0/matcherType", "label", LOG),
    rule("datasources/uid=logs/jsonData/derivedFields/0/matcherRegex", "trace_id", LOG),
    rule("datasources/uid=logs/jsonData/derivedFields/0/url", "$${__value.raw}", LOG),
];

/// Where traces are in Tempo.
const TRACES: &[Rule] = &[
    rule("datasources/uid=metrics/jsonData/timeInterval", "5s", INTERVAL),
    rule("datasources/uid=metrics/jsonData/exemplarTraceIdDestinations/0/datasourceUid", "traces", EXEMPLAR),
    rule("datasources/uid=logs/jsonData/derivedFields/0/datasourceUid", "traces", LOG),
    rule("datasources/uid=traces/url", "${TEMPO_URL}", "no traces"),
    rule("datasources/uid=traces/jsonData/tracesToLogsV2/datasourceUid", "logs", LOGS),
    rule("datasources/uid=traces/jsonData/tracesToLogsV2/customQuery", "true", LOGS),
    rule(
        "datasources/uid=traces/jsonData/tracesToLogsV2/query",
        "'{$${__tags}} | trace_id=\"$${__trace.traceId}\"'",
        LOGS,
    ),
    rule("datasources/uid=traces/jsonData/tracesToLogsV2/tags", "[{ key: service.name, value: service_name }]", LOGS),
    rule("datasources/uid=traces/jsonData/tracesToMetrics/datasourceUid", "metrics", RATE),
    rule(
        "datasources/uid=traces/jsonData/tracesToMetrics/tags",
        "[{ key: service.name, value: job }, { key: http.route, value: http_route }]",
        RATE,
    ),
    rule("datasources/uid=traces/jsonData/serviceMap/datasourceUid", "metrics", MAP),
    rule("datasources/uid=traces/jsonData/nodeGraph/enabled", "true", MAP),
];

const CORE: &[Rule] = &[
    rule("datasources/uid=metrics/type", "prometheus", "no metrics"),
    rule("datasources/uid=metrics/url", "${PROMETHEUS_URL}", "no metrics"),
];

const LGTM: &[Rule] = &[
    rule("datasources/uid=metrics/type", "prometheus", "no metrics"),
    rule("datasources/uid=metrics/url", "${MIMIR_URL}/prometheus", "no metrics"),
    rule("datasources/uid=metrics/jsonData/prometheusType", "Mimir", "Grafana asks for APIs that Mimir lacks"),
    rule("datasources/uid=profiles/url", "${PYROSCOPE_URL}", "no profiles"),
    rule("datasources/uid=traces/jsonData/tracesToProfiles/datasourceUid", "profiles", PROFILE),
    rule(
        "datasources/uid=traces/jsonData/tracesToProfiles/profileTypeId",
        "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        PROFILE,
    ),
    rule(
        "datasources/uid=traces/jsonData/tracesToProfiles/tags",
        "[{ key: service.name, value: service_name }]",
        PROFILE,
    ),
];

const AWS: &[Rule] = &[
    rule("datasources/uid=metrics/jsonData/timeInterval", "${AMP_METRIC_INTERVAL}", INTERVAL),
    rule("datasources/uid=metrics/type", "${AMP_DATASOURCE_TYPE}", "AMP refuses unsigned queries"),
    rule("datasources/uid=metrics/url", "${AMP_QUERY_URL}", "no metrics"),
    rule("datasources/uid=metrics/jsonData/sigV4Auth", "true", "AMP refuses unsigned queries"),
    rule("datasources/uid=metrics/jsonData/sigV4AuthType", "default", "AMP refuses unsigned queries"),
    rule("datasources/uid=metrics/jsonData/sigV4Region", "${AWS_REGION}", "AMP refuses unsigned queries"),
    rule("datasources/uid=metrics/jsonData/exemplarTraceIdDestinations/0/datasourceUid", "xray", EXEMPLAR),
    rule("datasources/uid=logs/jsonData/derivedFields/0/datasourceUid", "xray", LOG),
    rule("datasources/uid=xray/jsonData/defaultRegion", "${AWS_REGION}", "no traces"),
    rule("datasources/uid=xray/jsonData/endpoint", "${AWS_ENDPOINT_URL}", "a stand-in is not asked"),
    rule("datasources/uid=cloudwatch/jsonData/defaultRegion", "${AWS_REGION}", "no CloudWatch logs"),
    rule("datasources/uid=cloudwatch/jsonData/tracingDatasourceUid", "xray", LOG),
];

/// Each variant: its file, its folder for `GF_PATHS_PROVISIONING`, what it must hold.
const VARIANTS: &[(&str, &[&[Rule]])] = &[
    ("configs/grafana/provisioning/datasources/core.yaml", &[METRICS_SOURCE, TRACES, CORE]),
    ("configs/grafana/lgtm/datasources/lgtm.yaml", &[METRICS_SOURCE, TRACES, LGTM]),
    ("configs/grafana/aws/datasources/aws.yaml", &[METRICS_SOURCE, AWS]),
];

/// Keys of `jsonData` that a datasource of each type reads, as far as we use them.
const KEYS: &[(&str, &[&str])] = &[
    (
        "prometheus",
        &[
            "httpMethod",
            "timeInterval",
            "prometheusType",
            "exemplarTraceIdDestinations",
            "sigV4Auth",
            "sigV4AuthType",
            "sigV4Region",
        ],
    ),
    ("loki", &["maxLines", "derivedFields"]),
    ("tempo", &["tracesToLogsV2", "tracesToMetrics", "tracesToProfiles", "serviceMap", "nodeGraph"]),
    ("grafana-pyroscope-datasource", &["minStep"]),
    ("grafana-x-ray-datasource", &["authType", "defaultRegion", "endpoint"]),
    ("cloudwatch", &["authType", "defaultRegion", "endpoint", "tracingDatasourceUid"]),
];

/// Which link may point at which types of datasource.
const LINKS: &[(&str, &[&str])] = &[
    ("exemplarTraceIdDestinations", &["tempo", "grafana-x-ray-datasource"]),
    ("derivedFields", &["tempo", "grafana-x-ray-datasource"]),
    ("tracesToLogsV2", &["loki"]),
    ("tracesToMetrics", &["prometheus"]),
    ("tracesToProfiles", &["grafana-pyroscope-datasource"]),
    ("serviceMap", &["prometheus"]),
];

/// The type of a datasource; `aws` names that of metrics by variable.
fn kind(source: &Value) -> &str {
    let kind = source["type"].as_str().unwrap_or_default();
    if kind == "${AMP_DATASOURCE_TYPE}" { "prometheus" } else { kind }
}

/// Every `datasourceUid` at or below a value.
fn targets(value: &Value) -> Vec<&str> {
    match value {
        Value::Mapping(map) => map
            .iter()
            .flat_map(|(key, value)| match key.as_str() {
                Some("datasourceUid") => value.as_str().into_iter().collect(),
                _ => targets(value),
            })
            .collect(),
        Value::Sequence(list) => list.iter().flat_map(targets).collect(),
        _ => Vec::new(),
    }
}

/// What is wrong with a file of datasources whatever the variant.
fn general_problems(config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let sources = config["datasources"].as_sequence().cloned().unwrap_or_default();
    let types: BTreeMap<_, _> =
        sources.iter().filter_map(|source| Some((source["uid"].as_str()?.to_owned(), kind(source)))).collect();
    for source in &sources {
        let name = source["name"].as_str().unwrap_or("without a name");
        if source["uid"].as_str().is_none() {
            found.push(format!("{name}: no uid, so Grafana makes one up and no dashboard finds it"));
        }
        let Some((_, keys)) = KEYS.iter().find(|(known, _)| *known == kind(source)) else {
            found.push(format!("{name}: type `{}` is unknown", kind(source)));
            continue;
        };
        for (key, value) in source["jsonData"].as_mapping().cloned().unwrap_or_default() {
            let key = key.as_str().unwrap_or_default();
            if !keys.contains(&key) {
                found.push(format!("{name}: `{}` reads no jsonData.{key}", kind(source)));
            }
            let allowed = LINKS.iter().find(|(link, _)| *link == key).map_or(&[][..], |(_, allowed)| *allowed);
            for target in targets(&value) {
                if !types.get(target).is_some_and(|kind| allowed.contains(kind)) {
                    found.push(format!("{name}: {key} points at `{target}`, which is none of {allowed:?}"));
                }
            }
        }
    }
    found
}

fn variant_problems(config: &Value, rules: &[&[Rule]]) -> Vec<String> {
    let required = rules.iter().flat_map(|rules| problems(config, rules));
    required.chain(general_problems(config)).collect()
}

#[test]
fn every_correlation_is_wired_in_every_variant() {
    for (file, rules) in VARIANTS {
        let found = variant_problems(&read(file), rules);
        assert!(found.is_empty(), "{file}:\n{}", found.join("\n"));
    }
}

#[test]
fn a_correlation_that_is_removed_is_missed() {
    for (file, rules) in VARIANTS {
        let config = read(file);
        let paths = rules.iter().flat_map(|rules| rules.iter()).map(|rule| rule.path);
        let unseen = unseen(&config, paths, |broken| variant_problems(broken, rules));
        assert!(unseen.is_empty(), "{file}: nobody misses {unseen:?}");
        // Whole datasources, too.
        for source in config["datasources"].as_sequence().unwrap() {
            let mut broken = config.clone();
            yaml::remove(&mut broken, &format!("datasources/uid={}", source["uid"].as_str().unwrap()));
            assert!(!variant_problems(&broken, rules).is_empty(), "{file}: nobody misses {:?}", source["uid"]);
        }
    }
}

#[test]
fn a_mistyped_key_and_a_link_to_the_wrong_type_are_seen() {
    let seen = |yaml: &str| general_problems(&serde_yaml_ng::from_str(yaml).unwrap()).join("\n");
    let mistyped = "datasources: [{ name: L, uid: l, type: loki, jsonData: { derivedField: [] } }]";
    assert!(seen(mistyped).contains("jsonData.derivedField"), "{}", seen(mistyped));
    let wrong = "datasources: [{ name: L, uid: l, type: loki, jsonData: { derivedFields: [{ datasourceUid: l }] } }]";
    assert!(seen(wrong).contains("points at `l`"), "{}", seen(wrong));
    let nameless = "datasources: [{ name: L, type: loki }]";
    assert!(seen(nameless).contains("no uid"), "{}", seen(nameless));
}

#[test]
fn the_datasource_of_logs_is_the_same_in_core_and_lgtm() {
    let logs = |file: &str| get(&read(file), "datasources/uid=logs").cloned();
    assert_eq!(logs(VARIANTS[0].0), logs(VARIANTS[1].0));
}

#[test]
fn the_queries_of_a_trace_ask_for_metrics_of_the_contract() {
    let names: BTreeSet<_> = METRICS.iter().map(signalbox::telemetry::names::Metric::prometheus_name).collect();
    for (file, _) in &VARIANTS[..2] {
        let config = read(file);
        let queries = get(&config, "datasources/uid=traces/jsonData/tracesToMetrics/queries").unwrap();
        for query in queries.as_sequence().unwrap() {
            let query = query["query"].as_str().unwrap();
            let series = query.split("{$$__tags}").next().unwrap().rsplit('(').next().unwrap();
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| series.strip_suffix(suffix));
            assert!(names.contains(family.unwrap_or(series)), "{file}: nobody sends `{series}`");
        }
    }
}

#[test]
fn a_dollar_is_a_variable_of_the_environment_files_or_doubled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/grafana");
    let mut files = vec!["provisioning/dashboards/signalbox.yaml".to_owned()];
    files.push("provisioning/alerting/contact-point.yaml".to_owned());
    files.extend(VARIANTS.iter().map(|(file, _)| file.trim_start_matches("configs/grafana/").to_owned()));
    for file in files {
        let text = std::fs::read_to_string(folder.join(&file)).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for rest in line.replace("$$", "").split('$').skip(1) {
                let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
                let known = name.is_some_and(|name| facts::local_settings().contains_key(name));
                assert!(known, "{file}: `{line}`: Grafana would expand ${rest} to nothing");
            }
        }
    }
}

#[test]
fn each_variant_shares_dashboards_and_alerts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/grafana");
    for variant in ["lgtm", "aws"] {
        for shared in ["dashboards", "alerting"] {
            let link = std::fs::read_link(folder.join(variant).join(shared)).unwrap();
            assert_eq!(link, Path::new("../provisioning").join(shared), "{variant}/{shared}");
        }
    }
}

#[test]
fn dashboards_are_read_only_and_alerts_have_a_receiver() {
    let provider = [
        rule("providers/0/folder", "signalbox", "dashboards lie in General"),
        rule("providers/0/folderUid", "signalbox", "alert rules find no folder"),
        rule("providers/0/allowUiUpdates", "false", "a panel edited in the browser drifts from the code"),
        rule("providers/0/options/path", "${SIGNALBOX_DASHBOARDS}", "no dashboards"),
    ];
    let contact = [
        rule("contactPoints/0/name", "signalbox", "alerts go nowhere"),
        rule("contactPoints/0/receivers/0/settings/url", "${ALERT_WEBHOOK_URL}", "alerts go nowhere"),
        rule("policies/0/receiver", "signalbox", "alerts go to Grafana's default e-mail"),
    ];
    let files: [(&str, &[Rule]); 2] = [
        ("configs/grafana/provisioning/dashboards/signalbox.yaml", &provider),
        ("configs/grafana/provisioning/alerting/contact-point.yaml", &contact),
    ];
    for (file, rules) in files {
        let config = read(file);
        assert_eq!(problems(&config, rules), Vec::<String>::new(), "{file}");
        let paths = rules.iter().map(|rule| rule.path);
        assert_eq!(unseen(&config, paths, |broken| problems(broken, rules)), Vec::<&str>::new(), "{file}");
    }
}

/// What `grafana.ini` must say, and what is lost without it.
const INI: &[(&str, &str, &str)] = &[
    ("security.admin_password", "$__env{GF_SECURITY_ADMIN_PASSWORD}", "the password is `admin`"),
    ("security.disable_gravatar", "true", "calls home"),
    ("auth.anonymous.enabled", "false", "anybody may look"),
    ("users.allow_sign_up", "false", "anybody may look"),
    ("analytics.reporting_enabled", "false", "calls home"),
    ("analytics.check_for_updates", "false", "calls home"),
    ("analytics.check_for_plugin_updates", "false", "calls home"),
    ("plugins.preinstall_disabled", "true", "a bundled datasource is lost on a read-only root"),
    ("plugins.preinstall_auto_update", "false", "a bundled datasource is lost on a read-only root"),
    ("plugins.public_key_retrieval_disabled", "true", "calls home"),
    ("plugins.plugin_admin_enabled", "false", "calls home"),
    ("news.news_feed_enabled", "false", "calls home"),
    ("snapshots.external_enabled", "false", "a snapshot can be sent to a stranger"),
    ("server.http_addr", "$__env{SIGNALBOX_BIND}", "listens where it was not asked to"),
    ("paths.data", "$__env{SIGNALBOX_STATE}/grafana", "writes outside its folder"),
];

fn ini_problems(text: &str) -> Vec<String> {
    let (mut section, mut values) = ("", BTreeMap::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name,
            None => {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                values.insert(format!("{section}.{}", key.trim()), value.trim());
            }
        }
    }
    let wrong = INI.iter().filter(|(key, value, _)| values.get(*key) != Some(value));
    wrong.map(|(key, value, lost)| format!("{key} must be {value}: {lost}")).collect()
}

#[test]
fn grafana_has_no_default_password_and_does_not_call_home() {
    let text = text("configs/grafana/grafana.ini");
    assert_eq!(ini_problems(&text), Vec::<String>::new());
    let lines: Vec<_> = text.lines().collect();
    for (key, _, _) in INI {
        let name = key.rsplit('.').next().unwrap();
        let without: Vec<_> = lines.iter().filter(|line| !line.starts_with(&format!("{name} ="))).copied().collect();
        assert!(!ini_problems(&without.join("\n")).is_empty(), "nobody misses {key}");
    }
    println!("not run: grafana (cannot be had here)");
}
