//! `signalbox verify` against a service and a console made of stubs: what is there passes, what is not is named.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "console")]

use std::collections::HashMap;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use signalbox::telemetry::names::{REQUESTS, SERVICE_APP, VERIFY_HEADER, attr};

/// What both stubs know: the service writes what the console shows.
#[derive(Default)]
struct World {
    /// Trace id -> the spans of the request.
    traces: HashMap<String, Value>,
    /// The stub does not store logs when this is set.
    without_logs: bool,
    logs: HashMap<String, Value>,
    tokens: Vec<String>,
}

type Shared = Arc<Mutex<World>>;

async fn service(State(world): State<Shared>, request: Request) -> impl IntoResponse {
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let (traceparent, run) = (header("traceparent"), header(VERIFY_HEADER));
    let [version, trace_id, parent, flags] = traceparent.split('-').collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((version, flags, trace_id.len(), parent.len()), ("00", "01", 32, 16));
    let target = request.uri().path_and_query().unwrap().as_str();
    let row = REQUESTS.iter().find(|row| row.target == target && row.method == request.method().as_str());
    let Some(row) = row else { return (StatusCode::NOT_FOUND, String::new()) };
    let span = |id: &str, parent: &str, name: &str, kind: &str, attributes: Value| {
        json!({"span_id": id, "parent_span_id": parent, "name": name, "kind": kind, "service": SERVICE_APP,
               "status": {"code": if row.status >= 500 { "ERROR" } else { "UNSET" }, "message": ""},
               "attributes": attributes, "events": []})
    };
    let attributes = json!({attr::HTTP_REQUEST_METHOD: row.method, attr::HTTP_ROUTE: row.route,
                            attr::HTTP_RESPONSE_STATUS_CODE: row.status, attr::VERIFY_ID: run});
    let server = span("00000000000000aa", parent, &format!("{} {}", row.method, row.route), "SERVER", attributes);
    let mut spans = vec![server];
    for name in row.child_spans {
        let attributes = json!({attr::DB_SYSTEM_NAME: "sqlite"});
        spans.push(span("00000000000000bb", "00000000000000aa", name, "CLIENT", attributes));
    }
    let mut world = world.lock().unwrap();
    if let (Some(severity), false) = (row.log, world.without_logs) {
        let log = json!({"time_unix_ms": 1.0, "severity": severity, "body": "done", "trace_id": trace_id,
                         "span_id": "00000000000000aa", "attributes": {}});
        world.logs.insert(trace_id.to_owned(), log);
    }
    world.traces.insert(trace_id.to_owned(), json!({ "spans": spans }));
    (StatusCode::from_u16(row.status).unwrap(), format!("trace {trace_id}"))
}

async fn logs_of_trace(State(world): State<Shared>, Path(id): Path<String>) -> Json<Value> {
    let log = world.lock().unwrap().logs.get(&id).cloned();
    Json(json!({ "logs": log.into_iter().collect::<Vec<_>>() }))
}

async fn trace(State(world): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    world.lock().unwrap().traces.get(&id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn traces(State(world): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let wanted = query["attr"].strip_prefix(&format!("{}=", attr::VERIFY_ID)).unwrap().to_owned();
    let world = world.lock().unwrap();
    let of_run = |trace: &Value| trace["spans"][0]["attributes"][attr::VERIFY_ID] == wanted.as_str();
    let ids = world.traces.iter().filter(|(_, trace)| of_run(trace)).map(|(id, _)| json!({ "trace_id": id }));
    Json(json!({ "traces": ids.collect::<Vec<_>>() }))
}

async fn empty() -> Json<Value> {
    Json(json!({"logs": [], "metrics": [], "series": [], "exemplars": [], "services": []}))
}

async fn services(State(world): State<Shared>, request: Request) -> Json<Value> {
    let token = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    world.lock().unwrap().tokens.extend(token);
    empty().await
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn verify(world: &Shared, args: &[&str]) -> Output {
    let app = serve(Router::new().fallback(service).with_state(world.clone())).await;
    let console = Router::new()
        .route("/api/v1/traces", get(traces))
        .route("/api/v1/traces/{id}", get(trace))
        .route("/api/v1/traces/{id}/logs", get(logs_of_trace))
        .route("/api/v1/services", get(services))
        .fallback(empty)
        .with_state(world.clone());
    let console = serve(console).await;
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
async fn a_stack_that_is_not_built_yet_is_refused() {
    let output = verify(&Shared::default(), &["--stack", "core"]).await;
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--stack=\"core\" is not valid"), "{output:?}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let output = verify(&Shared::default(), &["--app", &url]).await;
    let text = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("FAIL  GET /health: server span: no answer: ") && text.contains("refused"), "{text}");
}
