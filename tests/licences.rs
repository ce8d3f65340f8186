//! Holds that every dependency's licence is one that deny.toml allows, and that no source but the registry is used.
//! Reads `cargo metadata`, offline.

use std::process::Command;

fn allowed() -> Vec<String> {
    let deny = include_str!("../deny.toml");
    let list = deny.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).expect("deny.toml has `allow`");
    list.split(',').map(|item| item.trim().trim_matches('"').to_owned()).filter(|item| !item.is_empty()).collect()
}

/// Crates with a licence of their own, as `{ crate = "NAME", allow = ["LICENCE"] }`.
fn exceptions() -> Vec<(String, String)> {
    let deny = include_str!("../deny.toml");
    let list = deny.split("exceptions = [").nth(1).map_or("", |rest| rest.split("\n").next().unwrap_or_default());
    let quoted = |text: &str| text.split('"').nth(1).unwrap_or_default().to_owned();
    let one = |item: &str| item.split_once("allow").map(|(name, licence)| (quoted(name), quoted(licence)));
    list.split('{').filter_map(one).collect()
}

fn packages() -> Vec<serde_json::Value> {
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output().expect("rustc runs");
    let host = String::from_utf8(host.stdout).expect("a tuple is ASCII");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host.trim()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

#[test]
fn every_dependency_has_a_licence_that_deny_toml_allows() {
    let allowed = allowed();
    let exceptions = exceptions();
    let mut refused = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or("none given");
        // Lax: some crates still separate alternatives by a slash.
        let ok = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .is_ok_and(|expression| expression.evaluate(|wanted| allowed.contains(&wanted.to_string())));
        let ok = ok || exceptions.iter().any(|(krate, allowed)| krate == name && allowed == licence);
        if !ok {
            refused.push(format!("{name}: {licence}"));
        }
    }
    assert!(refused.is_empty(), "not allowed by deny.toml:\n{}", refused.join("\n"));
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        assert!(source.is_none_or(|s| s.starts_with("registry+")), "{}: {source:?}", package["name"]);
    }
}
