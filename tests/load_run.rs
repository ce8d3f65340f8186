//! `signalbox load` as a whole: the real binary against a stub app. What single parts do is tested beside them.

#![cfg(all(feature = "load", feature = "axum"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "support/load.rs"]
mod support;

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;
use support::{StubApp, load};

async fn output(mut command: std::process::Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn all_out(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_run_reports_statuses_phases_and_a_trace_for_each_failure_kind() {
    let app = StubApp::start(StatusCode::INTERNAL_SERVER_ERROR).await;
    let folder = tempfile::tempdir().unwrap();
    let (json, html) = (folder.path().join("report.json"), folder.path().join("report.html"));
    let host = format!("http://{}", app.address);
    let (json_arg, html_arg) = (json.to_str().unwrap(), html.to_str().unwrap());
    let args = ["--host", &host, "--for", "3s", "--users", "10", "--rate", "500", "--threshold", "errors<1%"];
    let reports = ["--report-json", json_arg, "--report-html", html_arg, "--quiet"];
    let output = output(load(&[&args[..], &reports[..]].concat())).await;
    let text = all_out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");

    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let seen = app.seen.lock().unwrap();
    let requests = report["requests"].as_u64().unwrap();
    assert!(requests > 100, "{report}");
    assert_eq!(requests, seen.requests.values().sum::<u64>(), "every request sent is counted");
    assert_eq!(report["failures"], 0, "{report}");
    let phases: Vec<_> = report["by_phase"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(phases, ["base", "spike", "recovery"]);
    let by_status: u64 = report["statuses"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(by_status, requests);
    for route in ["GET /", "GET /api/data", "GET /rolldice", "GET /work", "POST /tasks", "DELETE /tasks/7"] {
        assert!(seen.requests.contains_key(route), "no {route} in {:?}", seen.requests);
    }

    let kinds = report["failure_kinds"].as_array().unwrap();
    assert!(!kinds.is_empty(), "{report}");
    assert!(seen.traceparents.iter().all(|header| header.len() == 55), "every request carries its context");
    for kind in kinds {
        assert_eq!(kind["expected"], true, "{kind}");
        let trace = kind["trace_id"].as_str().unwrap();
        assert!(seen.traceparents.iter().any(|header| header.contains(trace)), "{trace} was never sent");
        assert!(text.contains(&format!("trace {trace}")), "{text}");
        assert!(std::fs::read_to_string(&html).unwrap().contains(trace));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_threshold_exits_1_and_says_measured_and_wanted() {
    let app = StubApp::start(StatusCode::INTERNAL_SERVER_ERROR).await;
    let host = format!("http://{}", app.address);
    let args = ["--host", &host, "--for", "1s", "--users", "2", "--threshold", "p50<1h", "--threshold", "rate>1000000"];
    let output = output(load(&args)).await;
    let text = all_out(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("threshold holds: wanted p50<1h"), "{text}");
    assert!(text.contains("threshold BROKEN: wanted rate>1000000, measured "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_an_unexpected_failure() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let args = ["--host", &host, "--for", "1s", "--users", "2", "--shape", "steady", "--threshold", "errors<1%"];
    let output = output(load(&args)).await;
    let text = all_out(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("measured 100.00%"), "{text}");
    assert!(
        text.lines().any(|line| line.contains("FAILED") && line.contains("connect") && line.contains("trace ")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_plan_in_gooses_syntax_names_its_steps() {
    let app = StubApp::start(StatusCode::INTERNAL_SERVER_ERROR).await;
    let host = format!("http://{}", app.address);
    let output = output(load(&["--host", &host, "--test-plan", "3,1s;3,1s;0,0", "--quiet"])).await;
    let text = all_out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("phase step 1, 3 users") && text.contains("phase step 2, 3 users"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_an_unbounded_run_with_its_report_and_exit_code_0() {
    let app = StubApp::start(StatusCode::INTERNAL_SERVER_ERROR).await;
    let host = format!("http://{}", app.address);
    let mut child = load(&["--host", &host, "--users", "2"]).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.seen.lock().unwrap().traceparents.len() < 5 {
        assert!(Instant::now() < deadline, "no requests arrived");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline + Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("the load did not end");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = child.wait_with_output().unwrap();
    let text = all_out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("requests in"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_flags_exit_64_naming_the_flag_before_anything_is_sent() {
    let wrong: [(&[&str], &str); 5] = [
        (&["--host", "http://example.com"], "--allow-remote"),
        (&["--host", "nonsense"], "--host"),
        (&["--threshold", "p96<1s"], "--threshold"),
        (&["--test-plan", "soon"], "--test-plan"),
        (&["--users", "0"], "--users"),
    ];
    for (args, named) in wrong {
        let output = output(load(args)).await;
        let text = all_out(&output);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {text}");
        assert!(text.contains(named), "{args:?}: {text}");
    }
}
