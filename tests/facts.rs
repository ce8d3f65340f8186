//! One place for each fact: `configs/stack.json` and `configs/environments/local.env` agree, and nobody repeats a port.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use signalbox::facts;

/// Which program and port each address of `local.env` means.
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("APP_URL", "app", "http"),
    ("CONSOLE_URL", "console", "page"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "console", "otlp-grpc"),
    ("PROMETHEUS_URL", "prometheus", "http"),
    ("LOKI_URL", "loki", "http"),
    ("TEMPO_URL", "tempo", "http"),
    ("MIMIR_URL", "mimir", "http"),
    ("PYROSCOPE_URL", "pyroscope", "http"),
    ("GRAFANA_URL", "grafana", "http"),
];

#[test]
fn every_address_of_the_environment_has_the_port_of_stack_json() {
    let mut named = BTreeSet::new();
    for (variable, program, role) in ADDRESSES {
        let value = facts::local_settings().get(*variable).unwrap_or_else(|| panic!("local.env lacks {variable}"));
        named.insert(*variable);
        // Empty: switched off.
        if !value.is_empty() {
            assert_eq!(*value, format!("http://127.0.0.1:{}", facts::port(program, role)), "{variable}");
        }
    }
    for (variable, value) in facts::local_settings() {
        let address = value.contains("://");
        assert!(!address || named.contains(variable.as_str()), "{variable} has no row in tests/facts.rs");
    }
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

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
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
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
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
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
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
