//! The query API of the page port: routes, parameters, OpenAPI. Called by `console::start`. Requests are parsed here,
//! answered by `query`; each route and its documentation are one entry of `routes`, so neither can lack the other.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::guard::{Guard, error};
use super::ingest::{Ingest, now};
use super::params::{BadParameter, Params, id};
use super::query::logs::{LogFilter, SEVERITIES};
use super::query::metrics::SeriesFilter;
use super::query::range::{Function, RangeQuery};
use super::query::traces::TraceFilter;
use super::query::{self, logs, metrics, traces};
use super::receiver::MAX_IN_FLIGHT;
use super::{guard, page, profiles, stream};

/// What handlers need.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// The store.
    pub(crate) ingest: Arc<Ingest>,
    /// Ends live streams.
    pub(crate) stop: CancellationToken,
}

/// Most steps of a range query, as in Prometheus.
const MAX_STEPS: usize = 11_000;

/// Names of query parameters and what they mean.
pub(crate) type Parameters = &'static [(&'static str, &'static str)];
/// JSON, or a 400 that names the parameter.
pub(crate) type Answer = Result<Json<Value>, BadParameter>;

const NO_PARAMETERS: Parameters = &[];
const TRACES: Parameters = &[
    ("service", "service.name of a span"),
    ("route", "http.route of a span"),
    ("name", "name of a span"),
    ("min_ms", "shortest duration of a span, milliseconds"),
    ("max_ms", "longest duration of a span, milliseconds"),
    ("status", "error, ok or unset"),
    ("attr", "KEY=VALUE on the span or its resource; repeatable"),
    ("since_unix_ms", "earliest start of a span"),
    ("limit", "1 to 1000, default 50"),
];
const LOGS: Parameters = &[
    ("service", "service.name"),
    ("severity", "TRACE, DEBUG, INFO, WARN, ERROR or FATAL: this or worse"),
    ("text", "text within the body, any case"),
    ("trace_id", "32 hex digits"),
    ("span_id", "16 hex digits"),
    ("event", "event name"),
    ("attr", "KEY=VALUE on the record or its resource; repeatable"),
    ("since_unix_ms", "earliest time"),
    ("limit", "1 to 1000, default 50"),
];
const SERIES: Parameters = &[
    ("name", "the metric; required"),
    ("service", "service.name"),
    ("attr", "KEY=VALUE on the series or its resource; repeatable"),
];
const RANGE: Parameters = &[
    ("name", "the metric; required"),
    ("fn", "last (default), rate, increase, avg, p50, p90, p95 or p99"),
    ("by", "attributes that keep series apart, comma separated; all others are summed over"),
    ("service", "service.name"),
    ("attr", "KEY=VALUE on the series or its resource; repeatable"),
    ("from_unix_ms", "begin; default 5 minutes before the end"),
    ("to_unix_ms", "end; default the last whole step"),
    ("step_ms", "step; default 1000, at most 11000 steps"),
];
const EXEMPLARS: Parameters = &[
    ("name", "the metric; required"),
    ("service", "service.name"),
    ("attr", "KEY=VALUE on the series or its resource; repeatable"),
    ("trace_id", "32 hex digits"),
    ("limit", "1 to 1000, default 50"),
];

/// One documented route.
struct Route {
    path: &'static str,
    summary: &'static str,
    parameters: Parameters,
    handler: MethodRouter<Api>,
}

fn routes() -> Vec<Route> {
    let route = |path, summary, parameters, handler| Route { path, summary, parameters, handler };
    vec![
        route("/health", "Liveness; needs no token", NO_PARAMETERS, get(health)),
        route("/openapi.json", "This document", NO_PARAMETERS, get(openapi)),
        route("/api/v1/status", "What is stored, received, rejected and evicted", NO_PARAMETERS, get(status)),
        route("/api/v1/services", "Who sends what", NO_PARAMETERS, get(services)),
        route("/api/v1/traces", "Traces with one span that meets all filters, newest first", TRACES, get(trace_list)),
        route("/api/v1/traces/{trace_id}", "All spans of a trace in waterfall order", NO_PARAMETERS, get(trace)),
        route("/api/v1/traces/{trace_id}/logs", "The log records of a trace", NO_PARAMETERS, get(trace_logs)),
        route("/api/v1/logs", "Log records, newest first", LOGS, get(log_list)),
        route("/api/v1/metrics", "Names, units and kinds of metrics", NO_PARAMETERS, get(metric_list)),
        route("/api/v1/metrics/series", "The series of a metric with their newest points", SERIES, get(series)),
        route("/api/v1/metrics/range", "A metric over time", RANGE, get(range)),
        route("/api/v1/metrics/exemplars", "Measurements that point at traces", EXEMPLARS, get(exemplars)),
        route(
            "/api/v1/profiles",
            "Services that are profiled, their span names and routes",
            NO_PARAMETERS,
            get(profiles::api::list),
        ),
        route(
            "/api/v1/profiles/flamegraph",
            "Stacks merged into one tree: nodes {name, total, self, parent}, each after its parent, the first the root",
            profiles::api::FLAMEGRAPH,
            get(profiles::api::flamegraph),
        ),
        route(
            "/api/v1/profiles/flamegraph.svg",
            "The same, drawn",
            profiles::api::DRAWING,
            get(profiles::api::drawing),
        ),
        route("/api/v1/stream", "Server-sent events: status, log, trace", NO_PARAMETERS, get(stream::stream)),
    ]
}

