//! configs/processes: every process is a program of the stack on its own port, has a log that rotates and a way to tell
//! that it is ready, and stops in order. process-compose itself reads the files where it can be had.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_yaml_ng::Value;
use signalbox::facts;

#[path = "support/process_files.rs"]
mod process_files;
#[path = "support/programs.rs"]
mod programs;

use process_files::{VARIANTS, file, variant};

#[test]
fn every_process_has_a_rotating_log_and_says_when_it_is_ready() {
    for name in VARIANTS {
        for (process, says) in variant(name) {
            let log = says["log_location"].as_str().unwrap_or_else(|| panic!("{name}: {process} has no log"));
            assert_eq!(log, format!("${{SIGNALBOX_STATE}}/logs/{process}.log"), "{name}: {process}");
            let rotation = &says["log_configuration"]["rotation"];
            assert!(rotation["max_size_mb"].is_u64() && rotation["max_backups"].is_u64(), "{name}: {process}");
            assert!(says["shutdown"]["timeout_seconds"].is_u64(), "{name}: {process} may hang the shutdown");
            // The load tester ends by itself; the X-Ray daemon answers nobody.
            if !["load", "xray-daemon"].contains(&process.as_str()) {
                assert_eq!(says["availability"]["restart"], "always", "{name}: {process}");
                assert_eq!(says["readiness_probe"]["period_seconds"], 1, "{name}: {process}");
            }
        }
    }
}

#[test]
fn every_process_is_a_program_of_the_stack_on_its_own_ports() {
    let number = regex::Regex::new(r"(?:127\.0\.0\.1:|\$\{SIGNALBOX_BIND\}:|port (?:\$\{\w+:-)?)(\d+)").unwrap();
    for name in VARIANTS {
        for (process, says) in variant(name) {
            let mut ports: Vec<u16> = facts::program(&process).ports.values().copied().collect();
            if process == "console" {
                ports.extend(facts::program("tempo").ports.values());
            }
            let mut text = format!("{:?} {:?}", says["command"], says["readiness_probe"]);
            // Started by a script of its own.
            let script = file(&process).with_extension("");
            text += &std::fs::read_to_string(script).unwrap_or_default().replace("port=", "port ");
            for port in number.captures_iter(&text) {
                let port = port[1].parse().unwrap();
                assert!(ports.contains(&port), "{name}: {process} uses {port}, configs/stack.json has {ports:?}");
            }
        }
    }
}

#[test]
fn load_stops_before_the_app_the_app_before_the_collector_and_backends_last() {
    let core: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(file("core")).unwrap()).unwrap();
    assert_eq!(core["ordered_shutdown"], true);
    // A process stops when nothing that depends on it runs any more.
    for name in VARIANTS {
        let all = variant(name);
        let needs = |process: &str, other: &str| !all[process]["depends_on"][other].is_null();
        assert!(needs("load", "app") && needs("app", "collector"), "{name}");
        let backends = ["prometheus", "loki", "tempo", "console", "mimir", "aws"];
        for backend in backends.into_iter().filter(|backend| all.contains_key(*backend)) {
            assert!(needs("collector", backend), "{name}: {backend} would stop before the collector has told it all");
        }
    }
}

#[test]
fn process_compose_reads_every_variant() {
    let Some(program) = programs::find_or_say("process-compose") else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in VARIANTS {
        let mut command = Command::new(&program);
        command.envs(facts::local_settings()).env("SIGNALBOX_STATE", folder.path()).env("SIGNALBOX_CONFIGS", "configs");
        command.envs([("PC_DISABLE_DOTENV", "1"), ("CONSOLE_DISABLED", "false"), ("PC_LOG_FILE", "/dev/null")]);
        let said = programs::check(command.arg("-f").arg(file(name)).arg("--dry-run")).unwrap();
        assert!(said.contains(&format!("Validated {} configured processes", variant(name).len())), "{name}: {said}");
    }
}

#[test]
fn postgresql_says_which_folder_its_user_cannot_enter() {
    let Some(server) = programs::find_or_say("postgres") else { return };
    if !programs::is_root() {
        return eprintln!("not run: only as root is the server's user another");
    }
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    let folder = closed.path().join("postgresql");
    let path = format!("{}:{}", server.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("configs/processes/postgresql");
    let answer = command.arg(&folder).arg("127.0.0.1").env("PATH", path).output().unwrap();
    let said = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(answer.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("`{}` cannot be written by the user", folder.display())), "{said}");
    assert!(!folder.join("data").exists());
}
