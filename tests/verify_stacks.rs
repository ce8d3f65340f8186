//! `signalbox verify` for the real stacks, where the programs themselves cannot be had: stand-ins that answer as the
//! documentation of Tempo, Grafana and Pyroscope says. Prometheus and Loki themselves: `verify_real_backends.rs`; X-Ray: `verify_aws.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "console")]

#[path = "support/contract_stub.rs"]
mod contract_stub;

use std::collections::HashMap;
use std::process::Output;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData, span};
use prost::Message;
use serde_json::{Value, json};
use signalbox::telemetry::names::{REQUESTS, SERVICE_APP, attr};

use contract_stub::{Shared, nobody, serve, service};

/// Runs `verify` with every address a dead one but those given.
async fn verify(world: &Shared, args: &[&str], env: &[(&str, &str)]) -> Output {
    let app = serve(Router::new().fallback(service).with_state(world.clone())).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.arg("verify").args(args).env("APP_URL", app).env("SIGNALBOX_VERIFY_TIMEOUT", "1s");
    for variable in ["PROMETHEUS_URL", "MIMIR_URL", "LOKI_URL", "TEMPO_URL", "CONSOLE_URL", "GRAFANA_URL"] {
        command.env(variable, nobody());
    }
    for (variable, value) in env {
        command.env(variable, value);
    }
    command.output().await.unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line `{start}`:\n{text}"))
}

fn keys(attributes: &Value) -> Vec<KeyValue> {
    let value = |value: &Value| match value {
        Value::String(text) => any_value::Value::StringValue(text.clone()),
        other => any_value::Value::IntValue(other.as_i64().unwrap()),
    };
    let pair = |(key, of): (&String, &Value)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue { value: Some(value(of)) }),
        ..KeyValue::default()
    };
    attributes.as_object().unwrap().iter().map(pair).collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What Tempo answers to a trace by id: the trace in field 1.
#[derive(Clone, PartialEq, Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

fn otlp(trace: &Value) -> TraceById {
    let one = |json: &Value| Span {
        span_id: bytes(&json["span_id"]),
        parent_span_id: bytes(&json["parent_span_id"]),
        name: json["name"].as_str().unwrap().to_owned(),
        kind: span::SpanKind::from_str_name(&format!("SPAN_KIND_{}", json["kind"].as_str().unwrap())).unwrap() as i32,
        status: Some(Status { code: if json["status"]["code"] == "ERROR" { 2 } else { 0 }, ..Status::default() }),
        attributes: keys(&json["attributes"]),
        ..Span::default()
    };
    let spans = trace["spans"].as_array().unwrap().iter().map(one).collect();
    let resource = Resource { attributes: keys(&json!({"service.name": SERVICE_APP})), ..Resource::default() };
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let resource = ResourceSpans { resource: Some(resource), scope_spans: vec![scope], ..ResourceSpans::default() };
    TraceById { trace: Some(TracesData { resource_spans: vec![resource] }) }
}

async fn trace_by_id(State(world): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    assert_eq!(headers[header::ACCEPT], "application/protobuf");
    let trace = world.lock().unwrap().traces.get(&id).map(otlp);
    trace.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |trace| trace.encode_to_vec().into_response())
}

async fn search(State(world): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let traceql = &query["q"];
    let world = world.lock().unwrap();
    let found = world.traces.iter().filter(|(_, trace)| {
        let run = trace["spans"][0]["attributes"][attr::VERIFY_ID].as_str().unwrap().to_owned();
        traceql.contains(&format!("span.{} = \"{run}\"", attr::VERIFY_ID)) && traceql.contains(SERVICE_APP)
    });
    // As Tempo does, without leading zeros.
    let found = found.map(|(id, _)| json!({ "traceID": id.trim_start_matches('0') }));
    Json(json!({ "traces": found.collect::<Vec<_>>() }))
}

fn tempo(world: &Shared) -> Router {
    Router::new()
        .route("/api/v2/traces/{id}", get(trace_by_id))
        .route("/api/search", get(search))
        .with_state(world.clone())
}