/// Everything on the page port.
pub(crate) fn router(api: Api, guard: Guard) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = router.route(route.path, route.handler);
    }
    let push = Router::new()
        .route(profiles::push::PATH, post(profiles::push::push))
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(MAX_IN_FLIGHT));
    router
        .merge(push)
        .merge(page::routes())
        .fallback(async || error(StatusCode::NOT_FOUND, "no such path; /openapi.json lists them"))
        .method_not_allowed_fallback(async || {
            error(StatusCode::METHOD_NOT_ALLOWED, "allowed is GET, and POST for profiles")
        })
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
        .layer(axum::middleware::from_fn_with_state(guard, guard::page))
        .with_state(api)
}

/// Pyroscope's push API in the OpenAPI document.
fn push_document() -> Value {
    json!({ "post": {
        "summary": "Pyroscope's push API: pprof profiles of a series, connect unary, gzip or plain",
        "requestBody": { "required": true, "content": { "application/proto": {} } },
        "responses": {
            "200": { "description": "taken", "content": { "application/proto": {} } },
            "400": { "description": "not readable: why; nothing of the push is kept" },
            "401": { "description": "the token is missing or wrong" },
            "413": { "description": "too large, compressed or not" },
            "415": { "description": "another content type or encoding" },
        },
    } })
}

