//! The dashboards are what Grafana 13 reads: TypeScript checks dashboards/*.json against `@grafana/schema` (npm). Says
//! `not run: npm` without Node or without its packages.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "dashboards")]

#[path = "support/programs.rs"]
mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use signalbox::dashboards::{Generated, files};

/// Mistakes that the types must catch: what is written, and what stands there instead.
const MISTAKES: &[(&str, &str)] = &[
    (r#""drawStyle":"line""#, r#""drawStyle":"lines""#),
    (r#""graphMode":"area""#, r#""graphMode":"aera""#),
    (r#""type":"timeseries""#, r#""type":"timeserie""#),
    (r#""lineWidth":2"#, r#""lineWidth":"2""#),
    (r#""showPoints""#, r#""showPoint""#),
    (r#""graphTooltip":1"#, r#""graphTooltip":7"#),
    (r#""textMode":"auto","#, ""),
    (r#""schemaVersion":42,"#, ""),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A copy of tests/grafana-schema below target/ with its packages installed; `Err` says why there is none.
fn workspace() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grafana-schema");
    fs::create_dir_all(folder.join("generated")).unwrap();
    let source = root().join("tests/grafana-schema");
    let lock = fs::read_to_string(source.join("package-lock.json")).unwrap();
    // npm ci removes and fetches everything again; once per lock is enough.
    let installed = fs::read_to_string(folder.join("installed")).is_ok_and(|text| text == lock);
    for name in ["package.json", "package-lock.json", "tsconfig.json", "checked.ts"] {
        fs::copy(source.join(name), folder.join(name)).unwrap();
    }
    if !installed {
        let install = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder)
            .output()
            .map_err(|error| error.to_string())?;
        if !install.status.success() {
            return Err(said(&install));
        }
        fs::write(folder.join("installed"), lock).unwrap();
    }
    Ok(folder)
}

fn name(file: &Generated) -> Option<&str> {
    file.path.strip_prefix("dashboards/")?.strip_suffix(".json")
}

/// The dashboard as a module; on one line, because `@ts-expect-error` covers one.
fn module(json: &str, wrong: bool) -> String {
    let expect = if wrong { "// @ts-expect-error a mistake that must be seen\n" } else { "" };
    format!(
        "import type {{ Checked }} from '../checked';\n{expect}export const dashboard = {json} satisfies Checked;\n"
    )
}

#[test]
fn every_dashboard_has_the_types_of_grafana_13_and_a_mistake_is_seen() {
    let folder = match workspace() {
        Ok(folder) => folder,
        Err(why) => return programs::not_run(&format!("npm ({why})")),
    };
    let generated = folder.join("generated");
    for entry in fs::read_dir(&generated).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let mut checked = 0;
    for file in files() {
        let Some(name) = name(&file) else { continue };
        let value: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(root().join(&file.path)).unwrap()).unwrap();
        fs::write(generated.join(format!("{name}.ts")), module(&value.to_string(), false)).unwrap();
        checked += 1;
        if name == "golden-signals" {
            for (index, (right, wrong)) in MISTAKES.iter().enumerate() {
                let text = value.to_string();
                assert!(text.contains(right), "golden-signals has no {right}: choose another mistake");
                let mistaken = text.replacen(right, wrong, 1);
                fs::write(generated.join(format!("mistake{index}.ts")), module(&mistaken, true)).unwrap();
            }
        }
    }
    let output =
        Command::new(folder.join("node_modules/.bin/tsc")).args(["-p", "."]).current_dir(&folder).output().unwrap();
    let told: String = said(&output).chars().take(4000).collect();
    assert!(output.status.success(), "dashboards/*.json are not what @grafana/schema says:\n{told}");
    println!("{checked} dashboards, {} mistakes seen", MISTAKES.len());
}
