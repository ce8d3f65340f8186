//! OTLP over HTTP: `POST /v1/{traces,metrics,logs}` in protobuf and JSON, gzip or plain. Called by `console::start`.
//! Every refusal is a `google.rpc.Status` in the request's encoding, never a 5xx; what is kept is `ingest`'s business.

use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use opentelemetry_proto::tonic::collector::{logs, metrics, trace};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::grpc::{logs_response, metrics_response, trace_response};
use super::{MAX_IN_FLIGHT, MAX_MESSAGE, REQUEST_TIMEOUT};
use crate::console::convert::Rejected;
use crate::console::guard::Guard;
use crate::console::ingest::Ingest;

/// `google.rpc.Status`, of which OTLP uses code and message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    /// `google.rpc.Code`.
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    /// Why.
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match text.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn answer(self, status: StatusCode, message: &impl Message, json: &Json) -> Response {
        match self {
            Self::Protobuf => {
                (status, [(header::CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec()).into_response()
            }
            Self::Json => (status, [(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response(),
        }
    }

    fn refuse(self, refusal: Refusal) -> Response {
        let Refusal(status, message) = refusal;
        let code = match status {
            StatusCode::UNAUTHORIZED => 16,
            StatusCode::PAYLOAD_TOO_LARGE => 8,
            StatusCode::REQUEST_TIMEOUT => 4,
            StatusCode::METHOD_NOT_ALLOWED => 12,
            StatusCode::NOT_FOUND => 5,
            _ => 3,
        };
        let json = json!({ "code": code, "message": message });
        let mut response = self.answer(status, &RpcStatus { code, message }, &json);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Why a request is not taken.
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) String);

fn too_large() -> Refusal {
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("a message may have {MAX_MESSAGE} bytes, compressed or not"))
}

fn gzipped(headers: &HeaderMap) -> Result<bool, Refusal> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.as_bytes().trim_ascii() {
        b"gzip" => Ok(true),
        b"" | b"identity" => Ok(false),
        other => {
            let other = String::from_utf8_lossy(other);
            let message = format!("content-encoding {other:?} is not known: allowed is gzip, identity");
            Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

/// The body, unpacked, within the limits of size and time.
///
/// # Errors
/// When it is too large, too slow or badly packed.
pub(crate) async fn body(request: Request) -> Result<Bytes, Refusal> {
    let gzip = gzipped(request.headers())?;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_MESSAGE) {
        return Err(too_large());
    }
    let read = axum::body::to_bytes(request.into_body(), MAX_MESSAGE);
    let Ok(read) = tokio::time::timeout(REQUEST_TIMEOUT, read).await else {
        return Err(Refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned()));
    };
    let bytes = read.map_err(|error| {
        let limit = std::error::Error::source(&error).is_some_and(|e| e.to_string().contains("length limit"));
        if limit { too_large() } else { Refusal(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")) }
    })?;
    if !gzip {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    // One byte more than allowed tells "full" from "too large"; a bomb is not unpacked further.
    let unpack = flate2::read::MultiGzDecoder::new(&bytes[..]).take(MAX_MESSAGE as u64 + 1).read_to_end(&mut plain);
    unpack.map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("the body is not gzip: {error}")))?;
    if plain.len() > MAX_MESSAGE { Err(too_large()) } else { Ok(plain.into()) }
}

fn decode<T: Message + Default + DeserializeOwned>(encoding: Encoding, bytes: &Bytes) -> Result<T, Refusal> {
    let bad = |error: String| Refusal(StatusCode::BAD_REQUEST, error);
    match encoding {
        Encoding::Protobuf => T::decode(&**bytes).map_err(|e| bad(format!("the body is not OTLP protobuf: {e}"))),
        Encoding::Json => serde_json::from_slice(bytes).map_err(|e| bad(format!("the body is not OTLP JSON: {e}"))),
    }
}

/// The receiver's state.
#[derive(Debug, Clone)]
struct Receiver {
    ingest: Arc<Ingest>,
    guard: Guard,
}

async fn handle<T, R>(
    receiver: Receiver,
    request: Request,
    field: &str,
    take: impl FnOnce(&Ingest, T) -> Rejected,
    answer: impl FnOnce(Rejected) -> R,
) -> Response
where
    T: Message + Default + DeserializeOwned,
    R: Message,
{
    let encoding = Encoding::of(request.headers());
    let Some(encoding) = encoding else {
        let message = "content-type is not known: allowed is application/x-protobuf, application/json";
        return Encoding::Json.refuse(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned()));
    };
    if !receiver.guard.bearer(request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes)) {
        let message = "a token is needed: Authorization: Bearer T".to_owned();
        return encoding.refuse(Refusal(StatusCode::UNAUTHORIZED, message));
    }
    let message = match body(request).await {
        Ok(bytes) => decode(encoding, &bytes),
        Err(refusal) => Err(refusal),
    };
    match message {
        Err(refusal) => encoding.refuse(refusal),
        Ok(message) => {
            let rejected = take(&receiver.ingest, message);
            let json = if rejected.count == 0 {
                json!({})
            } else {
                // 64-bit numbers are text in protobuf's JSON.
                let mut partial = json!({ "errorMessage": rejected.reason });
                partial[field] = Json::from(rejected.count.to_string());
                json!({ "partialSuccess": partial })
            };
            encoding.answer(StatusCode::OK, &answer(rejected), &json)
        }
    }
}

async fn traces(State(receiver): State<Receiver>, request: Request) -> Response {
    type Message = trace::v1::ExportTraceServiceRequest;
    handle(receiver, request, "rejectedSpans", |i, m: Message| i.traces(m), trace_response).await
}

async fn logs(State(receiver): State<Receiver>, request: Request) -> Response {
    type Message = logs::v1::ExportLogsServiceRequest;
    handle(receiver, request, "rejectedLogRecords", |i, m: Message| i.logs(m), logs_response).await
}

async fn metrics(State(receiver): State<Receiver>, request: Request) -> Response {
    type Message = metrics::v1::ExportMetricsServiceRequest;
    handle(receiver, request, "rejectedDataPoints", |i, m: Message| i.metrics(m), metrics_response).await
}

fn refuse_as(headers: &HeaderMap, status: StatusCode, message: &str) -> Response {
    Encoding::of(headers).unwrap_or(Encoding::Json).refuse(Refusal(status, message.to_owned()))
}

/// The routes.
pub(crate) fn router(ingest: Arc<Ingest>, guard: Guard) -> Router {
    Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/logs", post(logs))
        .route("/v1/metrics", post(metrics))
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(MAX_IN_FLIGHT))
        .route("/health", get(async || axum::Json(json!({ "status": "ok" }))))
        .method_not_allowed_fallback(async |headers: HeaderMap| {
            refuse_as(&headers, StatusCode::METHOD_NOT_ALLOWED, "allowed is POST")
        })
        .fallback(async |headers: HeaderMap| {
            refuse_as(&headers, StatusCode::NOT_FOUND, "paths are /v1/traces, /v1/metrics, /v1/logs")
        })
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
        .with_state(Receiver { ingest, guard })
}
