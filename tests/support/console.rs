//! A console in process and small OTLP messages to feed it. Included by tests/console_*.rs.
#![allow(dead_code, reason = "each test file uses its part")]

use std::future::Future;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde_json::Value as Json;
use signalbox::console::{Options, Running, start};

/// A console on free ports.
pub(crate) async fn console() -> Running {
    start(Options::default()).await.unwrap()
}

/// A console that asks for a token.
pub(crate) async fn console_with_token(token: &str) -> Running {
    start(Options { token: Some(token.to_owned()), ..Options::default() }).await.unwrap()
}

/// Asks the query API; status and JSON.
pub(crate) async fn ask(console: &Running, path: &str) -> (u16, Json) {
    let answer = reqwest::get(format!("http://{}{path}", console.page)).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Asks the query API, which must answer 200.
pub(crate) async fn get(console: &Running, path: &str) -> Json {
    let (status, json) = ask(console, path).await;
    assert_eq!(status, 200, "{path}: {json}");
    json
}

/// Posts to the OTLP/HTTP port.
pub(crate) async fn post(
    console: &Running,
    path: &str,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("http://{}{path}", console.http));
    request.header("content-type", content_type).body(body).send().await.unwrap()
}

/// Posts OTLP/JSON, which must be accepted; the answer.
pub(crate) async fn feed(console: &Running, path: &str, json: &Json) -> Json {
    let answer = post(console, path, "application/json", json.to_string()).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// Polls until `found` says yes, at most a minute: a machine may be busy.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut found: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !found().await {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A text attribute.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A request with `spans` of `service`.
pub(crate) fn trace_request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, ..Default::default() }] }
}

/// A valid root span.
pub(crate) fn span(trace: u8, id: u8) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_500_000_000,
        ..Span::default()
    }
}
