//! OTLP over HTTP and gRPC: each status code, encodings, limits, partial success, token, malformed bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/console.rs"]
mod support;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use signalbox::console::Running;
use support::{console, console_with_token, feed, get, post, span, trace_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PROTOBUF: &str = "application/x-protobuf";
const MIB: usize = 1024 * 1024;

/// `google.rpc.Status`, as a foreign client reads it.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn post_gzip(console: &Running, body: Vec<u8>) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("http://{}/v1/traces", console.http));
    request.header("content-type", PROTOBUF).header("content-encoding", "gzip").body(body).send().await.unwrap()
}

async fn stored(console: &Running) -> u64 {
    let status = get(console, "/api/v1/status").await;
    let spans = &status["signals"]["spans"];
    let number = |key: &str| spans[key].as_u64().unwrap();
    assert_eq!(number("received"), number("stored") + number("evicted"));
    number("stored")
}

#[tokio::test]
async fn an_empty_request_is_200_with_an_empty_answer_in_the_same_encoding() {
    let console = console().await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        let answer = post(&console, path, PROTOBUF, "").await;
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, PROTOBUF));
        assert!(answer.bytes().await.unwrap().is_empty());
        let answer = post(&console, path, "application/json; charset=utf-8", "{}").await;
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.text().await.unwrap(), "{}");
    }
}

#[tokio::test]
async fn spans_arrive_in_protobuf_gzip_json_and_grpc() {
    let console = console().await;
    let body = trace_request("a", vec![span(1, 1)]).encode_to_vec();
    assert_eq!(post(&console, "/v1/traces", PROTOBUF, body).await.status(), 200);
    let body = gzip(&trace_request("a", vec![span(1, 2)]).encode_to_vec());
    assert_eq!(post_gzip(&console, body).await.status(), 200);
    let json = serde_json::to_string(&trace_request("a", vec![span(1, 3)])).unwrap();
    assert_eq!(post(&console, "/v1/traces", "application/json", json).await.status(), 200);
    let client = TraceServiceClient::connect(format!("http://{}", console.grpc)).await.unwrap();
    let mut client = client.send_compressed(tonic::codec::CompressionEncoding::Gzip);
    client.export(trace_request("a", vec![span(1, 4)])).await.unwrap();
    assert_eq!(stored(&console).await, 4);
}

#[tokio::test]
async fn items_with_invalid_ids_are_rejected_with_count_and_reason_and_the_rest_is_kept() {
    let console = console().await;
    let short = Span { trace_id: vec![1; 15], ..span(1, 1) };
    let zero = Span { span_id: vec![0; 8], ..span(1, 1) };
    let request = trace_request("a", vec![short, span(1, 2), zero]);
    let answer = post(&console, "/v1/traces", PROTOBUF, request.encode_to_vec()).await;
    assert_eq!(answer.status(), 200);
    let answer = ExportTraceServiceResponse::decode(answer.bytes().await.unwrap()).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (2, "trace_id has 15 bytes, not 16"));
    let mut client = TraceServiceClient::connect(format!("http://{}", console.grpc)).await.unwrap();
    let answer = client.export(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 2);
    let json = serde_json::to_value(&request).unwrap();
    assert_eq!(feed(&console, "/v1/traces", &json).await["partialSuccess"]["rejectedSpans"], "2");
    assert_eq!(stored(&console).await, 3);
    assert_eq!(get(&console, "/api/v1/status").await["signals"]["spans"]["rejected"], 6);
}

#[tokio::test]
async fn points_that_contradict_themselves_are_rejected_and_the_rest_is_kept() {
    let console = console().await;
    let point = |counts: serde_json::Value| json!({ "timeUnixNano": "5", "count": "3", "explicitBounds": [1.0, 2.0], "bucketCounts": counts });
    let points = [point(json!(["1", "1", "1"])), point(json!(["1", "2"]))];
    let metric = json!({ "name": "h", "histogram": { "aggregationTemporality": 2, "dataPoints": points } });
    let request = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] });
    let answer = feed(&console, "/v1/metrics", &request).await;
    assert_eq!(answer["partialSuccess"]["rejectedDataPoints"], "1", "{answer}");
    assert_eq!(get(&console, "/api/v1/status").await["signals"]["points"]["stored"], 1);
}

#[tokio::test]
async fn bad_payloads_are_400_with_the_reason_in_the_same_encoding() {
    let console = console().await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        let answer = post(&console, path, PROTOBUF, vec![0xff; 7]).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (400, PROTOBUF));
        let status = RpcStatus::decode(answer.bytes().await.unwrap()).unwrap();
        assert_eq!(status.code, 3);
        assert!(status.message.contains("not OTLP protobuf"), "{}", status.message);
        let answer = post(
            &console,
            path,
            "application/json",
            "{\"resourceSpans\": 1, \"resourceLogs\": 1, \"resourceMetrics\": 1",
        )
        .await;
        assert_eq!(answer.status(), 400);
        let status: serde_json::Value = answer.json().await.unwrap();
        assert!(status["message"].as_str().unwrap().contains("not OTLP JSON"), "{status}");
    }
    assert_eq!(post_gzip(&console, b"no gzip".to_vec()).await.status(), 400);
}

