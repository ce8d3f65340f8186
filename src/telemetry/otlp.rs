//! The one OTLP transport of all three signals: gRPC by tonic, HTTP/protobuf by reqwest; headers, timeout, gzip, retry
//! and partial success. Called by `worker` on its own thread and runtime. It neither batches nor counts.
//!
//! A request is encoded once and sent as bytes, so that a retry costs nothing; the three answers have the same wire
//! form (`partial_success { rejected, message }`), so one type decodes them all.

use std::io::Write;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::config::{Endpoint, Protocol, Signal};

/// First wait before a retry; it doubles up to [`MAX_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Why an attempt failed.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    /// Low-cardinality reason, the value of `error.type`.
    error_type: String,
    retryable: bool,
    retry_after: Option<Duration>,
}

impl Failure {
    fn new(error_type: impl Into<String>, retryable: bool) -> Self {
        Self { error_type: error_type.into(), retryable, retry_after: None }
    }
}

/// A connection to one endpoint for one signal.
#[derive(Debug)]
pub(super) struct Transport {
    endpoint: Endpoint,
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Grpc(Box<tonic::client::Grpc<Channel>>, PathAndQuery),
    Http(reqwest::Client),
}

/// A client for one receiver.
pub(super) fn http_client(url: &str) -> Result<reqwest::Client, &'static str> {
    let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    // A proxy from the environment cannot reach this machine's loopback.
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    if host.is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]") {
        client = client.no_proxy();
    }
    client.build().map_err(|_| "client_build")
}

impl Transport {
    /// Prepares the connection; it opens with the first request. Must run inside the runtime that will send.
    pub(super) fn new(endpoint: Endpoint, signal: Signal) -> Result<Self, String> {
        let wire = match endpoint.protocol {
            Protocol::Grpc => {
                let channel = Channel::from_shared(endpoint.url.clone())
                    .map_err(|_| "invalid_endpoint")?
                    .connect_timeout(endpoint.timeout)
                    .connect_lazy();
                let mut client = tonic::client::Grpc::new(channel).accept_compressed(CompressionEncoding::Gzip);
                if endpoint.gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                Wire::Grpc(Box::new(client), PathAndQuery::from_static(grpc_path(signal)))
            }
            Protocol::HttpProtobuf => Wire::Http(http_client(&endpoint.url)?),
        };
        Ok(Self { endpoint, wire })
    }

    /// Sends one encoded request within `limit`, retrying what the protocol calls retryable.
    /// Answers how many records the receiver rejected, or the `error.type` of the last failure.
    pub(super) async fn send(&mut self, request: Vec<u8>, limit: Duration) -> Result<u64, String> {
        let deadline = Instant::now() + limit.min(self.endpoint.timeout);
        let body = self.body(request);
        let mut backoff = FIRST_BACKOFF;
        loop {
            let attempt = timeout_at(deadline, self.attempt(body.clone()));
            let failure = match attempt.await {
                Ok(Ok(rejected)) => return Ok(rejected),
                Ok(Err(failure)) => failure,
                Err(_) => return Err("timeout".to_owned()),
            };
            let wait = failure.retry_after.unwrap_or_else(|| jittered(backoff));
            if !failure.retryable || Instant::now() + wait >= deadline {
                return Err(failure.error_type);
            }
            sleep(wait).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// The body as it goes on the wire (tonic compresses by itself).
    fn body(&self, request: Vec<u8>) -> Bytes {
        if self.endpoint.gzip && self.endpoint.protocol == Protocol::HttpProtobuf {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            // Writing to a Vec cannot fail.
            let _ = encoder.write_all(&request);
            encoder.finish().unwrap_or_default().into()
        } else {
            request.into()
        }
    }

    async fn attempt(&mut self, body: Bytes) -> Result<u64, Failure> {
        match &mut self.wire {
            Wire::Grpc(client, path) => grpc(client, path.clone(), &self.endpoint, body).await,
            Wire::Http(client) => http(client, &self.endpoint, body).await,
        }
    }
}

async fn grpc(
    client: &mut tonic::client::Grpc<Channel>,
    path: PathAndQuery,
    endpoint: &Endpoint,
    body: Bytes,
) -> Result<u64, Failure> {
    if client.ready().await.is_err() {
        return Err(Failure::new("connection", true));
    }
    let mut request = tonic::Request::new(body);
    *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(endpoint.headers.clone());
    match client.unary(request, path, Raw).await {
        Ok(response) => Ok(rejected(&response.into_inner())),
        Err(status) => Err(grpc_failure(&status)),
    }
}

async fn http(client: &reqwest::Client, endpoint: &Endpoint, body: Bytes) -> Result<u64, Failure> {
    let mut request = client.post(&endpoint.url).headers(endpoint.headers.clone());
    request = request.header(http::header::CONTENT_TYPE, "application/x-protobuf");
    if endpoint.gzip {
        request = request.header(http::header::CONTENT_ENCODING, "gzip");
    }
    let response = request.body(body).send().await.map_err(|_| Failure::new("connection", true))?;
    let status = response.status();
    if status.is_success() {
        // An answer that breaks off still says that the request was taken.
        return Ok(response.bytes().await.map_or(0, |body| rejected(&body)));
    }
    let mut failure = Failure::new(status.as_str(), matches!(status.as_u16(), 429 | 502 | 503 | 504));
    let seconds = response.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    failure.retry_after = seconds.map(Duration::from_secs);
    Err(failure)
}

fn rejected(answer: &[u8]) -> u64 {
    ExportTraceServiceResponse::decode(answer)
        .ok()
        .and_then(|answer| answer.partial_success)
        .map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

/// The codes that the OTLP specification calls retryable; `RESOURCE_EXHAUSTED` only with `RetryInfo`.
fn grpc_failure(status: &Status) -> Failure {
    let retry_after = retry_info(status.details());
    let retryable = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => retry_after.is_some(),
        _ => false,
    };
    // A refused connection is a status that tonic makes up; say what it is.
    let connection = std::error::Error::source(status).is_some();
    let error_type = if connection { "connection".to_owned() } else { format!("{:?}", status.code()) };
    Failure { error_type, retryable: retryable || connection, retry_after }
}

/// `google.rpc.Status`, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let detail = status.details.iter().find(|detail| detail.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.delay.unwrap_or_default();
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
}

/// 50 to 100 % of the wait, so that many processes do not return in step.
fn jittered(wait: Duration) -> Duration {
    let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos());
    wait.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
}

const fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

/// Passes bytes through: requests are encoded once, before.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
