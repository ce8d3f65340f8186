//! One place for each fact: `configs/stack.json`, `configs/environments/*.env`, `configs/limits.json` and every config agree,
//! and nobody repeats a port.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/files.rs"]
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use signalbox::facts;

/// Which program and port each address of the environment files means.
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("APP_URL", "app", "http"),
    ("CONSOLE_URL", "console", "page"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "otlp-grpc"),
    ("PROMETHEUS_URL", "prometheus", "http"),
    ("LOKI_URL", "loki", "http"),
    ("TEMPO_URL", "tempo", "http"),
    ("TEMPO_OTLP_URL", "tempo", "otlp-http"),
    ("MIMIR_URL", "mimir", "http"),
    ("PYROSCOPE_URL", "pyroscope", "http"),
    ("GRAFANA_URL", "grafana", "http"),
    ("METRICS_WRITE_URL", "prometheus", "http"),
    ("AMP_QUERY_URL", "prometheus", "http"),
    ("AMP_REMOTE_WRITE_URL", "prometheus", "http"),
    ("AWS_ENDPOINT_URL", "aws", "http"),
    ("AWS_ENDPOINT_URL_S3", "s3", "http"),
    ("NODE_EXPORTER_URL", "node-exporter", "http"),
    ("PUBLIC_URL", "nginx", "http"),
];

/// Addresses of nobody in the stack.
const ELSEWHERE: &[&str] = &["ALERT_WEBHOOK_URL"];

/// A file's name, what it sets, and the host that it gives a program.
type Environment = (&'static str, BTreeMap<String, String>, fn(&str) -> &str);

/// The two files.
fn environments() -> [Environment; 2] {
    let cluster = dotenvy::from_read_iter(include_str!("../configs/environments/cluster.env").as_bytes());
    [
        ("local.env", facts::local_settings().clone(), |_| "127.0.0.1"),
        ("cluster.env", cluster.collect::<Result<_, _>>().unwrap(), |program| program),
    ]
}

#[test]
fn every_address_of_the_environment_has_the_host_and_port_of_stack_json() {
    for (file, settings, host) in environments() {
        let mut named: BTreeSet<_> = ELSEWHERE.iter().copied().collect();
        for (variable, program, role) in ADDRESSES {
            let value = settings.get(*variable).unwrap_or_else(|| panic!("{file} lacks {variable}"));
            named.insert(*variable);
            let address = format!("http://{}:{}", host(program), facts::port(program, role));
            // Empty: switched off. A path may follow.
            let right = value.is_empty() || value == &address || value.starts_with(&format!("{address}/"));
            assert!(right, "{file}: {variable}={value} must be {address}");
        }
        for (variable, value) in &settings {
            let address = value.contains("://");
            assert!(!address || named.contains(variable.as_str()), "{variable} has no row in tests/facts.rs");
        }
    }
}

#[test]
fn both_environment_files_set_the_same_variables() {
    let [(_, local, _), (_, cluster, _)] = environments();
    let names = |settings: &BTreeMap<String, String>| settings.keys().cloned().collect::<BTreeSet<_>>();
    let different: Vec<_> = names(&local).symmetric_difference(&names(&cluster)).cloned().collect();
    assert!(different.is_empty(), "only in one of local.env and cluster.env: {different:?}");
}

#[test]
fn the_console_takes_the_collectors_otlp_ports() {
    for role in ["otlp-grpc", "otlp-http"] {
        assert_eq!(facts::port("console", role), facts::port("collector", role));
    }
}

#[test]
fn no_two_programs_share_a_port_but_console_and_collector() {
    let mut owners = BTreeMap::<u16, &str>::new();
    for (name, program) in facts::stack() {
        for port in program.ports.values() {
            if let Some(other) = owners.insert(*port, name) {
                assert_eq!([other, name.as_str()], ["collector", "console"], "port {port}");
            }
        }
    }
}

#[test]
fn the_services_are_named_as_in_the_contract() {
    use signalbox::telemetry::names::{SERVICE_APP, SERVICE_LOAD};
    assert_eq!(facts::program("app").service_name.as_deref(), Some(SERVICE_APP));
    assert_eq!(facts::program("load").service_name.as_deref(), Some(SERVICE_LOAD));
}

/// Whether the line writes the port as an address does (`:8080`), or as a number that can mean nothing else.
fn writes(line: &str, port: u16) -> bool {
    let digits = port.to_string();
    line.match_indices(&digits).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + digits.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_.".contains(c));
        // Round numbers are durations and sizes too.
        !word(before) && !word(after) && (before == Some(':') || !port.is_multiple_of(1000))
    })
}