#[tokio::test]
async fn a_backend_that_should_be_there_is_named_with_its_variable_and_its_checks_are_not_made() {
    let output = verify(&Shared::default(), &["--stack", "core"], &[]).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for (program, variable) in [("Prometheus", "PROMETHEUS_URL"), ("Loki", "LOKI_URL"), ("Tempo", "TEMPO_URL")] {
        let line = line(&text, &format!("FAIL  {program}: does not answer ({variable}=http://127.0.0.1:"));
        assert!(line.contains("refused"), "{line}");
    }
    assert!(line(&text, "FAIL  Tempo").contains("nor the console in its place (CONSOLE_URL="), "{text}");
    assert!(line(&text, "skip  Grafana").contains("does not run (GRAFANA_URL="), "{text}");
    for leg in ["traces", "logs", "metrics"] {
        assert!(
            line(&text, &format!("skip  {leg}: ")).ends_with(&format!("checks not made: nobody has {leg}")),
            "{text}"
        );
    }
    assert!(!text.contains("server span"), "{text}");
    // The stub has no POST /tasks, which asks no backend.
    assert_eq!(text.lines().last().unwrap(), "verify: 1 passed, 4 failed, 4 skipped");
}

#[tokio::test]
async fn traces_are_asked_from_tempo_by_id_and_by_traceql() {
    let world = Shared::default();
    let tempo = serve(tempo(&world)).await;
    let text = text(&verify(&world, &["--stack", "core"], &[("TEMPO_URL", &tempo)]).await);
    assert!(line(&text, "verify: run").contains(&format!("traces: Tempo {tempo}")), "{text}");
    for row in REQUESTS {
        let path = row.target.split('?').next().unwrap();
        line(&text, &format!("ok    {} {path}: server span  visible after ", row.method));
    }
    line(&text, "ok    GET /work: child span `simulate work`");
    line(&text, "ok    search: this run's traces by attribute");
    line(&text, "FAIL  GET /crash: exception event: no exception event");
    line(&text, "p95   traces visible after ");
}

#[tokio::test]
async fn without_tempo_the_console_has_the_traces_and_the_heading_says_so() {
    let world = Shared::default();
    let console = serve(contract_stub::console(&world)).await;
    let text = text(&verify(&world, &["--stack", "core"], &[("CONSOLE_URL", &console)]).await);
    assert!(line(&text, "verify: run").contains(&format!("the console {console} in Tempo's place")), "{text}");
    assert!(line(&text, "skip  Tempo: ").ends_with("the console in its place"), "{text}");
    line(&text, "ok    GET /work: server span");
}

/// A Grafana whose datasource `logs` is sick, with one dead panel, one excused one, and a rule that is not loaded.
fn grafana(world: &Shared) -> Router {
    let panel = |title: &str, expr: &str, description: &str| {
        json!({"title": title, "description": description, "datasource": {"type": "prometheus", "uid": "metrics"},
               "targets": [{"refId": "A", "expr": expr}]})
    };
    let variables = json!([{"name": "service", "current": {"value": SERVICE_APP}}, {"name": "route", "current": {}}]);
    let dashboard = json!({"dashboard": {"templating": {"list": variables}, "panels": [
        panel("Rate", "rate(requests{job=\"$service\",http_route=~\"${route}\"}[$__rate_interval])", "Per second."),
        panel("Dead", "renamed", "Per second."),
        panel("Vitals", "vitals", "How fast. Needs Faro data of a browser (lgtm)."),
    ]}});
    let health = |Path(uid): Path<String>| async move {
        match uid.as_str() {
            "logs" => (StatusCode::BAD_REQUEST, Json(json!({"status": "ERROR", "message": "connection refused"}))),
            _ => (StatusCode::OK, Json(json!({"status": "OK", "message": "fine"}))),
        }
    };
    let ask = |Json(body): Json<Value>| async move {
        let filled = format!("rate(requests{{job=\"{SERVICE_APP}\",http_route=~\".*\"}}[$__rate_interval])");
        let values = if body["queries"][0]["expr"] == filled.as_str() { json!([[1], [2.0]]) } else { json!([]) };
        assert_eq!(body["queries"][0]["datasource"]["uid"], "metrics");
        Json(json!({"results": {"A": {"status": 200, "frames": [{"schema": {}, "data": {"values": values}}]}}}))
    };
    let rules = json!([{"title": "Slow", "provenance": "file"}, {"title": "Errors", "provenance": "file"}]);
    let loaded = json!({"status": "success", "data": {"groups": [{"name": "slo", "rules": [
        {"name": "Slow", "state": "inactive", "health": "ok"}]}]}});
    let answer = |json: Value| get(move || async move { Json(json) });
    Router::new()
        .route("/api/health", answer(json!({"database": "ok"})))
        .route("/api/datasources", answer(json!([{"uid": "metrics"}, {"uid": "logs"}])))
        .route("/api/datasources/uid/{uid}/health", get(health))
        .route("/api/search", answer(json!([{"uid": "signalbox-routes", "title": "Routes", "type": "dash-db"}])))
        .route("/api/dashboards/uid/signalbox-routes", answer(dashboard))
        .route("/api/ds/query", post(ask))
        .route("/api/v1/provisioning/alert-rules", answer(rules))
        .route("/api/prometheus/grafana/api/v1/rules", answer(loaded))
        .nest("/api/datasources/proxy/uid/traces", tempo(world))
        .layer(axum::middleware::from_fn(only_the_administrator))
}

