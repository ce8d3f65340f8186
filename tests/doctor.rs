//! `signalbox doctor`: says for each run mode what is there and how to get what is not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::{Command, Output};

fn doctor(args: &[&str], path: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signalbox"))
        .arg("doctor")
        .args(args)
        .env("PATH", path)
        .env("SIGNALBOX_BACKENDS", "/nowhere")
        .output()
        .unwrap()
}

#[test]
fn a_machine_with_no_tool_at_all_can_run_the_embedded_mode() {
    let output = doctor(&["--json"], "/nowhere");
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let modes = report["modes"].as_array().unwrap();
    let names = modes.iter().map(|mode| mode["mode"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names, ["embedded", "native processes", "images", "Kubernetes", "ECS", "single host"]);
    for mode in modes {
        assert_eq!(mode["ready"], mode["mode"] == "embedded", "{mode}");
        for tool in mode["tools"].as_array().unwrap() {
            assert!(tool["path"].is_null() && !tool["get"].as_str().unwrap().is_empty(), "{tool}");
        }
    }
}

#[test]
fn a_tool_on_the_path_is_shown_with_its_version() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("tofu");
    std::fs::write(&tool, "#!/bin/sh\necho OpenTofu v1.2.3\n").unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = doctor(&[], folder.path().to_str().unwrap());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().any(|line| line.contains("has") && line.contains("OpenTofu v1.2.3")), "{text}");
}

#[test]
fn what_just_backends_built_is_found_and_an_optional_tool_does_not_stand_in_the_way() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    for name in ["process-compose", "otelcol", "prometheus", "loki"] {
        let tool = folder.path().join("bin").join(name);
        std::fs::write(&tool, "#!/bin/sh\necho 1.2.3\n").unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.args(["doctor", "--json"]).env("PATH", "/nowhere").env("SIGNALBOX_BACKENDS", folder.path());
    let report: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let native = &report["modes"][1];
    let lacks = native["tools"].as_array().unwrap().iter().filter(|tool| tool["path"].is_null());
    assert!(lacks.clone().count() == 2 && lacks.clone().all(|tool| tool["optional"] == true), "{native}");
    // Its ports are fixed, and on this machine someone may have one.
    let free = native["ports"].as_array().unwrap().iter().all(|port| port["free"] == true);
    assert_eq!(native["ready"], free, "{native}");
}

#[test]
fn a_taken_port_is_shown_and_does_not_stand_in_the_way_of_up() {
    let port = signalbox::facts::port("console", "page");
    // Taken by this test or by someone else: both are taken.
    let _held = std::net::TcpListener::bind(("127.0.0.1", port));
    let output = doctor(&["--json"], "/nowhere");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let embedded = &report["modes"][0];
    let shown = embedded["ports"].as_array().unwrap().iter().find(|shown| shown["port"] == port).unwrap();
    assert_eq!((&shown["free"], &embedded["ready"]), (&false.into(), &true.into()));
}