#[tokio::test]
async fn other_methods_types_encodings_and_paths_are_refused() {
    let console = console().await;
    let url = format!("http://{}/v1/traces", console.http);
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), 405);
    assert!(answer.headers()["allow"].to_str().unwrap().contains("POST"));
    assert_eq!(post(&console, "/v1/traces", "text/plain", "").await.status(), 415);
    let request = reqwest::Client::new().post(&url).header("content-type", PROTOBUF).header("content-encoding", "br");
    assert_eq!(request.send().await.unwrap().status(), 415);
    assert_eq!(post(&console, "/v1/profiles", PROTOBUF, "").await.status(), 404);
}

#[tokio::test]
async fn a_body_beyond_16_mib_is_413_plain_or_unpacked() {
    let console = console().await;
    let answer = post_gzip(&console, gzip(&vec![0; 64 * MIB])).await;
    assert_eq!(answer.status(), 413, "a bomb");
    // Without a length the limit must hold while reading: 17 chunks of a mebibyte.
    let stream = tokio::net::TcpStream::connect(console.http).await.unwrap();
    let (mut answer, mut request) = stream.into_split();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
    request.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![0; MIB], b"\r\n"].concat();
    let sending = tokio::spawn(async move {
        for _ in 0..17 {
            // The server may answer and close before the end.
            if request.write_all(&chunk).await.is_err() {
                break;
            }
        }
        request
    });
    let mut status = [0; 12];
    answer.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    drop(sending.await.unwrap());
    let answer = post(&console, "/v1/traces", PROTOBUF, vec![0; 17 * MIB]).await;
    assert_eq!(answer.status(), 413, "announced");
    let mut client = TraceServiceClient::connect(format!("http://{}", console.grpc)).await.unwrap();
    let large = Span { name: "x".repeat(17 * MIB), ..span(1, 1) };
    assert_eq!(client.export(trace_request("a", vec![large])).await.unwrap_err().code(), tonic::Code::OutOfRange);
    assert_eq!(stored(&console).await, 0);
}

#[tokio::test]
async fn with_a_token_ingest_without_it_is_refused_on_both_protocols() {
    let console = console_with_token("secret").await;
    let answer = post(&console, "/v1/traces", "application/json", "{}").await;
    assert_eq!(
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap()["code"].as_i64()),
        (401, Some(16))
    );
    let request = reqwest::Client::new().post(format!("http://{}/v1/traces", console.http)).bearer_auth("secret");
    assert_eq!(request.header("content-type", PROTOBUF).send().await.unwrap().status(), 200);
    let mut client = TraceServiceClient::connect(format!("http://{}", console.grpc)).await.unwrap();
    let refused = client.export(ExportTraceServiceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let mut request = tonic::Request::new(ExportTraceServiceRequest::default());
    request.metadata_mut().insert("authorization", "Bearer secret".parse().unwrap());
    client.export(request).await.unwrap();
}

/// Posts raw bytes as one gRPC message; the HTTP status and the text of `grpc-status`.
async fn raw_grpc(console: &Running, bytes: &[u8], length: u32) -> Option<u16> {
    let mut body = vec![0];
    body.extend(length.to_be_bytes());
    body.extend(bytes);
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/opentelemetry.proto.collector.trace.v1.TraceService/Export", console.grpc);
    let request = client.post(url).header("content-type", "application/grpc").header("te", "trailers");
    request.body(body).send().await.ok().map(|answer| answer.status().as_u16())
}

#[test]
fn malformed_bytes_are_never_a_5xx_and_the_next_good_request_works() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let console = runtime.block_on(console());
    // Bytes that begin like a real request reach deeper than noise alone.
    let good = trace_request("fuzz", vec![span(7, 7)]).encode_to_vec();
    let bytes = (prop::collection::vec(any::<u8>(), 0..300), 0..good.len(), any::<bool>()).prop_map(
        move |(noise, cut, keep)| {
            if keep { good[..cut].iter().copied().chain(noise).collect() } else { noise }
        },
    );
    let path = prop::sample::select(vec!["/v1/traces", "/v1/logs", "/v1/metrics"]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(32)
    });
    let result = runner.run(&(path, bytes), |(path, bytes): (&str, Vec<u8>)| {
        runtime.block_on(async {
            for content_type in [PROTOBUF, "application/json"] {
                let status = post(&console, path, content_type, bytes.clone()).await.status().as_u16();
                prop_assert!(status == 200 || status == 400, "{status}");
            }
            prop_assert_eq!(post_gzip(&console, bytes.clone()).await.status().as_u16(), 400);
            for length in [bytes.len() as u32, u32::MAX] {
                let status = raw_grpc(&console, &bytes, length).await;
                prop_assert!(status.is_none_or(|s| s == 200), "{status:?}");
            }
            Ok(())
        })
    });
    result.unwrap();
    runtime.block_on(async {
        feed(&console, "/v1/traces", &serde_json::to_value(trace_request("good", vec![span(8, 8)])).unwrap()).await;
        let mut client = TraceServiceClient::connect(format!("http://{}", console.grpc)).await.unwrap();
        client.export(trace_request("good", vec![span(8, 9)])).await.unwrap();
        let trace = get(&console, &format!("/api/v1/traces/{}", "08".repeat(16))).await;
        assert_eq!(trace["spans"].as_array().unwrap().len(), 2);
    });
}
