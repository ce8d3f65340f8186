//! Every error answer of the service: one enum, one status match, JSON bodies. Returned by handlers, extractors
//! and limits. A 5xx body is opaque: what went wrong is in the log of the same trace, never in the answer.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use utoipa::ToSchema;

use super::store::StoreError;

/// Largest request body, in bytes.
pub const BODY_LIMIT: usize = 1 << 20;
/// What a client told to go away should wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was not answered as it asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A parameter or the syntax of the body is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// The reference application's answer to `rolls` that is no number: it has its own body.
    #[error("Parameter rolls must be a positive integer")]
    RollsNotANumber,
    /// The reference application's answer to `rolls` below one: a 500 without a body.
    #[error("rolls={0} is below one")]
    RollsBelowOne(i64),
    /// No such route or row.
    #[error("not found")]
    NotFound,
    /// The route has no such method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The body did not arrive in time.
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    /// The body is above [`BODY_LIMIT`].
    #[error("the request body is larger than {BODY_LIMIT} bytes")]
    BodyTooLarge,
    /// The body is not JSON.
    #[error("the content type must be application/json")]
    NotJson,
    /// A field breaks its rule.
    #[error("{reason}")]
    Validation {
        /// The field.
        field: String,
        /// The rule it breaks.
        reason: String,
    },
    /// `GET /error`.
    #[error("simulated error")]
    Simulated(StatusCode),
    /// A handler panicked.
    #[error("internal error")]
    Panicked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The called service failed.
    #[error("external call failed: {0}")]
    External(String),
    /// More requests in progress than allowed.
    #[error("more than {0} requests in progress")]
    Overloaded(usize),
    /// Not ready: the store is unreachable or the service is draining.
    #[error("not ready: {0}")]
    NotReady(String),
    /// The handler took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// Body of an error answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong, in words.
    pub error: String,
    /// The field that is wrong (422 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The trace to look for (5xx only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// Left on the response for the request's span and log line; clients never see it.
#[derive(Debug, Clone)]
pub struct ErrorDetail {
    /// `error.type`: few values.
    pub kind: String,
    /// What went wrong, with everything we know.
    pub message: String,
}

/// Trace id of the current span, as 32 hex digits.
pub fn trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid().then(|| ids.trace_id().to_string())
}

impl ApiError {
    /// Status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::RollsNotANumber => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Validation { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Simulated(status) => *status,
            Self::RollsBelowOne(_) | Self::Panicked | Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::External(_) => StatusCode::BAD_GATEWAY,
            Self::Overloaded(_) | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// `error.type` of span and metric.
    fn kind(&self) -> String {
        match self {
            Self::Panicked => "panic".to_owned(),
            Self::Store(error) => error.kind().to_owned(),
            Self::Timeout(_) => "timeout".to_owned(),
            other => other.status().as_u16().to_string(),
        }
    }

    fn body(&self) -> ErrorBody {
        let status = self.status();
        if !status.is_server_error() {
            let field = match self {
                Self::Validation { field, .. } => Some(field.clone()),
                _ => None,
            };
            return ErrorBody { error: self.to_string(), field, trace_id: None };
        }
        let error = match self {
            Self::Panicked => "internal error".to_owned(),
            _ => status
                .canonical_reason()
                .unwrap_or("server error")
                .to_lowercase()
                .replace("internal server", "internal"),
        };
        ErrorBody { error, field: None, trace_id: trace_id() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = ErrorDetail { kind: self.kind(), message: self.to_string() };
        let status = self.status();
        let mut response = match &self {
            Self::RollsBelowOne(_) => status.into_response(),
            Self::RollsNotANumber => {
                (status, Json(serde_json::json!({ "status": "error", "message": self.to_string() }))).into_response()
            }
            _ => (status, Json(self.body())).into_response(),
        };
        if matches!(self, Self::Overloaded(_)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()));
        }
        response.extensions_mut().insert(detail);
        response
    }
}
