//! `signalbox verify` against a service and a console made of stubs: what is there passes, what is not is named.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "console")]

#[path = "support/contract_stub.rs"]
mod contract_stub;

use std::process::Output;

use axum::Router;
use serde_json::Value;
use signalbox::telemetry::names::REQUESTS;

use contract_stub::{Shared, console, nobody, serve, service};

async fn verify(world: &Shared, args: &[&str]) -> Output {
    let app = serve(Router::new().fallback(service).with_state(world.clone())).await;
    let console = serve(console(world)).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.arg("verify").args(args).env("APP_URL", app).env("CONSOLE_URL", console);
    command.env("SIGNALBOX_VERIFY_TIMEOUT", "1s").env("SIGNALBOX_TOKEN", "secret").output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn what_is_there_passes_and_what_is_missing_is_named() {
    let world = Shared::default();
    let output = verify(&world, &[]).await;
    let text = text(&output.stdout);
    let has = |start: &str| text.lines().any(|line| line.starts_with(start));
    assert_eq!(output.status.code(), Some(1), "{text}");
    for row in REQUESTS {
        let path = row.target.split('?').next().unwrap();
        assert!(has(&format!("ok    {} {path}: server span  visible after ", row.method)), "{path}:\n{text}");
        assert!(has(&format!("FAIL  {} {path}: metric point: ", row.method)), "{path}:\n{text}");
    }
    assert!(has("ok    GET /work: child span `simulate work`") && has("ok    GET /work: INFO log"), "{text}");
    assert!(has("FAIL  GET /crash: exception event: no exception event"), "{text}");
    assert!(has("FAIL  GET /external: child span `GET`: the call's own server span is not in the trace"), "{text}");
    assert!(has("ok    search: this run's traces by attribute"), "{text}");
    assert!(has("skip  spike: peak rate at least 3 times the base: no signalbox-load has sent anything"), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("verify: ") && last.contains(" failed, ") && last.ends_with(" skipped"), "{last}");
    let tokens = &world.lock().unwrap().tokens;
    assert!(!tokens.is_empty() && tokens.iter().all(|token| token == "Bearer secret"), "{tokens:?}");
}

#[tokio::test]
async fn a_lost_log_fails_its_own_check_only() {
    let world = Shared::default();
    world.lock().unwrap().without_logs = true;
    let output = verify(&world, &["--format", "json"]).await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = |name: &str| {
        let checks = document["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}"))["result"].clone()
    };
    assert_eq!(result("GET /work: INFO log in the same trace"), "failed");
    assert_eq!(result("GET /work: server span"), "passed");
    let summary = text(&output.stderr);
    assert!(summary.lines().last().unwrap().starts_with("verify: "), "{summary}");
}

#[tokio::test]
async fn junit_names_every_check() {
    let output = verify(&Shared::default(), &["--format", "junit"]).await;
    let xml = text(&output.stdout);
    assert!(xml.starts_with("<?xml") && xml.trim_end().ends_with("</testsuites>"), "{xml}");
    assert!(xml.matches("<testcase ").count() >= 20, "{xml}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_named() {
    let url = nobody();
    let output = verify(&Shared::default(), &["--app", &url]).await;
    let text = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("FAIL  GET /health: server span: no answer: ") && text.contains("refused"), "{text}");
}
