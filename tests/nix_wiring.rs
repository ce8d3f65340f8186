//! The flake's wiring, evaluated with stand-ins for its inputs (`nix/tests/stubs`): what each image is told agrees with
//! `configs/`, and the checks are those of `.ci/run`. Nothing is built here: that takes an ordinary Nix.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/files.rs"]
mod files;
#[path = "support/flake.rs"]
mod flake;
#[path = "support/health.rs"]
mod health;
#[path = "support/process_files.rs"]
mod process_files;
#[path = "support/programs.rs"]
mod programs;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use flake::{SYSTEM, evaluated, find_or_say, nix, root};
use serde_json::{Value, json};
use signalbox::facts;

/// Every image, and the program of stack.json that it runs.
const IMAGES: &[(&str, &str)] = &[
    ("app", "app"),
    ("load-tester", "load"),
    ("console", "console"),
    ("collector", "collector"),
    ("loki", "loki"),
    ("prometheus", "prometheus"),
    ("tempo", "tempo"),
    ("mimir", "mimir"),
    ("pyroscope", "pyroscope"),
    ("alloy", "collector"),
    ("grafana", "grafana"),
    ("nginx", "nginx"),
    ("node-exporter", "node-exporter"),
    ("postgresql", "postgresql"),
    ("s3", "s3"),
];
/// Images without a health check, and why.
const NO_HEALTH: &[(&str, &str)] =
    &[("load-tester", "it ends by itself"), ("alloy", "its own page stays on loopback inside the container")];

/// Secrets: given when a container starts, never by an image.
const GIVEN: &[&str] = &["GF_SECURITY_ADMIN_PASSWORD", "ROOT_ACCESS_KEY", "ROOT_SECRET_KEY"];

/// In what an image is not told what `configs/processes` tells its program, and why: its `command`, or variables of its
/// environment by how they begin.
const UNLIKE: &[(&str, &str, &str)] = &[
    ("console", "command", "as a process it takes Tempo's ports; the image is the embedded backend on its own"),
    ("alloy", "command", "it is no process of any variant: it stands in the collector's place"),
    ("app", "DATABASE_URL", "in memory, until whoever runs it says where its tasks are kept"),
    ("app", "OTEL_B", "the memory of a container is that of limits.json, which full queues would be more than"),
    ("load-tester", "OTEL_B", "as the app's"),
];
/// Variables of the process files that only an image knows.
const IMAGE_LAYOUT: [(&str, &str); 1] = [("NGINX_CONFIG", "/etc/signalbox/configs/nginx/cluster.conf")];

/// `config` of each image by its name.
fn images() -> Option<Value> {
    let mut packages = evaluated(
        &format!(".#packages.{SYSTEM}"),
        "p: builtins.mapAttrs (_: image: image.arguments.config or null) p",
    )?;
    let images = packages.as_object_mut()?;
    images.retain(|name, _| name.starts_with("image-"));
    Some(packages)
}

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Variables that the configs of an image read and that have no default there.
fn variables_read(image: &str) -> Vec<String> {
    let folder = root().join("configs").join(image);
    // Our own programs have no folder there.
    let texts = if folder.is_dir() { files::below(&folder) } else { Vec::new() };
    let pattern = regex::Regex::new(r"(?m)\$(?:__env)?\{(?:env:)?([A-Z][A-Z0-9_]*)\}").unwrap();
    let mut names = Vec::new();
    for path in texts {
        let text = fs::read_to_string(path).unwrap_or_default();
        let code =
            text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])).collect::<Vec<_>>().join("\n");
        names.extend(pattern.captures_iter(&code).map(|found| found[1].to_owned()));
    }
    names.sort();
    names.dedup();
    names
}

/// What is wrong with the images; empty when they agree with `configs/`.
fn problems(images: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, program) in IMAGES {
        let image = &images[format!("image-{name}")];
        if image.is_null() {
            problems.push(format!("there is no image {name}"));
            continue;
        }
        problems.extend(image_problems(name, program, image).into_iter().map(|problem| format!("{name}: {problem}")));
    }
    problems
}