async fn only_the_administrator(request: Request, next: axum::middleware::Next) -> Response {
    // admin:secret
    let known = request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == "Basic YWRtaW46c2VjcmV0");
    if known { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
}

const PASSWORD: (&str, &str) = ("GF_SECURITY_ADMIN_PASSWORD", "secret");

#[tokio::test]
async fn grafana_is_asked_for_every_datasource_panel_and_alert_rule() {
    let world = Shared::default();
    let grafana = serve(grafana(&world)).await;
    let text = text(&verify(&world, &["--stack", "core"], &[("GRAFANA_URL", &grafana), PASSWORD]).await);
    line(&text, "ok    Grafana: datasource metrics reaches its backend");
    line(&text, "ok    Grafana: datasource traces reaches its backend");
    assert!(line(&text, "FAIL  Grafana: datasource logs").contains("connection refused"), "{text}");
    let dead = line(&text, "FAIL  Grafana: every panel of Routes has data: ");
    assert!(dead.contains("Dead: no data") && !dead.contains("Rate") && !dead.contains("Vitals"), "{dead}");
    line(&text, "FAIL  Grafana: every provisioned alert rule is evaluated: Errors is not loaded");
}

#[tokio::test]
async fn where_only_grafana_is_reachable_the_backends_are_asked_through_it() {
    let world = Shared::default();
    let grafana = serve(grafana(&world)).await;
    let text = text(&verify(&world, &["--stack", "core", "--grafana", &grafana], &[PASSWORD]).await);
    assert!(line(&text, "verify: run").contains("traces: Tempo behind Grafana"), "{text}");
    line(&text, "ok    GET /work: server span");
    // Its datasources of metrics and logs lead nowhere in this test, and are said to.
    line(&text, "FAIL  metrics: does not answer (Grafana's datasource: ");
    line(&text, "FAIL  logs: does not answer (Grafana's datasource: ");
}

#[tokio::test]
async fn a_wrong_password_of_grafana_is_said() {
    let grafana = serve(grafana(&Shared::default())).await;
    let text = text(&verify(&Shared::default(), &["--stack", "core", "--grafana", &grafana], &[]).await);
    assert!(line(&text, "FAIL  Grafana: does not answer (--grafana=").contains("401"), "{text}");
}

/// Pyroscope's answers: the service and the route have samples, spans have none.
fn pyroscope() -> Router {
    let merged = |Json(body): Json<Value>| async move {
        let known = body["labelSelector"].as_str().unwrap().contains(SERVICE_APP);
        Json(if known { json!({"flamegraph": {"names": ["total"], "total": "1000000"}}) } else { json!({}) })
    };
    Router::new()
        .route("/querier.v1.QuerierService/SelectMergeStacktraces", post(merged))
        .route("/querier.v1.QuerierService/SelectMergeSpanProfile", post(async || Json(json!({}))))
}

#[tokio::test]
async fn lgtm_names_what_it_lacks_and_asks_pyroscope_for_profiles() {
    let world = Shared::default();
    let (tempo, pyroscope) = (serve(tempo(&world)).await, serve(pyroscope()).await);
    let env = [("TEMPO_URL", tempo.as_str()), ("PYROSCOPE_URL", &pyroscope), ("PUBLIC_URL", &nobody())];
    let text = text(&verify(&world, &["--stack", "lgtm"], &env).await);
    assert!(line(&text, "skip  Mimir: does not run (MIMIR_URL=").ends_with("Prometheus in its place"), "{text}");
    line(&text, "FAIL  Prometheus: does not answer");
    line(&text, "ok    profiles: CPU time of the service");
    line(&text, "ok    profiles: CPU time of a route");
    line(&text, "FAIL  profiles: a span leads to its own samples: ");
    line(&text, "skip  nginx: a request through it has its span: does not run (PUBLIC_URL=");
}
