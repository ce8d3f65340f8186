//! A service and a console made of stubs: the service answers as the contract promises and writes down what it would emit,
//! the console shows that. Included by `verify_*`; no check may live here.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashMap;
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
pub(crate) struct World {
    /// Trace id -> the spans of the request.
    pub(crate) traces: HashMap<String, Value>,
    /// The stub does not store logs when this is set.
    pub(crate) without_logs: bool,
    /// Trace id -> the log record of the request.
    pub(crate) logs: HashMap<String, Value>,
    /// Values of `authorization` that the console was sent.
    pub(crate) tokens: Vec<String>,
}

/// Shared by the stubs of a test.
pub(crate) type Shared = Arc<Mutex<World>>;

/// Answers as the contract promises and writes down what the service would emit.
pub(crate) async fn service(State(world): State<Shared>, request: Request) -> impl IntoResponse {
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

/// Serves on a free port; the address.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The routes of the console that `verify` asks.
pub(crate) fn console(world: &Shared) -> Router {
    Router::new()
        .route("/api/v1/traces", get(traces))
        .route("/api/v1/traces/{id}", get(trace))
        .route("/api/v1/traces/{id}/logs", get(logs_of_trace))
        .route("/api/v1/services", get(services))
        .fallback(empty)
        .with_state(world.clone())
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> String {
    format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}