fn image_problems(name: &str, program: &str, image: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let entry = texts(image, "Entrypoint");
    if entry.len() != 1 || !(entry[0].starts_with("/nix/store/") || entry[0] == "/bin/signalbox") {
        problems.push(format!("entry point {entry:?}"));
    }
    match image["User"].as_str().and_then(|user| user.split_once(':')) {
        Some((user, _)) if user.parse::<u32>().is_ok_and(|id| id > 0) => {}
        _ => problems.push(format!("user {} is not numeric, or root", image["User"])),
    }
    let mut ports: Vec<String> = facts::program(program).ports.values().map(|port| format!("{port}/tcp")).collect();
    ports.sort();
    let mut exposed: Vec<_> =
        image["ExposedPorts"].as_object().into_iter().flatten().map(|(port, _)| port.clone()).collect();
    exposed.sort();
    if ports != exposed {
        problems.push(format!("exposes {exposed:?}, stack.json says {ports:?}"));
    }
    let told: BTreeMap<&str, &str> = texts(image, "Env").iter().filter_map(|pair| pair.split_once('=')).collect();
    for secret in GIVEN.iter().filter(|secret| told.contains_key(**secret)) {
        problems.push(format!("{secret} is a secret, and in the image"));
    }
    for variable in variables_read(name) {
        if GIVEN.contains(&variable.as_str()) {
            continue;
        }
        match (told.get(variable.as_str()), cluster().get(&variable)) {
            (Some(value), Some(expected)) if value == expected => {}
            (told, expected) => problems.push(format!("{variable} is {told:?}, cluster.env says {expected:?}")),
        }
    }
    for argument in texts(image, "Cmd") {
        if let Some((_, path)) = argument.split_once("/etc/signalbox/")
            && !root().join(path).exists()
        {
            problems.push(format!("argument {argument}: there is no {path}"));
        }
    }
    if !image["Volumes"]["/tmp"].is_object() {
        problems.push("/tmp is no volume: a read-only root would break it".to_owned());
    }
    health_problems(name, program, image, &mut problems);
    for (what, difference) in unlike_its_process(program, image) {
        if !UNLIKE.iter().any(|(image, begins, _)| *image == name && what.starts_with(begins)) {
            problems.push(difference);
        }
    }
    problems
}

/// In what an image is told otherwise than the process of its program.
fn unlike_its_process(program: &str, image: &Value) -> Vec<(String, String)> {
    let process = process_files::process(program).unwrap_or_else(|| panic!("no process {program}"));
    let entry = texts(image, "Entrypoint").first().copied().unwrap_or_default();
    let (package, file) = entry.split_once("/bin/").unwrap_or_default();
    let mut known = cluster();
    known.extend(IMAGE_LAYOUT.map(|(name, value)| (name.to_owned(), value.to_owned())));
    known.insert("GRAFANA_HOME".to_owned(), format!("{package}/share/grafana"));

    let mut differences = Vec::new();
    let mut wanted = process_files::command(&process, &known);
    wanted[0] = Path::new(&wanted[0]).file_name().unwrap().to_str().unwrap().to_owned();
    let mut told = texts(image, "Cmd");
    told.insert(0, if other_names(&wanted[0]).iter().any(|name| name == file) { &wanted[0] } else { file });
    if told != wanted {
        differences.push(("command".to_owned(), format!("is told {told:?}, its process {wanted:?}")));
    }
    let stop = process_files::stop_signal(&process).unwrap_or("SIGTERM");
    if image["StopSignal"] != stop {
        differences.push(("stop".to_owned(), format!("is stopped by {}, its process by {stop}", image["StopSignal"])));
    }
    let told = texts(image, "Env");
    for (variable, value) in process_files::environment(&process, &known) {
        if !GIVEN.contains(&variable.as_str()) && !told.contains(&format!("{variable}={value}").as_str()) {
            differences.push((variable.clone(), format!("{variable} is not as its process has it, {value:?}")));
        }
    }
    differences
}

/// What a program of the stack may be called elsewhere, as `backends/programs` has it.
fn other_names(program: &str) -> Vec<String> {
    let table = fs::read_to_string(root().join("backends/programs")).unwrap();
    let row = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let names =
        row.filter(|row| row[0] == program).flat_map(|row| row[2].split(',').map(str::trim).collect::<Vec<_>>());
    names.filter_map(|name| name.split(' ').next()).map(str::to_owned).collect()
}

