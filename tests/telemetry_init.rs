//! `Telemetry::init` as a process sees it: each case runs this test program again as a child with its own environment,
//! because providers and subscriber are global.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#[path = "support/telemetry.rs"]
mod support;

use std::time::Duration;

use signalbox::telemetry::metrics::Histogram;
use signalbox::telemetry::names::WORK_DURATION;
use signalbox::telemetry::{Telemetry, propagation};
use support::{Behaviour, Receiver};

const CHILD: &str = "SIGNALBOX_TEST_CHILD";

/// Not a test of its own: what the child does.
#[tokio::test]
async fn child() {
    let Ok(kind) = std::env::var(CHILD) else { return };
    let telemetry = match kind.as_str() {
        "quiet" => Telemetry::init_quiet("child"),
        _ => Telemetry::init("child"),
    };
    let telemetry = match telemetry {
        Ok(telemetry) => telemetry,
        Err(error) => return println!("invalid: {error}"),
    };
    tracing::info_span!("work").in_scope(|| {
        Histogram::new(&WORK_DURATION).record(0.02, &[]);
        let mut headers = axum::http::HeaderMap::new();
        propagation::inject(&opentelemetry::Context::current(), &mut headers);
        tracing::info!(traceparent = headers.contains_key("traceparent"), "hello");
    });
    println!("exposition has it: {}", telemetry.exposition().render(true).contains("trace_id="));
    println!("{}", telemetry.shutdown(Duration::from_secs(10)).await);
}

async fn run(kind: &str, receiver: &Receiver, more: &[(&str, &str)]) -> String {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, kind);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", receiver.address)).envs(more.iter().copied());
    String::from_utf8(command.output().await.unwrap().stdout).unwrap()
}

#[tokio::test]
async fn init_connects_globals_stdout_exemplars_and_export() {
    let receiver = Receiver::grpc(Behaviour::Up).await;
    let out = run("loud", &receiver, &[]).await;
    assert!(out.contains(r#""traceparent":true"#), "{out}");
    assert!(out.contains(r#""trace_id":""#) && out.contains("exposition has it: true"), "{out}");
    assert!(out.contains("telemetry: spans 1 exported 0 lost, logs 1 exported 0 lost, points "), "{out}");
    assert!(!out.contains("the flush deadline passed"), "{out}");
    assert_eq!((receiver.taken.spans().len(), receiver.taken.records().len()), (1, 1));
    assert_eq!(receiver.taken.histogram_points(WORK_DURATION.name)[0].exemplars.len(), 1);
}

#[tokio::test]
async fn a_quiet_init_writes_no_json_to_stdout_but_exports() {
    let receiver = Receiver::grpc(Behaviour::Up).await;
    let out = run("quiet", &receiver, &[]).await;
    assert!(!out.contains("hello"), "{out}");
    assert_eq!(receiver.taken.records().len(), 1);
}

#[tokio::test]
async fn a_disabled_sdk_leaves_json_lines_on_stdout_and_sends_nothing() {
    let receiver = Receiver::grpc(Behaviour::Up).await;
    let out = run("loud", &receiver, &[("OTEL_SDK_DISABLED", "true")]).await;
    assert!(out.contains(r#""message":"hello""#), "{out}");
    assert_eq!(receiver.taken.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_wrong_variable_is_an_error_at_start() {
    let receiver = Receiver::refused().await;
    let out = run("loud", &receiver, &[("OTEL_TRACES_SAMPLER", "dice")]).await;
    assert!(out.contains("invalid: OTEL_TRACES_SAMPLER=\"dice\" is not valid"), "{out}");
}
