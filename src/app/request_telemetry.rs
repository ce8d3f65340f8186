//! The one layer that turns a request into telemetry: server span, duration with exemplar, counters, log line.
//! `app::router` puts it around every route and fallback. Nothing else may record `http.server.*`, so that trace,
//! metric and log cannot disagree.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{KeyValue, metrics as otel};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::AppState;
use super::error::ErrorDetail;
use crate::telemetry::metrics::{self, Histogram};
use crate::telemetry::names::{self, attr};
use crate::telemetry::profiles::marks::{self, Mark, Marked};
use crate::telemetry::propagation;

/// Header of every answer that names its trace.
pub const TRACE_ID_HEADER: &str = "x-trace-id";
/// The service itself speaks plain HTTP; TLS ends before it.
const SCHEME: &str = "http";
/// Asked every few seconds by machines: their good answers are logged at DEBUG.
const QUIET: [&str; 3] = ["/health", "/ready", "/metrics"];

/// Instruments of the layer.
#[derive(Debug, Clone)]
pub(super) struct Instruments {
    duration: Histogram,
    count: otel::Counter<u64>,
    active: otel::UpDownCounter<i64>,
}

impl Instruments {
    pub(super) fn new() -> Self {
        Self {
            duration: Histogram::new(&names::HTTP_SERVER_REQUEST_DURATION),
            count: metrics::counter(&names::REQUEST_COUNT),
            active: metrics::up_down_counter(&names::HTTP_SERVER_ACTIVE_REQUESTS),
        }
    }
}

/// Counts a request as active until dropped, which also happens when its client goes away.
struct Active {
    counter: otel::UpDownCounter<i64>,
    attributes: [KeyValue; 2],
}

impl Active {
    fn new(instruments: &Instruments, method: &'static str) -> Self {
        let attributes = [KeyValue::new(attr::HTTP_REQUEST_METHOD, method), KeyValue::new(attr::URL_SCHEME, SCHEME)];
        instruments.active.add(1, &attributes);
        Self { counter: instruments.active.clone(), attributes }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.counter.add(-1, &self.attributes);
    }
}

/// The layer.
pub(super) async fn record(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let _active = Active::new(&state.http, method);
    let span = server_span(&request, method, route.as_deref());
    let handled = next.run(request).instrument(span.clone());
    let mut response = match profile_mark(&span, method, route.as_deref()) {
        Some(mark) => mark.on(handled).await,
        None => handled.await,
    };
    let context = span.context();
    let trace_id = context.span().span_context().trace_id().to_string();
    if context.span().span_context().is_valid()
        && let Ok(value) = HeaderValue::from_str(&trace_id)
    {
        response.headers_mut().insert(TRACE_ID_HEADER, value);
    }
    let outcome = Outcome {
        method,
        route: route.as_deref(),
        status: response.status(),
        error: response.extensions().get::<ErrorDetail>(),
        elapsed: start.elapsed(),
    };
    outcome.finish_span(&span);
    outcome.measure(&state.http, &context);
    span.in_scope(|| outcome.log());
    response
}

/// The method, or `_OTHER` for one outside the conventions' list: a client must not choose label values.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(names::METHOD_OTHER)
}

fn span_name(method: &'static str, route: Option<&str>) -> String {
    let verb = if method == names::METHOD_OTHER { "HTTP" } else { method };
    route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}"))
}

/// Ties the samples of this request to its span, while a profiler runs and the span is kept.
fn profile_mark(span: &Span, method: &'static str, route: Option<&str>) -> Option<Mark> {
    if !marks::on() {
        return None;
    }
    let context = span.context().span().span_context().clone();
    if !context.is_sampled() {
        return None;
    }
    let (span_id, route_text) = (context.span_id(), route.map(str::to_owned));
    let mark = Mark::new(Marked { span_id, name: span_name(method, route), route: route_text })?;
    span.set_attribute(attr::PYROSCOPE_PROFILE_ID, span_id.to_string());
    Some(mark)
}

