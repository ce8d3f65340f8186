//! Finds, removes and requires values of YAML data by path, so that a test can break a config in each place it guards.
//! Included by `config_*`; what a config must hold is not said here.

#![allow(dead_code, reason = "each test uses its part")]

use serde_yaml_ng::Value;

/// What a place of a config must hold, and what is lost without it.
pub(crate) struct Rule {
    /// Keys separated by `/`; `2` is an index of a list, `uid=logs` the item that has this value.
    pub(crate) path: &'static str,
    /// The value, as YAML writes it.
    pub(crate) is: &'static str,
    /// What is lost.
    pub(crate) lost: &'static str,
}

/// Reads a file below the package's folder.
pub(crate) fn read(file: &str) -> Value {
    serde_yaml_ng::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The text of a file below the package's folder.
pub(crate) fn text(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is wrong with a config by these rules; empty where all hold.
pub(crate) fn problems(config: &Value, rules: &[Rule]) -> Vec<String> {
    let wrong = |rule: &&Rule| get(config, rule.path) != Some(&serde_yaml_ng::from_str(rule.is).unwrap());
    let say = |rule: &Rule| format!("{} must be {}: {}", rule.path, rule.is, rule.lost);
    rules.iter().filter(wrong).map(say).collect()
}

/// Removes each guarded place in turn; the paths whose loss `check` does not see.
pub(crate) fn unseen<'a>(
    config: &Value,
    paths: impl IntoIterator<Item = &'a str>,
    check: impl Fn(&Value) -> Vec<String>,
) -> Vec<&'a str> {
    let unseen = |path: &&str| {
        let mut broken = config.clone();
        remove(&mut broken, path);
        check(&broken).is_empty()
    };
    paths.into_iter().filter(unseen).collect()
}

/// The value at a path.
pub(crate) fn get<'a>(config: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(config, |value, step| match value {
        Value::Sequence(list) => list.get(index(list, step)?),
        other => other.get(step),
    })
}

/// Takes the value at a path out.
///
/// # Panics
/// Where there is none: the test names a place that the config does not have.
pub(crate) fn remove(config: &mut Value, path: &str) {
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = parent.split('/').filter(|step| !step.is_empty()).try_fold(config, |value, step| match value {
        Value::Sequence(list) => index(list, step).and_then(|index| list.get_mut(index)),
        other => other.get_mut(step),
    });
    let removed = match parent {
        Some(Value::Mapping(map)) => map.remove(last),
        Some(Value::Sequence(list)) => index(list, last).map(|index| list.remove(index)),
        _ => None,
    };
    assert!(removed.is_some(), "no {path}");
}

/// The place of a list that a step means.
fn index(list: &[Value], step: &str) -> Option<usize> {
    match step.split_once('=') {
        Some((key, wanted)) => list.iter().position(|item| item.get(key).and_then(Value::as_str) == Some(wanted)),
        None => step.parse().ok().filter(|index| *index < list.len()),
    }
}