fn health_problems(name: &str, program: &str, image: &Value, problems: &mut Vec<String>) {
    let label = image["Labels"]["io.signalbox.healthcheck"].as_str();
    let told: Option<Vec<String>> = label.map(|label| serde_json::from_str(label).unwrap());
    let excepted = NO_HEALTH.iter().any(|(image, _)| *image == name);
    let wanted = if excepted { None } else { health::check(program) };
    if told != wanted {
        problems.push(format!("health check {told:?}, it should be {wanted:?}"));
    }
}

fn cluster() -> BTreeMap<String, String> {
    dotenvy::from_path_iter(root().join("configs/environments/cluster.env")).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_output_evaluates() {
    let Some(mut command) = nix(&["flake", "check", "--no-build", "--all-systems"]) else { return };
    programs::check(&mut command).unwrap();
}

#[test]
fn the_lock_file_agrees_with_the_inputs() {
    let Some(nix) = find_or_say("nix") else { return };
    programs::check(Command::new(nix).current_dir(root()).args(["flake", "metadata", "--no-update-lock-file"]))
        .unwrap();
}

#[test]
fn every_image_is_told_what_configs_say() {
    let Some(images) = images() else { return };
    assert_eq!(problems(&images), Vec::<String>::new());
    assert_eq!(images.as_object().unwrap().len(), IMAGES.len(), "an image has no row in this test");
    for (name, begins, _) in UNLIKE {
        let (_, program) = IMAGES.iter().find(|(image, _)| image == name).unwrap();
        let differences = unlike_its_process(program, &images[format!("image-{name}")]);
        assert!(differences.iter().any(|(what, _)| what.starts_with(begins)), "{name} is like its process in {begins}");
    }
}

/// initdb wants a name for its user, and a shell; nobody else gets one.
#[test]
fn every_user_has_a_name_and_one_image_a_shell() {
    let root_of = "p: builtins.mapAttrs (_: i: (builtins.head i.arguments.copyToRoot).arguments.command)
        (removeAttrs p (builtins.filter (n: !(p.${n}.arguments ? copyToRoot)) (builtins.attrNames p)))";
    let Some(roots) = evaluated(&format!(".#packages.{SYSTEM}"), root_of) else { return };
    assert_eq!(roots.as_object().unwrap().len(), IMAGES.len());
    for (name, command) in roots.as_object().unwrap() {
        let command = command.as_str().unwrap();
        assert!(command.contains(":65532:65532:") && command.contains("> $out/etc/passwd"), "{name}: {command}");
        assert_eq!(command.contains("/bin/sh\n"), name == "image-postgresql", "{name}: {command}");
    }
}

#[test]
fn a_wrong_image_is_noticed() {
    let Some(images) = images() else { return };
    let breaks = [
        ("/image-app/Entrypoint", json!([])),
        ("/image-app/User", json!("0:0")),
        ("/image-app/User", json!("nobody")),
        ("/image-loki/ExposedPorts", json!({})),
        ("/image-loki/Env", json!([])),
        ("/image-loki/Cmd", json!(["-config.file=/etc/signalbox/configs/loki/other.yaml"])),
        ("/image-loki/Labels", json!({})),
        (
            "/image-tempo/Labels/io.signalbox.healthcheck",
            json!(r#"["CMD","/bin/signalbox","probe","http://127.0.0.1:1/ready"]"#),
        ),
        ("/image-postgresql/Labels/io.signalbox.healthcheck", json!(r#"["CMD","/bin/true"]"#)),
        ("/image-nginx/StopSignal", json!("SIGTERM")),
        ("/image-grafana/Volumes", json!({})),
        ("/image-s3", json!(null)),
        ("/image-tempo/Env", json!(without(&images, "tempo", "Env", "OTEL_TRACES_EXPORTER"))),
        ("/image-prometheus/Cmd", json!(without(&images, "prometheus", "Cmd", "--storage.tsdb.retention.size"))),
        ("/image-node-exporter/Cmd", json!(without(&images, "node-exporter", "Cmd", "--log.level"))),
    ];
    for (pointer, value) in breaks {
        let mut broken = images.clone();
        *broken.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there")) = value;
        assert_ne!(problems(&broken), Vec::<String>::new(), "{pointer}");
    }
}

/// A list of an image less those that begin so.
fn without<'a>(images: &'a Value, image: &str, list: &str, begins: &str) -> Vec<&'a str> {
    let all = texts(&images[format!("image-{image}")], list);
    all.into_iter().filter(|one| !one.starts_with(begins)).collect()
}

/// What systemd is told of each service of `services.signalbox`, with `settings` (Nix) over the options' defaults.
fn nixos_services(settings: &str) -> Option<Value> {
    flake::inside(&format!(
        "let
           self.packages.{SYSTEM} = {{ app = pkgs.jq // {{ meta.mainProgram = \"signalbox\"; }}; configs = pkgs.jq; }};
           self.inputs.nixpkgs.legacyPackages.{SYSTEM} = pkgs;
           host = import ./nix/module.nix {{ inherit self; }} {{
             inherit lib;
             pkgs = pkgs // {{ writeText = _: text: text; }};
             config.services.signalbox = builtins.mapAttrs (_: o: o.default) host.options.services.signalbox // {settings};
           }};
         in builtins.mapAttrs (_: service: service.serviceConfig) (host.config.systemd.services or {{ }})"
    ))
}

#[test]
fn a_nixos_host_runs_the_service_and_the_collector_as_the_processes_do() {
    let Some(off) = nixos_services("{ }") else { return };
    assert_eq!(off, json!({}), "nothing runs before `enable`");
    let settings = r#"{ enable = true; environment.LOKI_URL = "http://loki.internal:3100"; environmentFile = "/run/secrets/signalbox"; }"#;
    let on = nixos_services(settings).unwrap();
    let (app, collector) = (&on["signalbox"], &on["signalbox-collector"]);
    let started = |service: &Value| service["ExecStart"].as_str().unwrap().to_owned();
    assert!(started(app).starts_with("/nix/store/") && started(app).ends_with("/bin/signalbox app"), "{app}");

    let configs = |command: &str| -> Vec<String> {
        let words = command.split_whitespace().filter_map(|word| word.strip_prefix("--config="));
        words.map(|file| file.rsplit('/').next().unwrap().to_owned()).collect()
    };
    let process = process_files::variant("core")["collector"]["command"].as_str().unwrap().to_owned();
    assert!(started(collector).split(' ').next().unwrap().ends_with("/bin/otelcol-contrib"), "{collector}");
    assert_eq!(configs(&started(collector)), configs(&process));

    for service in [app, collector] {
        assert_eq!((&service["User"], &service["StateDirectory"]), (&json!("signalbox"), &json!("signalbox")));
        let files = texts(service, "EnvironmentFile");
        assert!(files[0].ends_with("/configs/environments/local.env"), "{files:?}");
        for line in [
            "SIGNALBOX_STATE=/var/lib/signalbox\n",
            "DATABASE_URL=sqlite:/var/lib/signalbox/",
            "LOKI_URL=http://loki.internal:3100\n",
        ] {
            assert!(files[1].contains(line), "{line}: {files:?}");
        }
        assert_eq!(files[2..], ["/run/secrets/signalbox"], "the last wins");
    }
    let other = nixos_services(r#"{ enable = true; environment.DATABASE_URL = "postgres://db/signalbox"; }"#).unwrap();
    let own = texts(&other["signalbox"], "EnvironmentFile")[1];
    assert!(own.contains("DATABASE_URL=postgres://db/signalbox\n") && !own.contains("sqlite"), "{own}");
}

#[test]
fn the_checks_of_the_flake_are_those_of_ci_run() {
    let Some(checks) = evaluated(&format!(".#checks.{SYSTEM}"), "builtins.attrNames") else { return };
    let listed = Command::new(root().join(".ci/run")).arg("--list").output().unwrap();
    let mut listed: Vec<String> = String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
    listed.sort();
    assert_eq!(json!(listed), checks, "nix/checks.nix and `.ci/run --list`");
}

#[test]
fn the_flake_stays_a_table_of_contents() {
    let lines = fs::read_to_string(root().join("flake.nix")).unwrap().lines().count();
    assert!(lines <= 60, "flake.nix has {lines} lines, at most 60");
}

#[test]
fn nix_files_are_formatted_and_without_dead_code() {
    for (program, flag) in [("nixfmt", "--check"), ("deadnix", "--fail")] {
        let Some(found) = find_or_say(program) else { continue };
        let files =
            files::below(&root().join("nix")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "nix"));
        programs::check(Command::new(found).current_dir(root()).arg(flag).arg("flake.nix").args(files)).unwrap();
    }
}