#[test]
fn no_port_is_written_anywhere_else_in_the_source() {
    let ports = facts::stack().values().flat_map(|program| program.ports.values().copied()).collect::<BTreeSet<_>>();
    let mut broken = Vec::new();
    for file in files::below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        // Binary files are not ours to judge; the page is judged below.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        // Tests parse addresses of their own making.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            // Comments and words to the user may show an example.
            let example = line.trim_start().starts_with("//") || line.contains("such as");
            if !example && ports.iter().any(|port| writes(line, *port)) {
                broken.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "take ports from facts::port:\n{}", broken.join("\n"));
}

#[test]
fn the_addresses_that_the_page_tells_are_the_consoles() {
    // Plain files cannot read stack.json, so they keep literals; a changed port must not leave them behind.
    let console = facts::program("console").ports.values().copied().collect::<BTreeSet<_>>();
    for file in files::below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        if file.extension().is_some_and(|extension| extension == "rs") {
            continue;
        }
        for rest in text.split("127.0.0.1:").skip(1) {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            let known = digits.parse().is_ok_and(|port: u16| console.contains(&port));
            assert!(digits.is_empty() || known, "{}: 127.0.0.1:{digits} is no port of the console", file.display());
        }
    }
}

/// Files of configs that programs read: not the data and the words beside them.
fn config_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut found = Vec::new();
    for file in files::below(&root) {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let data = ["md", "json", "env"].iter().any(|e| file.extension().is_some_and(|extension| extension == *e));
        if let (false, Ok(text)) = (data, fs::read_to_string(&file)) {
            found.push((name, text));
        }
    }
    found
}

/// The lines of a config without its comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !["#", ";", "//"].iter().any(|mark| line.starts_with(mark)))
}

/// Variables that a line reads in any program's writing, each with whether it has a default.
fn variables(line: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut take = |rest: &str, end: char| {
        let Some((inside, _)) = rest.split_once(end) else { return };
        let (name, default) = inside.split_once(':').map_or((inside, false), |(name, _)| (name, true));
        let upper = name.starts_with(|c: char| c.is_ascii_uppercase());
        if upper && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            found.push((name.to_owned(), default));
        }
    };
    // `$$` is a dollar.
    for rest in line.replace("$$", "").split("${").skip(1) {
        take(rest.trim_start_matches("env:"), '}');
    }
    for rest in line.split("$__env{").skip(1) {
        take(rest, '}');
    }
    for rest in line.split("sys.env(\"").skip(1) {
        take(rest, '"');
    }
    found
}

#[test]
fn variables_are_found_in_every_programs_writing() {
    let found =
        |line| variables(line).into_iter().map(|(name, default)| format!("{name} {default}")).collect::<Vec<_>>();
    assert_eq!(found("a: ${env:LOKI_URL}/otlp"), ["LOKI_URL false"]);
    assert_eq!(found("b: ${BIND}:1 ${STORE:-filesystem}"), ["BIND false", "STORE true"]);
    assert_eq!(found("c = $__env{STATE}/grafana"), ["STATE false"]);
    assert_eq!(found("url = sys.env(\"TEMPO_URL\") + \"/x\""), ["TEMPO_URL false"]);
    assert_eq!(found("d: $${__value.raw} $host ${lower}"), Vec::<String>::new());
}

