//! One request of a journey: paced, traced as a root CLIENT span, measured, recorded. Called by `journeys` only.
//! What a journey does must not go in it.
//!
//! goose owns the users and their HTTP client; its own request bookkeeping is off, because it would start the clock
//! before the pacing, count the errors we ask for, and know no trace.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use goose::goose::{GooseMethod, GooseUser};
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio_util::sync::CancellationToken;

use super::recorder::{Failure, Outcome, Recorder};
use crate::telemetry::metrics::Histogram;
use crate::telemetry::names::{self, attr};
use crate::telemetry::propagation;

/// What a request is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// Journey that it belongs to.
    pub(super) journey: &'static str,
    /// Method and route, such as `GET /tasks/{id}`.
    pub(super) name: &'static str,
    /// Path and query.
    pub(super) path: &'a str,
    /// JSON body.
    pub(super) body: Option<&'a serde_json::Value>,
    /// Error status that the journey asks for.
    pub(super) expected_error: Option<u16>,
}

/// Sends requests to one service.
#[derive(Debug)]
pub(super) struct Client {
    base: reqwest::Url,
    server: [KeyValue; 2],
    tracer: BoxedTracer,
    duration: Histogram,
    pace: Option<Pace>,
    stop: CancellationToken,
    pub(super) recorder: Recorder,
}

impl Client {
    /// A client of `base`; `rate` bounds the requests a second (0: unbounded).
    pub(super) fn new(base: reqwest::Url, rate: usize, stop: CancellationToken) -> Self {
        let address = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = i64::from(base.port_or_known_default().unwrap_or_default());
        Self {
            server: [KeyValue::new(attr::SERVER_ADDRESS, address), KeyValue::new(attr::SERVER_PORT, port)],
            base,
            tracer: global::tracer(names::SCOPE),
            duration: Histogram::new(&names::HTTP_CLIENT_REQUEST_DURATION),
            pace: (rate > 0).then(|| Pace::new(rate)),
            stop,
            recorder: Recorder::default(),
        }
    }

    /// Sends a request and reads the answer's body; `None` when it failed without an answer or the run is over.
    pub(super) async fn send(&self, user: &GooseUser, call: Call<'_>) -> Option<(u16, Vec<u8>)> {
        if let Some(pace) = &self.pace {
            tokio::select! {
                () = pace.wait() => {}
                () = self.stop.cancelled() => return None,
            }
        }
        let url = self.base.join(call.path).ok()?;
        let method = call.name.split(' ').next().unwrap_or_default();
        let context = self.open_span(&call, method, url.as_str());
        let mut headers = http::HeaderMap::new();
        propagation::inject(&context, &mut headers);

        let started = Instant::now();
        let answer = exchange(user, method, url.as_str(), headers, call.body).await;
        let elapsed = started.elapsed();

        let (code, error) = match &answer {
            Ok((code, _)) => (Some(*code), (*code >= 400).then(|| code.to_string())),
            Err(kind) => (None, Some((*kind).to_owned())),
        };
        self.close_span(&context, method, code, error.as_deref(), elapsed);
        let status = code.map_or_else(|| error.clone().unwrap_or_default(), |code| code.to_string());
        self.record(&context, &call, code, &status, elapsed);
        answer.ok()
    }

    /// Each request is a root of its own: a trace stays one request long, whatever the journey does next.
    fn open_span(&self, call: &Call<'_>, method: &str, url: &str) -> Context {
        let [address, port] = self.server.clone();
        let span = self
            .tracer
            .span_builder(call.name)
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new(attr::HTTP_REQUEST_METHOD, method.to_owned()),
                KeyValue::new(attr::URL_FULL, url.to_owned()),
                KeyValue::new(
                    attr::URL_TEMPLATE,
                    call.name.split_once(' ').map_or(call.path.to_owned(), |(_, path)| path.to_owned()),
                ),
                KeyValue::new(attr::LOAD_JOURNEY, call.journey),
                address,
                port,
            ])
            .start_with_context(&self.tracer, &Context::new());
        Context::new().with_span(span)
    }

    fn close_span(&self, context: &Context, method: &str, code: Option<u16>, error: Option<&str>, elapsed: Duration) {
        let [address, port] = self.server.clone();
        let mut labels = vec![KeyValue::new(attr::HTTP_REQUEST_METHOD, method.to_owned()), address, port];
        let span = context.span();
        if let Some(code) = code {
            labels.push(KeyValue::new(attr::HTTP_RESPONSE_STATUS_CODE, i64::from(code)));
            span.set_attribute(KeyValue::new(attr::HTTP_RESPONSE_STATUS_CODE, i64::from(code)));
        }
        if let Some(error) = error {
            labels.push(KeyValue::new(attr::ERROR_TYPE, error.to_owned()));
            span.set_attribute(KeyValue::new(attr::ERROR_TYPE, error.to_owned()));
            span.set_status(Status::error(""));
        }
        self.duration.record_in(context, elapsed.as_secs_f64(), &labels);
        span.end();
    }

    fn record(&self, context: &Context, call: &Call<'_>, code: Option<u16>, status: &str, duration: Duration) {
        let failure = match (code, call.expected_error) {
            (Some(code), Some(expected)) if code == expected => Some(Failure::Expected),
            (Some(code), None) if code < 400 => None,
            // Without the error that was asked for, the service is wrong too.
            _ => Some(Failure::Unexpected),
        };
        let ids = context.span().span_context().clone();
        let (trace_id, sampled) = (ids.trace_id(), ids.is_sampled());
        let first = self.recorder.record(&Outcome { name: call.name, status, duration, failure, sampled, trace_id });
        // Once a kind: a service that is down must not flood the logs too.
        if first && failure == Some(Failure::Unexpected) {
            let _current = context.clone().attach();
            tracing::warn!(request = call.name, error = status, "first request that failed in this way");
        }
    }
}

/// One exchange over the user's connection; the error is a low-cardinality `error.type`.
async fn exchange(
    user: &GooseUser,
    method: &str,
    url: &str,
    headers: http::HeaderMap,
    body: Option<&serde_json::Value>,
) -> Result<(u16, Vec<u8>), &'static str> {
    let method = match method {
        "POST" => GooseMethod::Post,
        "PUT" => GooseMethod::Put,
        "DELETE" => GooseMethod::Delete,
        _ => GooseMethod::Get,
    };
    let builder = user.get_request_builder(&method, url).map_err(|_| "request")?.headers(headers);
    let builder = match body {
        Some(body) => builder.json(body),
        None => builder,
    };
    let answer = builder.send().await.map_err(|error| kind(&error))?;
    let code = answer.status().as_u16();
    let body = answer.bytes().await.map_err(|error| kind(&error))?;
    Ok((code, body.to_vec()))
}

fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else if error.is_body() || error.is_decode() {
        "body"
    } else {
        "request"
    }
}

/// Hands out moments to send at, evenly spaced over all users.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    next: Mutex<tokio::time::Instant>,
}

impl Pace {
    fn new(rate: usize) -> Self {
        Self {
            interval: Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX),
            next: Mutex::new(tokio::time::Instant::now()),
        }
    }

    async fn wait(&self) {
        let slot = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            // Time that no user claimed is not saved up: a stall is never followed by a burst.
            let slot = (*next).max(tokio::time::Instant::now());
            *next = slot + self.interval;
            slot
        };
        tokio::time::sleep_until(slot).await;
    }
}
