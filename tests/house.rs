//! The rules of the house: who may import whom, what a file opens with, how long it may be.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/files.rs"]
mod files;

use std::fs;
use std::path::{Path, PathBuf};

/// Who may import which of our modules; each may import itself. `main` is the only one that may import `app`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("app", &["telemetry", "facts", "env", "cli"]),
    ("cli", &[]),
    ("console", &["facts", "env", "cli"]),
    ("dashboards", &["telemetry::names", "facts", "env", "cli"]),
    ("doctor", &["facts", "env", "cli"]),
    ("env", &[]),
    ("facts", &[]),
    ("load", &["telemetry", "facts", "env", "cli"]),
    ("probe", &["facts", "env", "cli"]),
    ("telemetry", &["facts", "env"]),
    ("up", &["facts", "env", "cli"]),
    ("verify", &["telemetry::names", "facts", "env", "cli"]),
];

/// Files longer than this need a `// long:` line that says why.
const LONGEST: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let rust = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rs");
    files::below(folder).into_iter().filter(rust).collect()
}

/// Source without comment lines.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Path of modules of a file below `src/`, such as `verify`, `backends`.
fn module_path(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(root().join("src")).unwrap().with_extension("");
    let mut parts = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Paths from the crate's root that a source names: `crate::a::b`, `crate::{a, b::c}`, and `super::` chains that leave
/// the top module.
fn imports(source: &str, depth: usize) -> Vec<String> {
    let escape = "super::".repeat(depth);
    let mut paths = Vec::new();
    for prefix in ["crate::", escape.as_str()] {
        for (at, _) in source.match_indices(prefix) {
            // `$crate::` and `othercrate::` are others; a longer `super::` chain ends in a shorter one.
            if source[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                continue;
            }
            paths.extend(expanded(&source[at + prefix.len()..]));
        }
    }
    paths
}

/// The paths that begin here; braces are opened one level.
fn expanded(rest: &str) -> Vec<String> {
    let path = |text: &str| {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
        text[..end].trim_end_matches(':').to_owned()
    };
    let Some(inner) = rest.strip_prefix('{') else { return vec![path(rest)] };
    let mut level = 0;
    let mut item = String::new();
    let mut items = Vec::new();
    for c in inner.chars() {
        match c {
            '}' if level == 0 => break,
            ',' if level == 0 => items.push(std::mem::take(&mut item)),
            c => {
                level += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
    items.push(item);
    items.iter().map(|item| path(item.trim())).filter(|item| !item.is_empty()).collect()
}

fn may(allowed: &str, path: &str) -> bool {
    path == allowed || path.strip_prefix(allowed).is_some_and(|rest| rest.starts_with("::"))
}

#[test]
fn modules_import_only_whom_the_design_allows() {
    let modules = ALLOWED.iter().map(|(module, _)| *module).collect::<Vec<_>>();
    let mut broken = Vec::new();
    for file in rust_files(&root().join("src")) {
        let path = module_path(&file);
        let top = path[0].as_str();
        if ["lib", "main"].contains(&top) {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(module, _)| *module == top) else {
            panic!("module `{top}` has no row in tests/house.rs: say whom it may import");
        };
        for import in imports(&code(&fs::read_to_string(&file).unwrap()), path.len()) {
            let ours = modules.contains(&import.split("::").next().unwrap_or_default());
            let fine = may(top, &import) || allowed.iter().any(|allowed| may(allowed, &import));
            if ours && !fine {
                broken.push(format!("{}: {import}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "imports against design.md, \"Rules of dependency\":\n{}", broken.join("\n"));
}

#[test]
fn the_rule_sees_every_way_to_write_an_import() {
    let source =
        "use crate::{facts, telemetry::{metrics, names}};\nlet x = crate::app::Router;\nuse super::super::load::y;";
    assert_eq!(imports(source, 2), ["facts", "telemetry::", "app::Router", "load::y"].map(|p| p.trim_end_matches(':')));
    assert!(!may("telemetry::names", "telemetry"));
    assert!(may("telemetry::names", "telemetry::names::attr"));
    assert!(!may("telemetry::names", "telemetry::namespace"));
}

#[test]
fn every_file_opens_with_what_it_is() {
    for folder in ["src", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//! "), "{} does not open with a `//!` that says what it is", file.display());
        }
    }
}

#[test]
fn a_long_file_says_why() {
    for file in rust_files(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let (lines, reason) = (text.lines().count(), text.contains("// long: "));
        assert!(lines <= LONGEST || reason, "{} has {lines} lines and no `// long: REASON`", file.display());
    }
}

#[test]
fn no_profile_aborts_on_panic() {
    // /crash is a panic that the service survives.
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let sets = manifest.lines().any(|line| !line.starts_with('#') && line.replace(' ', "").contains("panic=\"abort\""));
    assert!(!sets, "Cargo.toml sets panic = \"abort\"");
}
