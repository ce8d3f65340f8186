//! What one request may take: body size, time, a place among those in progress; and a panic ends it, not the service.
//! A layer inside `request_telemetry`, so that each refusal has its span and log. Limits of one route stay in its handler.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use opentelemetry::KeyValue;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::AppState;
use super::error::{ApiError, BODY_LIMIT};
use super::panics::{self, PanicReport};
use crate::telemetry::names::attr;

/// Probes and scrapes must answer while the service is full.
const EXEMPT: [&str; 3] = ["/health", "/ready", "/metrics"];

/// The layer.
pub(super) async fn enforce(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if declared_length(&request).is_some_and(|length| length > BODY_LIMIT as u64) {
        return ApiError::BodyTooLarge.into_response();
    }
    let exempt = EXEMPT.contains(&request.uri().path());
    let permit = state.places.clone().try_acquire_owned();
    if permit.is_err() && !exempt {
        return ApiError::Overloaded(state.config.concurrency_limit).into_response();
    }
    let limit = state.config.request_timeout;
    match tokio::time::timeout(limit, panics::catch(next.run(request))).await {
        Ok(Ok(response)) => response,
        Ok(Err(report)) => {
            record_exception(&report);
            ApiError::Panicked.into_response()
        }
        Err(_) => ApiError::Timeout(limit).into_response(),
    }
}

fn declared_length(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The exception on the span and, with the same attributes, as a log record of its trace.
fn record_exception(report: &PanicReport) {
    let attributes = vec![
        KeyValue::new(attr::EXCEPTION_TYPE, "panic"),
        KeyValue::new(attr::EXCEPTION_MESSAGE, report.message.clone()),
        KeyValue::new(attr::EXCEPTION_STACKTRACE, report.stacktrace.clone()),
    ];
    tracing::Span::current().add_event("exception", attributes);
    tracing::error!(
        "exception.type" = "panic",
        "exception.message" = report.message,
        "exception.stacktrace" = report.stacktrace,
        "a handler panicked: {}",
        report.message
    );
}
