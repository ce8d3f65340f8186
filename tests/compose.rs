//! `compose.yaml` says what `configs/` and the flake say: images, ports, memory, and no secret or open door.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/health.rs"]
mod health;
#[path = "support/process_files.rs"]
mod process_files;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use signalbox::facts;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn compose() -> Value {
    // `<<` is merged by hand: what a service says itself wins.
    let mut document: Value = serde_yaml_ng::from_str(&read("compose.yaml")).unwrap();
    for service in document["services"].as_object_mut().unwrap().values_mut() {
        let service = service.as_object_mut().unwrap();
        if let Some(Value::Object(shared)) = service.remove("<<") {
            for (key, value) in shared {
                service.entry(key).or_insert(value);
            }
        }
    }
    document
}

fn limits() -> BTreeMap<String, u64> {
    let limits: Value = serde_json::from_str(&read("configs/limits.json")).unwrap();
    serde_json::from_value(limits["mib"].clone()).unwrap()
}

/// What is wrong with a compose file; empty when it agrees.
fn problems(compose: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, service) in compose["services"].as_object().unwrap() {
        let mut problem = |text: String| problems.push(format!("{name}: {text}"));
        let Some(program) = facts::stack().get(name) else {
            problem("configs/stack.json has no such program".to_owned());
            continue;
        };
        let image = if name == "load" { "load-tester" } else { name };
        if service["image"] != json!(format!("${{SIGNALBOX_IMAGES:-}}signalbox-{image}:${{SIGNALBOX_TAG:-latest}}")) {
            problem(format!("image {}", service["image"]));
        }
        if service["mem_limit"] != json!(format!("{}m", limits()[name])) {
            problem(format!("mem_limit {}, configs/limits.json says {}", service["mem_limit"], limits()[name]));
        }
        for port in service["ports"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let known = program.ports.values().any(|known| port == format!("127.0.0.1:{known}:{known}"));
            if !known {
                problem(format!("port {port} is open to others, or not in configs/stack.json"));
            }
        }
        if service["healthcheck"]["test"] != json!(health::check(name)) {
            problem(format!("health check {}, it should be {:?}", service["healthcheck"]["test"], health::check(name)));
        }
        let stop = process_files::process(name).and_then(|process| process_files::stop_signal(&process));
        if service["stop_signal"] != json!(stop) {
            problem(format!("stop_signal {}, its process has {stop:?}", service["stop_signal"]));
        }
        for (key, value) in [("read_only", json!(true)), ("cap_drop", json!(["ALL"]))] {
            if service[key] != value {
                problem(format!("{key} is {}", service[key]));
            }
        }
        if service["env_file"] != json!(["configs/environments/cluster.env"]) {
            problem(format!("env_file {}", service["env_file"]));
        }
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let secret = ["PASSWORD", "TOKEN", "SECRET"].iter().any(|word| variable.contains(word));
            let given = value.as_str().is_some_and(|text| text.ends_with(":-}") || text.contains(":?"));
            if secret && !given {
                problem(format!("{variable} has a default"));
            }
        }
    }
    for (variant, programs) in variants() {
        for program in programs {
            let profiles = &compose["services"][&program]["profiles"];
            if !profiles.as_array().is_some_and(|profiles| profiles.contains(&json!(variant))) {
                problems.push(format!("{program} is missing from profile {variant}"));
            }
        }
    }
    problems
}

/// The variants that compose has: `aws` runs on the real one, or natively with stand-ins.
fn variants() -> BTreeMap<String, Vec<String>> {
    let limits: Value = serde_json::from_str(&read("configs/limits.json")).unwrap();
    let mut variants: BTreeMap<String, Vec<String>> = serde_json::from_value(limits["variants"].clone()).unwrap();
    variants.remove("aws");
    variants
}

#[test]
fn compose_agrees_with_the_configs() {
    assert_eq!(problems(&compose()), Vec::<String>::new());
}

#[test]
fn a_wrong_compose_file_is_noticed() {
    let breaks = [
        ("/services/loki/mem_limit", json!("1g")),
        ("/services/app/ports", json!(["8080:8080"])),
        ("/services/app/ports", json!(["127.0.0.1:8081:8081"])),
        ("/services/tempo/image", json!("grafana/tempo:latest")),
        ("/services/grafana/environment/GF_SECURITY_ADMIN_PASSWORD", json!("admin")),
        ("/services/mimir/profiles", json!(["core"])),
        ("/services/nginx/read_only", json!(false)),
        ("/services/prometheus/env_file", json!([])),
        ("/services/loki/healthcheck", json!(null)),
        ("/services/postgresql/stop_signal", json!("SIGTERM")),
    ];
    for (pointer, value) in breaks {
        let mut broken = compose();
        *broken.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there")) = value;
        assert_ne!(problems(&broken), Vec::<String>::new(), "{pointer}");
    }
}
