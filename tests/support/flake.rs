//! Evaluates the flake with stand-ins for its inputs (`nix/tests/stubs`). Included by `nix_*`, beside `programs`.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::programs;

pub(crate) const INPUTS: [&str; 4] = ["nixpkgs", "crane", "naersk", "nix2container"];
/// The system asked for; the others differ in nothing these tests read.
pub(crate) const SYSTEM: &str = "x86_64-linux";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Like `programs::find_or_say`, but where `.ci/run` found that Nix itself cannot be had it says so and passes.
pub(crate) fn find_or_say(program: &str) -> Option<PathBuf> {
    let unavailable = program == "nix" && std::env::var("SIGNALBOX_NIX").as_deref() == Ok("unavailable");
    if unavailable && programs::find(program).is_none() {
        println!("NOT RUN: {program} cannot be had on this machine");
        return None;
    }
    programs::find_or_say(program)
}

/// `nix ARGUMENTS` with every input replaced by its stand-in.
pub(crate) fn nix(arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(find_or_say("nix")?);
    command.current_dir(root()).args(arguments).arg("--no-write-lock-file");
    for input in INPUTS {
        command.args(["--override-input", input, &format!("path:./nix/tests/stubs/{input}")]);
    }
    Some(command)
}

pub(crate) fn evaluated(installable: &str, apply: &str) -> Option<Value> {
    let output = nix(&["eval", "--json", installable, "--apply", apply])?.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nix eval {installable}: {error}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// What an expression in `nix/` is worth; it may use `pkgs`, `lib`, `programs` and `stack` as our files make them.
pub(crate) fn inside(expression: &str) -> Option<Value> {
    let text = format!(
        "let lib = import ./nix/tests/stubs/nixpkgs/lib.nix;
             pkgs = ((import ./nix/tests/stubs/nixpkgs/flake.nix).outputs {{ }}).legacyPackages.{SYSTEM};
             parts = {{ inherit lib pkgs programs; rust.packages.default = pkgs.jq; source = import ./nix/source.nix parts; }};
             programs = import ./nix/programs.nix parts;
             stack = import ./nix/stack.nix parts;
         in {expression}"
    );
    let mut command = Command::new(find_or_say("nix")?);
    let output = command.current_dir(root()).args(["eval", "--impure", "--json", "--expr", &text]).output().unwrap();
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
