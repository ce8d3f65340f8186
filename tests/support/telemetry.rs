//! Stub OTLP receivers on port 0 with a behaviour each, for the tests of `telemetry`. They count what they take.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
    logs_service_server::{LogsService, LogsServiceServer},
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    metrics_service_server::{MetricsService, MetricsServiceServer},
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use signalbox::telemetry::config::Config;
use tonic::codec::CompressionEncoding;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Takes everything.
    Up,
    /// Answers after this long.
    Slow(Duration),
    /// Refuses the first requests with a retryable status (HTTP), or `UNAVAILABLE` (gRPC).
    Unavailable(u16, u64),
    /// Refuses every request with a status that must not be retried.
    Refuses,
    /// Rejects this many records of each request.
    Partial(u64),
}

/// What a receiver took.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) traces: Mutex<Vec<ExportTraceServiceRequest>>,
    pub(crate) logs: Mutex<Vec<ExportLogsServiceRequest>>,
    pub(crate) metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
    pub(crate) rejected: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) headers: Mutex<HashMap<String, String>>,
}

impl Taken {
    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.traces.lock().unwrap();
        let spans = requests.iter().flat_map(|r| &r.resource_spans).flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        spans.cloned().collect()
    }

    pub(crate) fn records(&self) -> Vec<opentelemetry_proto::tonic::logs::v1::LogRecord> {
        let requests = self.logs.lock().unwrap();
        let scopes = requests.iter().flat_map(|r| &r.resource_logs).flat_map(|r| &r.scope_logs);
        scopes.flat_map(|s| &s.log_records).cloned().collect()
    }

    pub(crate) fn all_metrics(&self) -> Vec<Metric> {
        let requests = self.metrics.lock().unwrap();
        let scopes = requests.iter().flat_map(|r| &r.resource_metrics).flat_map(|r| &r.scope_metrics);
        scopes.flat_map(|s| &s.metrics).cloned().collect()
    }

    pub(crate) fn histogram_points(&self, name: &str) -> Vec<HistogramDataPoint> {
        let metrics = self.all_metrics();
        let data = metrics.into_iter().filter(|m| m.name == name).filter_map(|m| m.data);
        data.filter_map(|data| if let Data::Histogram(h) = data { Some(h.data_points) } else { None })
            .flatten()
            .collect()
    }
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) taken: Arc<Taken>,
    behaviour: Behaviour,
}

/// What to do with one request.
enum Answer {
    Take(u64),
    Refuse(u16),
}

impl Receiver {
    async fn answer(&self) -> Answer {
        let n = self.taken.requests.fetch_add(1, SeqCst);
        match self.behaviour {
            Behaviour::Up => Answer::Take(0),
            Behaviour::Slow(wait) => {
                tokio::time::sleep(wait).await;
                Answer::Take(0)
            }
            Behaviour::Unavailable(status, times) if n < times => Answer::Refuse(status),
            Behaviour::Unavailable(..) => Answer::Take(0),
            Behaviour::Refuses => Answer::Refuse(400),
            Behaviour::Partial(rejected) => {
                self.taken.rejected.fetch_add(rejected, SeqCst);
                Answer::Take(rejected)
            }
        }
    }

