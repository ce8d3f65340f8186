//! The programs that the flake's stacks and images run: every one is had, and what is not in nixpkgs has the right hash or
//! is fetched by the version that is locked. Evaluated with stand-ins for the inputs, as in `nix_wiring`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/files.rs"]
mod files;
#[path = "support/flake.rs"]
mod flake;
#[path = "support/programs.rs"]
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use flake::{find_or_say, inside, root};
use serde_json::{Value, json};

#[test]
fn each_stack_of_the_flake_has_the_programs_of_its_variant() {
    let lacking = "builtins.mapAttrs (variant: builtins.filter (name:
          !(programs ? ${name} && builtins.elem programs.${name} stack.variants.${variant})))
        (lib.importJSON ./configs/limits.json).variants";
    let Some(lacking) = inside(lacking) else { return };
    // Ours, and moto, which is a Python package.
    assert_eq!(lacking, json!({ "core": ["app", "load"], "lgtm": ["app", "load"], "aws": ["app", "load", "aws"] }));
}

/// As buildGoModule makes it: the hash of what `go mod vendor` writes.
#[test]
fn the_x_ray_daemons_vendor_hash_is_that_of_its_module() {
    let (Some(nix), Some(go)) = (find_or_say("nix"), find_or_say("go")) else { return };
    let Some(told) = inside("programs.xray-daemon.arguments.vendorHash") else { return };
    let folder = tempfile::tempdir().unwrap();
    for file in ["go.mod", "go.sum"] {
        fs::copy(root().join("backends/xray-daemon").join(file), folder.path().join(file)).unwrap();
    }
    let mut vendor = Command::new(go);
    if let Err(said) = programs::check(vendor.current_dir(&folder).args(["mod", "vendor"]).env("GOFLAGS", "")) {
        return programs::not_run(&format!("the modules of the X-Ray daemon cannot be had: {said}"));
    }
    let hash = Command::new(nix).args(["hash", "path"]).arg(folder.path().join("vendor")).output().unwrap();
    assert_eq!(told, json!(String::from_utf8(hash.stdout).unwrap().trim()), "vendorHash in nix/programs.nix");
}

/// nix/checks.nix reads the version in the first of them.
#[test]
fn every_terraform_stack_locks_the_same_provider() {
    let stacks = fs::read_dir(root().join("terraform")).unwrap();
    let locks = stacks.map(|stack| stack.unwrap().path().join(".terraform.lock.hcl"));
    let locks = locks.filter_map(|lock| fs::read_to_string(lock).ok()).collect::<BTreeSet<_>>();
    assert_eq!(locks.len(), 1, "terraform/*/.terraform.lock.hcl differ, or there is none");
}

/// The types of datasource that configs/grafana provisions.
fn datasource_types() -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for file in files::below(&root().join("configs/grafana")) {
        if file.parent().is_some_and(|folder| folder.ends_with("datasources")) {
            let text = fs::read_to_string(file).unwrap();
            let typed = text.lines().filter_map(|line| line.strip_prefix("    type: "));
            types.extend(typed.filter(|one| !one.starts_with("${")).map(str::to_owned));
        }
    }
    types
}

#[test]
fn grafana_has_every_datasource_and_fetches_what_is_not_locked() {
    let links = |more: &str| {
        let made = format!("(import ./nix/programs.nix (parts // {more})).grafana-plugins.arguments.links");
        Some(serde_json::from_value::<BTreeSet<String>>(inside(&format!("map (link: link.name) {made}"))?).unwrap())
    };
    let lock: BTreeMap<String, Value> =
        serde_json::from_str(&fs::read_to_string(root().join("nix/grafana-plugins.json")).unwrap()).unwrap();
    let unlocked = lock.iter().filter(|(_, plugin)| plugin["hashes"].as_object().unwrap().values().any(Value::is_null));
    let unlocked: BTreeSet<_> = unlocked.map(|(id, _)| id.clone()).collect();
    let Some(linked) = links("{ }") else { return };
    assert!(linked.is_disjoint(&unlocked), "{linked:?} are linked, {unlocked:?} have no hash");

    // The type of metrics on AWS is a variable: terraform/runtime has its value.
    let environment = fs::read_to_string(root().join("terraform/runtime/environment.tf")).unwrap();
    let amp =
        regex::Regex::new(r#"AMP_DATASOURCE_TYPE\s+= "(.+)""#).unwrap().captures(&environment).unwrap()[1].to_owned();
    let types = &datasource_types() | &BTreeSet::from([amp]);
    assert_eq!(&linked | &unlocked, types, "linked in the image or fetched; what configs/grafana wants");

    let filled = "builtins.mapAttrs (_: plugin: plugin // { hashes = { x86_64-linux = \"sha256-\"; }; })";
    let linked = links(&format!("{{ pluginLock = {filled} (lib.importJSON ./nix/grafana-plugins.json); }}")).unwrap();
    assert_eq!(linked, types, "a plugin with its hashes is linked");
    // What is fetched is made of the lock too: no version stands anywhere else.
    for file in files::below(&root().join("terraform/runtime")) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        assert!(!text.contains("-datasource@"), "{} repeats a version of nix/grafana-plugins.json", file.display());
    }
}

/// `nix run .#lock-plugins`, with a Nix that downloads nothing.
#[test]
fn one_command_fills_the_lock_of_the_plugins() {
    let (Some(bash), Some(_)) = (find_or_say("bash"), find_or_say("jq")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("nix/grafana-plugins.json");
    fs::create_dir(lock.parent().unwrap()).unwrap();
    fs::copy(root().join("nix/grafana-plugins.json"), &lock).unwrap();
    let nix = folder.path().join("nix/nix");
    fs::write(&nix, "#!/bin/sh\nfor last; do :; done\necho \"{ \\\"hash\\\": \\\"sha256-of $last\\\" }\"\n").unwrap();
    fs::set_permissions(&nix, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().join("nix").display(), std::env::var("PATH").unwrap());
    let script = root().join("nix/lock-plugins.sh");
    let mut command = Command::new(bash);
    programs::check(command.current_dir(&folder).env("PATH", path).args(["-euo", "pipefail"]).arg(script)).unwrap();
    let lock: Value = serde_json::from_str(&fs::read_to_string(lock).unwrap()).unwrap();
    for (id, plugin) in lock.as_object().unwrap() {
        for (system, arch) in [("x86_64-linux", "amd64"), ("aarch64-linux", "arm64")] {
            let version = plugin["version"].as_str().unwrap();
            let address =
                format!("https://grafana.com/api/plugins/{id}/versions/{version}/download?os=linux&arch={arch}");
            assert_eq!(plugin["hashes"][system], json!(format!("sha256-of {address}")), "{id} {system}");
        }
    }
}
