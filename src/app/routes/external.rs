//! `GET /external`: calls another service with the trace's context, as a CLIENT span.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use serde_json::{Value, json};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::app::AppState;
use crate::app::error::{ApiError, ErrorBody};
use crate::telemetry::names::attr;
use crate::telemetry::propagation;

/// Longest wait for the called service; shorter than the default request timeout, so that the answer is 502.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is passed on, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// Calls `EXTERNAL_URL` and passes its answer on.
#[utoipa::path(get, path = "/external", responses(
    (status = 200, description = "the called service's status and answer", body = Object),
    (status = 502, description = "the called service refused, failed or took too long", body = ErrorBody),
))]
pub(crate) async fn external(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let url = state.external_url.clone();
    let span = tracing::info_span!("HTTP client request", otel.name = "GET", otel.kind = "client");
    let address = url.host_str().unwrap_or_default().to_owned();
    let port = i64::from(url.port_or_known_default().unwrap_or_default());
    span.set_attribute(attr::HTTP_REQUEST_METHOD, "GET");
    span.set_attribute(attr::URL_FULL, without_credentials(url.clone()).to_string());
    span.set_attribute(attr::SERVER_ADDRESS, address.clone());
    span.set_attribute(attr::SERVER_PORT, port);
    let start = Instant::now();
    let result = call(&state, url, &span).instrument(span.clone()).await;
    let mut attributes = vec![
        KeyValue::new(attr::HTTP_REQUEST_METHOD, "GET"),
        KeyValue::new(attr::SERVER_ADDRESS, address),
        KeyValue::new(attr::SERVER_PORT, port),
    ];
    let status = result.as_ref().map_or_else(|failure| failure.status, |(status, _)| Some(*status));
    if let Some(status) = status {
        span.set_attribute(attr::HTTP_RESPONSE_STATUS_CODE, i64::from(status));
        attributes.push(KeyValue::new(attr::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
    }
    if let Err(failure) = &result {
        span.set_attribute(attr::ERROR_TYPE, failure.kind.clone());
        span.set_status(Status::error(failure.message.clone()));
        attributes.push(KeyValue::new(attr::ERROR_TYPE, failure.kind.clone()));
    }
    state.client_duration.record_in(&span.context(), start.elapsed().as_secs_f64(), &attributes);
    match result {
        Ok((status, answer)) => Ok(Json(json!({ "status": status, "answer": answer }))),
        Err(failure) => Err(ApiError::External(failure.message)),
    }
}

/// Why a call failed.
struct Failure {
    status: Option<u16>,
    kind: String,
    message: String,
}

impl Failure {
    fn new(status: Option<u16>, kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, kind: kind.into(), message: message.into() }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let kind = match () {
            () if error.is_timeout() => "timeout",
            () if error.is_connect() => "connect",
            () => "_OTHER",
        };
        // Without the URL: it may hold credentials, and the span has it.
        Self::new(error.status().map(|status| status.as_u16()), kind, format!("{kind}: {}", error.without_url()))
    }
}

async fn call(state: &AppState, url: reqwest::Url, span: &Span) -> Result<(u16, Value), Failure> {
    let mut headers = HeaderMap::new();
    propagation::inject(&span.context(), &mut headers);
    let mut response = state.client.get(url).headers(headers).send().await?;
    let status = response.status().as_u16();
    if status >= 400 {
        return Err(Failure::new(Some(status), status.to_string(), format!("it answered {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LIMIT {
            return Err(Failure::new(Some(status), "too_large", format!("its answer is above {ANSWER_LIMIT} bytes")));
        }
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

fn without_credentials(mut url: reqwest::Url) -> reqwest::Url {
    // Both fail only on URLs that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
