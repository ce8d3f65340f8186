//! Reads configs/processes as process-compose does: which process a variant has, its command, its environment. Included
//! by `config_processes` and `nix_wiring`.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

pub(crate) const VARIANTS: [&str; 3] = ["core", "lgtm", "aws"];

pub(crate) fn file(variant: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("configs/processes/{variant}.yaml"))
}

/// Processes by name as one file has them.
fn processes(variant: &str) -> BTreeMap<String, Value> {
    let mut document: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(file(variant)).unwrap()).unwrap();
    document.apply_merge().unwrap();
    serde_yaml_ng::from_value(document["processes"].clone()).unwrap()
}

/// Processes of a variant: those of the core, and what its own file says otherwise.
pub(crate) fn variant(name: &str) -> BTreeMap<String, Value> {
    let mut all = processes("core");
    for (process, says) in if name == "core" { BTreeMap::new() } else { processes(name) } {
        let known = all.entry(process).or_insert_with(|| Value::Mapping(serde_yaml_ng::Mapping::new()));
        for (key, value) in says.as_mapping().unwrap() {
            if key == "depends_on" && known[key].is_mapping() {
                known[key].as_mapping_mut().unwrap().extend(value.as_mapping().unwrap().clone());
            } else {
                known[key] = value.clone();
            }
        }
    }
    all
}

/// A process of the first variant that has it.
pub(crate) fn process(name: &str) -> Option<Value> {
    VARIANTS.iter().find_map(|one| variant(one).remove(name))
}

/// The program that a process becomes and its arguments; what its shell does before `exec` is left out.
pub(crate) fn command(process: &Value, known: &BTreeMap<String, String>) -> Vec<String> {
    let text = process["command"].as_str().unwrap();
    let text = text.split_once("exec ").map_or(text, |(_, rest)| rest);
    expanded(text, known).split_whitespace().map(str::to_owned).collect()
}

/// What a process is given beside the environment of whoever starts it.
pub(crate) fn environment(process: &Value, known: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let pairs = process["environment"].as_sequence().into_iter().flatten();
    let pairs = pairs.map(|pair| pair.as_str().unwrap().split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), expanded(value, known))).collect()
}

/// `${NAME}` and `${NAME:-default}` in the place of which stands their value; a default may hold more of them.
fn expanded(text: &str, known: &BTreeMap<String, String>) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let mut open = 1;
    let end = rest.find(|c| {
        open += i32::from(c == '{') - i32::from(c == '}');
        open == 0
    });
    let (inside, after) = rest.split_at(end.unwrap());
    let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
    let value = known.get(name).filter(|value| !value.is_empty()).cloned();
    format!("{before}{}{}", value.unwrap_or_else(|| expanded(default, known)), expanded(&after[1..], known))
}

/// What ends a process, where it is not SIGTERM.
pub(crate) fn stop_signal(process: &Value) -> Option<&'static str> {
    match process["shutdown"]["signal"].as_u64()? {
        2 => Some("SIGINT"),
        3 => Some("SIGQUIT"),
        15 => None,
        other => panic!("signal {other} has no name here"),
    }
}