/// The OpenAPI document.
fn document() -> Value {
    let mut paths = serde_json::Map::new();
    for route in routes() {
        let query = route.parameters.iter().map(|(name, description)| {
            let required = description.ends_with("required");
            json!({ "name": name, "in": "query", "description": description, "required": required, "schema": { "type": "string" } })
        });
        let in_path = route.path.contains("{trace_id}").then(|| {
            json!({ "name": "trace_id", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^[0-9a-fA-F]{32}$" } })
        });
        let media = match route.path {
            path if path.ends_with("/stream") => "text/event-stream",
            path if path.ends_with(".svg") => "image/svg+xml",
            _ => "application/json",
        };
        let failure = |why: &str| json!({ "description": why, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } } });
        let mut responses = json!({
            "200": { "description": route.summary, "content": { media: {} } },
            "401": failure("the token is missing or wrong"),
            "403": failure("the Host header is neither loopback nor the bind address"),
        });
        if in_path.is_some() || !route.parameters.is_empty() {
            responses["400"] = failure("a parameter is wrong: its name, value and what is allowed");
        }
        if route.path == "/api/v1/traces/{trace_id}" {
            responses["404"] = failure("no span of this trace is stored");
        }
        if route.path.ends_with(".svg") {
            responses["404"] = failure("no sample meets the filters");
        }
        let parameters: Vec<Value> = in_path.into_iter().chain(query).collect();
        let operation = json!({ "summary": route.summary, "parameters": parameters, "responses": responses });
        paths.insert(route.path.to_owned(), json!({ "get": operation }));
    }
    paths.insert(profiles::push::PATH.to_owned(), push_document());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "signalbox console",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times ending in _unix_ms are milliseconds since 1970 with fraction; ids are lower-case hex; \
                received = stored + evicted, always; retention is memory only.",
        },
        "paths": paths,
        "components": {
            "schemas": { "Error": { "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } } } },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn openapi() -> Json<Value> {
    Json(document())
}

async fn status(State(api): State<Api>, params: Params) -> Answer {
    params.only(NO_PARAMETERS)?;
    Ok(Json(query::status(&api.ingest.read(), &api.ingest.profiles(), api.ingest.started)))
}

async fn services(State(api): State<Api>, params: Params) -> Answer {
    params.only(NO_PARAMETERS)?;
    Ok(Json(query::services(&api.ingest.read())))
}

async fn trace_list(State(api): State<Api>, params: Params) -> Answer {
    params.only(TRACES)?;
    let filter = TraceFilter {
        service: params.text("service"),
        route: params.text("route"),
        name: params.text("name"),
        min_ms: params.number("min_ms", 0.0)?,
        max_ms: params.number("max_ms", 0.0)?,
        status: params.choice("status", &[("error", 2), ("ok", 1), ("unset", 0)])?,
        attributes: params.conditions()?,
        since_unix_ms: params.number("since_unix_ms", 0.0)?,
    };
    let limit = params.limit(50)?;
    Ok(Json(traces::list(&api.ingest.read(), &filter, limit)))
}

async fn trace(State(api): State<Api>, Path(text): Path<String>, params: Params) -> Result<Response, BadParameter> {
    params.only(NO_PARAMETERS)?;
    let trace = id("trace_id", &text)?;
    let found = traces::waterfall(&api.ingest.read(), &trace);
    Ok(match found {
        Some(waterfall) => Json(waterfall).into_response(),
        None => error(StatusCode::NOT_FOUND, format!("no span of trace {} is stored", text.to_lowercase())),
    })
}

async fn trace_logs(State(api): State<Api>, Path(text): Path<String>, params: Params) -> Answer {
    params.only(NO_PARAMETERS)?;
    let filter = LogFilter { trace_id: Some(id("trace_id", &text)?), ..LogFilter::default() };
    Ok(Json(logs::list(&api.ingest.read(), &filter, 1000)))
}

async fn log_list(State(api): State<Api>, params: Params) -> Answer {
    params.only(LOGS)?;
    let filter = LogFilter {
        service: params.text("service"),
        severity: params.choice("severity", &SEVERITIES)?,
        text: params.text("text"),
        trace_id: params.id("trace_id")?,
        span_id: params.id("span_id")?,
        event: params.text("event"),
        attributes: params.conditions()?,
        since_unix_ms: params.number("since_unix_ms", 0.0)?,
    };
    let limit = params.limit(50)?;
    Ok(Json(logs::list(&api.ingest.read(), &filter, limit)))
}

async fn metric_list(State(api): State<Api>, params: Params) -> Answer {
    params.only(NO_PARAMETERS)?;
    Ok(Json(metrics::list(&api.ingest.read())))
}

fn series_filter(params: &Params) -> Result<SeriesFilter, BadParameter> {
    let name = params.text("name").ok_or_else(|| BadParameter::new("name", "", "the name of a metric"))?;
    Ok(SeriesFilter { name, service: params.text("service"), attributes: params.conditions()? })
}

async fn series(State(api): State<Api>, params: Params) -> Answer {
    params.only(SERIES)?;
    let filter = series_filter(&params)?;
    Ok(Json(metrics::series(&api.ingest.read(), &filter)))
}

/// Milliseconds as nanoseconds; beyond the representable the largest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be at least 0; saturates")]
pub(crate) fn nanos(ms: f64) -> u64 {
    (ms * 1e6) as u64
}

async fn range(State(api): State<Api>, params: Params) -> Answer {
    params.only(RANGE)?;
    let step = nanos(params.number("step_ms", 1.0)?.unwrap_or(1_000.0));
    // Steps of a moving window stay where they are from one poll to the next, and none is half full.
    let to = params.number("to_unix_ms", 0.0)?.map_or_else(|| now() / step * step, nanos);
    let from = params.number("from_unix_ms", 0.0)?.map_or_else(|| to.saturating_sub(300_000_000_000), nanos);
    if from >= to {
        let text = params.text("from_unix_ms").or_else(|| params.text("to_unix_ms")).unwrap_or_default();
        return Err(BadParameter::new("from_unix_ms", &text, "a time before to_unix_ms"));
    }
    let by = params.text("by").map(|by| by.split(',').map(|key| key.trim().to_owned()).collect()).unwrap_or_default();
    let function = params.choice("fn", &Function::ALL)?.unwrap_or(Function::Last);
    let query = RangeQuery { series: series_filter(&params)?, function, by, from, to, step };
    if query.steps() > MAX_STEPS {
        let text = params.text("step_ms").unwrap_or_else(|| "1000".to_owned());
        return Err(BadParameter::new("step_ms", &text, format!("a step that makes at most {MAX_STEPS} points")));
    }
    let result = query::range::range(&api.ingest.read(), &query);
    let allowed = |why| format!("a function that fits the metric; {why}");
    result.map(Json).map_err(|why| BadParameter::new("fn", &params.text("fn").unwrap_or_default(), allowed(why)))
}

async fn exemplars(State(api): State<Api>, params: Params) -> Answer {
    params.only(EXEMPLARS)?;
    let (filter, trace, limit) = (series_filter(&params)?, params.id("trace_id")?, params.limit(50)?);
    Ok(Json(metrics::exemplars(&api.ingest.read(), &filter, trace, limit)))
}