/// Variables that no file may set: secrets, which the user or `backends/stack` gives.
const GIVEN: &[&str] = &["GF_SECURITY_ADMIN_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

#[test]
fn every_mode_sets_every_variable_that_a_config_reads() {
    for (file, settings, _) in environments() {
        for (config, text) in config_files() {
            for (variable, default) in lines(&text).flat_map(variables) {
                // A process file sets some itself, as `NAME=value`.
                let own = text.contains(&format!("{variable}="));
                let known = default || own || settings.contains_key(&variable) || GIVEN.contains(&variable.as_str());
                assert!(known, "configs/{config} reads {variable}, which {file} does not set");
            }
        }
    }
}

#[test]
fn every_variable_of_the_environment_files_is_read_and_explained() {
    let configs = config_files();
    let source = files::below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let source: Vec<_> = source.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let readme = include_str!("../configs/README.md");
    for variable in facts::local_settings().keys() {
        // The AWS SDKs read their own.
        let aws = variable.starts_with("AWS_");
        let read = configs.iter().any(|(_, text)| lines(text).flat_map(variables).any(|(name, _)| name == *variable));
        let read = read || source.iter().any(|text| text.contains(variable.as_str()));
        assert!(aws || read, "nobody reads {variable}");
        assert!(readme.contains(&format!("`{variable}`")), "configs/README.md does not explain {variable}");
    }
}

/// Ports that a line of a config writes: `:8080` behind an address, or the value of a key that ends in `port`.
fn written_ports(line: &str) -> Vec<u16> {
    let number = |text: &str| -> Option<u16> {
        text.trim_start_matches(['"', '\'', ' ']).split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let mut found: Vec<u16> = Vec::new();
    for address in ["127.0.0.1:", "localhost:", "0.0.0.0:", "BIND}:"] {
        found.extend(line.split(address).skip(1).filter_map(number));
    }
    if let Some((key, value)) = line.split_once([':', '=']) {
        found.extend(Some(value).filter(|_| key.trim().ends_with("port")).and_then(number));
    }
    found
}

#[test]
fn ports_written_in_a_config_are_those_of_stack_json() {
    assert_eq!(written_ports("endpoint: ${SIGNALBOX_BIND}:4417"), [4417]);
    assert_eq!(written_ports("http_listen_port: 3100"), [3100]);
    assert_eq!(written_ports("http_port = 3000"), [3000]);
    let known: BTreeSet<_> = facts::stack().values().flat_map(|program| program.ports.values().copied()).collect();
    for (config, text) in config_files() {
        let folder = config.split('/').next().unwrap();
        for line in lines(&text) {
            for port in written_ports(line) {
                let own = facts::stack().get(folder).is_some_and(|program| program.ports.values().any(|p| *p == port));
                // Only what cannot expand variables, and a process file, write the port of another.
                let other = known.contains(&port)
                    && (["processes", "alloy", "nginx"].contains(&folder) || config.ends_with("pull.yaml"));
                assert!(own || other, "configs/{config}: `{line}`: {port} is no port of {folder} in stack.json");
            }
        }
    }
}

#[test]
fn each_backend_listens_on_the_ports_of_stack_json() {
    let configs: BTreeMap<_, _> = config_files().into_iter().collect();
    let rows = [
        ("loki/loki.yaml", "loki", &["http", "grpc"][..]),
        ("tempo/tempo.yaml", "tempo", &["http", "grpc", "otlp-grpc", "otlp-http"]),
        ("mimir/mimir.yaml", "mimir", &["http", "grpc"]),
        ("pyroscope/pyroscope.yaml", "pyroscope", &["http"]),
        ("grafana/grafana.ini", "grafana", &["http"]),
    ];
    for (config, program, roles) in rows {
        let written: BTreeSet<_> = lines(&configs[config]).flat_map(written_ports).collect();
        for role in roles {
            let port = facts::port(program, role);
            assert!(written.contains(&port), "configs/{config} does not listen on {port} ({role})");
        }
    }
}

/// `configs/limits.json`.
#[derive(serde::Deserialize)]
struct Limits {
    mib: BTreeMap<String, u32>,
    variants: BTreeMap<String, Vec<String>>,
}

#[test]
fn the_memory_of_each_variant_fits_a_host_of_4_gb() {
    let limits: Limits = serde_json::from_str(include_str!("../configs/limits.json")).unwrap();
    let readme = include_str!("../configs/README.md");
    for (program, mib) in &limits.mib {
        assert!(facts::stack().contains_key(program), "limits.json: stack.json has no `{program}`");
        let row = readme.lines().any(|line| line.starts_with(&format!("| {program} | {mib} |")));
        assert!(row, "configs/README.md: the row of {program} must start `| {program} | {mib} |`");
    }
    assert_eq!(limits.variants.keys().collect::<Vec<_>>(), ["aws", "core", "lgtm"]);
    for (variant, programs) in &limits.variants {
        let sum: u32 = programs.iter().map(|program| limits.mib[program]).sum();
        assert!(sum <= 2700, "{variant}: {sum} MiB leave too little of 4 GB for the system and the page cache");
        let row = format!("{variant} {sum}");
        assert!(readme.contains(&row), "configs/README.md must say `{row}`");
    }
}