fn server_span(request: &Request, method: &'static str, route: Option<&str>) -> Span {
    let name = span_name(method, route);
    let span = tracing::info_span!("HTTP server request", otel.name = name, otel.kind = "server");
    // Without an OpenTelemetry layer (unit tests) there is no parent to set; that is no error of the request.
    let _ = span.set_parent(propagation::extract(request.headers()));
    span.set_attribute(attr::HTTP_REQUEST_METHOD, method);
    if method == names::METHOD_OTHER {
        span.set_attribute(attr::HTTP_REQUEST_METHOD_ORIGINAL, request.method().to_string());
    }
    if let Some(route) = route {
        span.set_attribute(attr::HTTP_ROUTE, route.to_owned());
    }
    span.set_attribute(attr::URL_SCHEME, SCHEME);
    span.set_attribute(attr::URL_PATH, request.uri().path().to_owned());
    if let Some(query) = request.uri().query() {
        span.set_attribute(attr::URL_QUERY, query.to_owned());
    }
    if let Some(version) = protocol_version(request.version()) {
        span.set_attribute(attr::NETWORK_PROTOCOL_VERSION, version);
    }
    set_peer(&span, request);
    for (name, key) in
        [(header::USER_AGENT.as_str(), attr::USER_AGENT_ORIGINAL), (names::VERIFY_HEADER, attr::VERIFY_ID)]
    {
        if let Some(value) = header_text(request.headers(), name) {
            span.set_attribute(key, value.to_owned());
        }
    }
    span
}

/// Both ends: the client's address and the server's as the client named it.
fn set_peer(span: &Span, request: &Request) {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        span.set_attribute(attr::CLIENT_ADDRESS, peer.ip().to_string());
    }
    let authority = header_text(request.headers(), header::HOST.as_str())
        .and_then(|host| host.parse::<axum::http::uri::Authority>().ok());
    if let Some(authority) = authority {
        span.set_attribute(attr::SERVER_ADDRESS, authority.host().to_owned());
        if let Some(port) = authority.port_u16() {
            span.set_attribute(attr::SERVER_PORT, i64::from(port));
        }
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

/// What became of a request.
struct Outcome<'a> {
    method: &'static str,
    route: Option<&'a str>,
    status: StatusCode,
    error: Option<&'a ErrorDetail>,
    elapsed: Duration,
}

impl Outcome<'_> {
    /// `error.type`; client errors are none of the server's.
    fn error_type(&self) -> Option<String> {
        self.status
            .is_server_error()
            .then(|| self.error.map_or_else(|| self.status.as_u16().to_string(), |error| error.kind.clone()))
    }

    fn finish_span(&self, span: &Span) {
        span.set_attribute(attr::HTTP_RESPONSE_STATUS_CODE, i64::from(self.status.as_u16()));
        if let Some(kind) = self.error_type() {
            span.set_attribute(attr::ERROR_TYPE, kind);
            span.set_status(Status::error(self.error.map(|error| error.message.clone()).unwrap_or_default()));
        }
    }

    fn measure(&self, instruments: &Instruments, context: &opentelemetry::Context) {
        let route = self.route.unwrap_or(names::ROUTE_UNMATCHED).to_owned();
        let mut attributes = vec![
            KeyValue::new(attr::HTTP_REQUEST_METHOD, self.method),
            KeyValue::new(attr::HTTP_ROUTE, route),
            KeyValue::new(attr::HTTP_RESPONSE_STATUS_CODE, i64::from(self.status.as_u16())),
        ];
        instruments.count.add(1, &attributes);
        attributes.push(KeyValue::new(attr::URL_SCHEME, SCHEME));
        attributes.extend(self.error_type().map(|kind| KeyValue::new(attr::ERROR_TYPE, kind)));
        instruments.duration.record_in(context, self.elapsed.as_secs_f64(), &attributes);
    }

    /// One line a request: ERROR for 5xx, WARN for 4xx, INFO else.
    fn log(&self) {
        let status = self.status.as_u16();
        let route = self.route.unwrap_or(names::ROUTE_UNMATCHED);
        let method = self.method;
        let ms = self.elapsed.as_secs_f64() * 1000.0;
        let error = self.error.map(|error| error.message.as_str());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    "http.request.method" = method,
                    "http.route" = route,
                    "http.response.status_code" = status,
                    "error.message" = error,
                    "{method} {route} {status} in {ms:.1} ms"
                )
            };
        }
        match status {
            500.. => line!(error),
            400..500 => line!(warn),
            _ if QUIET.contains(&route) => line!(debug),
            _ => line!(info),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_outside_the_conventions_is_other() {
        assert_eq!(known_method(&Method::PATCH), "PATCH");
        assert_eq!(known_method(&Method::from_bytes(b"BREW").unwrap()), names::METHOD_OTHER);
    }

    #[test]
    fn only_server_errors_have_an_error_type() {
        let outcome = |status| Outcome { method: "GET", route: None, status, error: None, elapsed: Duration::ZERO };
        assert_eq!(outcome(StatusCode::NOT_FOUND).error_type(), None);
        assert_eq!(outcome(StatusCode::BAD_GATEWAY).error_type().as_deref(), Some("502"));
    }
}
