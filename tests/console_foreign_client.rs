//! A foreign client works: a Python OpenTelemetry program exports all three signals over gRPC and HTTP, and the query
//! API finds them. Needs the packages of tests/python/requirements.txt:
//! `python3 -m venv target/python && target/python/bin/pip install -r tests/python/requirements.txt`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/console.rs"]
mod support;

use std::path::PathBuf;
use std::process::Command;

use support::{console, get};

fn python() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SIGNALBOX_PYTHON").map_or(root.join("target/python/bin/python"), PathBuf::from);
    let imports = "import opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.grpc, opentelemetry.exporter.otlp.proto.http";
    let found = Command::new(&python).args(["-c", imports]).output().is_ok_and(|output| output.status.success());
    if !found {
        programs::not_run("python opentelemetry");
    }
    found.then_some(python)
}

/// The README's lines for a Rust service, with the address of this test's console instead of the variable.
#[tokio::test(flavor = "multi_thread")]
async fn a_rust_program_with_the_stock_exporter_is_found() {
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_otlp::WithExportConfig;
    let console = console().await;
    let endpoint = format!("http://{}", console.grpc);
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().unwrap();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    provider.tracer("shop").in_span("checkout", |_| ());
    tokio::task::spawn_blocking(move || provider.shutdown()).await.unwrap().unwrap();
    let traces = get(&console, "/api/v1/traces?name=checkout").await;
    assert_eq!(traces["traces"][0]["spans"], 1, "{traces}");
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_program_exports_all_signals_over_grpc_and_http_and_they_are_found() {
    let Some(python) = python() else { return };
    let console = console().await;
    for (protocol, endpoint) in [("grpc", console.grpc.to_string()), ("http", format!("http://{}", console.http))] {
        let service = format!("python-{protocol}");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/otlp_client.py");
        let mut client = tokio::process::Command::new(&python);
        // The environment of a developer must not change what is exported where.
        client.env_clear().arg(script).args([protocol, &endpoint, &service]).kill_on_drop(true);
        let output = tokio::time::timeout(std::time::Duration::from_secs(60), client.output()).await.unwrap().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol}: {errors}");
        let trace_id = String::from_utf8(output.stdout).unwrap().trim().to_owned();

        let trace = get(&console, &format!("/api/v1/traces/{trace_id}")).await;
        let span = &trace["spans"][0];
        assert_eq!((&span["name"], &span["service"]), (&"foreign work".into(), &service.clone().into()), "{errors}");
        assert_eq!((&span["attributes"]["answer"], &span["events"][0]["name"]), (&42.into(), &"thought".into()));
        let logs = get(&console, &format!("/api/v1/traces/{trace_id}/logs")).await;
        assert_eq!(logs["logs"][0]["body"], format!("hello from {protocol}"));
        assert_eq!(logs["logs"][0]["span_id"], span["span_id"], "the log belongs to the span");
        let series = get(&console, &format!("/api/v1/metrics/series?name=foreign.requests&service={service}")).await;
        assert_eq!(series["series"][0]["last"]["value"], 3.0);
        assert_eq!(series["series"][0]["attributes"]["protocol"], protocol);
        let series = get(&console, &format!("/api/v1/metrics/series?name=foreign.duration&service={service}")).await;
        assert_eq!(series["series"][0]["last"]["count"], 1);
    }
    console.stop().await;
}