    /// OTLP over gRPC.
    pub(crate) async fn grpc(behaviour: Behaviour) -> Self {
        let (listener, receiver) = Self::listen(behaviour).await;
        let gzip = CompressionEncoding::Gzip;
        let serve = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(receiver.clone()).accept_compressed(gzip))
            .add_service(LogsServiceServer::new(receiver.clone()).accept_compressed(gzip))
            .add_service(MetricsServiceServer::new(receiver.clone()).accept_compressed(gzip))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::spawn(serve);
        receiver
    }

    /// OTLP over HTTP/protobuf.
    pub(crate) async fn http(behaviour: Behaviour) -> Self {
        let (listener, receiver) = Self::listen(behaviour).await;
        let router = axum::Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// Takes connections and never answers.
    pub(crate) async fn black_hole() -> Self {
        let (listener, receiver) = Self::listen(Behaviour::Up).await;
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        });
        receiver
    }

    /// An address where nobody listens.
    pub(crate) async fn refused() -> Self {
        let (listener, receiver) = Self::listen(Behaviour::Up).await;
        drop(listener);
        receiver
    }

    async fn listen(behaviour: Behaviour) -> (tokio::net::TcpListener, Self) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, Self { address, taken: Arc::default(), behaviour })
    }

    fn note(&self, headers: &HeaderMap) {
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        self.taken.headers.lock().unwrap().extend(headers.iter().map(|(k, v)| (k.to_string(), text(v))));
    }

    async fn grpc_answer(&self, headers: HeaderMap) -> Result<i64, tonic::Status> {
        self.note(&headers);
        match self.answer().await {
            Answer::Take(rejected) => Ok(rejected as i64),
            Answer::Refuse(400) => Err(tonic::Status::invalid_argument("no")),
            Answer::Refuse(_) => Err(tonic::Status::unavailable("not yet")),
        }
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    receiver.note(&headers);
    let rejected = match receiver.answer().await {
        Answer::Take(rejected) => rejected as i64,
        Answer::Refuse(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            return (status, [("retry-after", "0")], "not now").into_response();
        }
    };
    let body = if headers.get("content-encoding").is_some_and(|v| v == "gzip") {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).unwrap();
        plain
    } else {
        body.to_vec()
    };
    match uri.path() {
        "/v1/traces" => {
            receiver.taken.traces.lock().unwrap().push(Message::decode(&*body).unwrap());
            trace_answer(rejected).encode_to_vec().into_response()
        }
        "/v1/logs" => {
            receiver.taken.logs.lock().unwrap().push(Message::decode(&*body).unwrap());
            logs_answer(rejected).encode_to_vec().into_response()
        }
        "/v1/metrics" => {
            receiver.taken.metrics.lock().unwrap().push(Message::decode(&*body).unwrap());
            metrics_answer(rejected).encode_to_vec().into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn trace_answer(rejected_spans: i64) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "some".into() };
    ExportTraceServiceResponse { partial_success: (rejected_spans > 0).then_some(partial) }
}

fn logs_answer(rejected_log_records: i64) -> ExportLogsServiceResponse {
    let partial = ExportLogsPartialSuccess { rejected_log_records, error_message: "some".into() };
    ExportLogsServiceResponse { partial_success: (rejected_log_records > 0).then_some(partial) }
}

fn metrics_answer(rejected_data_points: i64) -> ExportMetricsServiceResponse {
    let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message: "some".into() };
    ExportMetricsServiceResponse { partial_success: (rejected_data_points > 0).then_some(partial) }
}

type Answered<T> = Result<tonic::Response<T>, tonic::Status>;

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(&self, r: tonic::Request<ExportTraceServiceRequest>) -> Answered<ExportTraceServiceResponse> {
        let rejected = self.grpc_answer(r.metadata().clone().into_headers()).await?;
        self.taken.traces.lock().unwrap().push(r.into_inner());
        Ok(tonic::Response::new(trace_answer(rejected)))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(&self, r: tonic::Request<ExportLogsServiceRequest>) -> Answered<ExportLogsServiceResponse> {
        let rejected = self.grpc_answer(r.metadata().clone().into_headers()).await?;
        self.taken.logs.lock().unwrap().push(r.into_inner());
        Ok(tonic::Response::new(logs_answer(rejected)))
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(&self, r: tonic::Request<ExportMetricsServiceRequest>) -> Answered<ExportMetricsServiceResponse> {
        let rejected = self.grpc_answer(r.metadata().clone().into_headers()).await?;
        self.taken.metrics.lock().unwrap().push(r.into_inner());
        Ok(tonic::Response::new(metrics_answer(rejected)))
    }
}

/// A configuration that sends to `receiver` by `protocol`; `more` wins over the test's own short times.
pub(crate) fn config(receiver: &Receiver, protocol: &str, more: &[(&str, &str)]) -> Config {
    let mut vars: HashMap<String, String> = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", receiver.address)),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "60000".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    vars.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Config::read("test", &|name| vars.get(name).cloned()).unwrap()
}

/// Waits until `condition` holds; panics after a minute: a machine may be busy.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
