//! The aws variant against the stand-ins: Loki keeps its chunks in S3, the X-Ray daemon delivers to X-Ray, metrics arrive
//! signed. Run by `just stack-test`; the ports are fixed, so one test at a time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/stack.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use signalbox::facts;

use support::{Stack, can_run};

const SOON: Duration = Duration::from_secs(60);

/// Files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn the_aws_variant_delivers_to_every_stand_in() {
    if !can_run(&["moto_server", "versitygw", "xray-daemon"]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let stack = Stack::ready(state.path(), &["aws"]);

    // Loki on S3: a log of the app, then the chunks on request, because they would be written after minutes only.
    let loki = facts::setting("LOKI_URL");
    let logs = format!("{loki}/loki/api/v1/query_range");
    stack
        .eventually("a log of the app in Loki", SOON, async || {
            let answer = stack.get(&logs, &[("query", "{service_name=\"signalbox-app\"}")]).await?;
            (!answer["data"]["result"].as_array()?.is_empty()).then_some(())
        })
        .await;
    let flushed = stack.client().post(format!("{loki}/flush")).send().await.unwrap();
    assert!(flushed.status().is_success(), "{flushed:?}");
    let bucket = state.path().join("s3/data/signalbox-loki");
    let chunk = |path: &std::path::PathBuf| path.starts_with(bucket.join("fake"));
    stack.eventually("a chunk in the bucket", SOON, async || files(&bucket).into_iter().find(chunk)).await;

    // Prometheus in the managed one's place: written to with a signature, which it does not mind.
    stack
        .eventually("the app's requests in Prometheus", SOON, async || {
            let metric = "http_server_request_duration_seconds_count{job=\"signalbox-app\"}";
            (!stack.query(metric).await?.as_array()?.is_empty()).then_some(())
        })
        .await;

    // The X-Ray daemon: a segment by UDP, as the SDKs send it, then the trace by X-Ray's API.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let trace = format!("1-{:08x}-{:024x}", now.as_secs(), now.as_nanos());
    let segment = json!({ "name": "signalbox-test", "id": "70de5b6f19ff9a0a", "trace_id": trace,
                          "start_time": now.as_secs_f64() - 1.0, "end_time": now.as_secs_f64() });
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let packet = format!("{{\"format\": \"json\", \"version\": 1}}\n{segment}");
    let aws = facts::setting("AWS_ENDPOINT_URL");
    stack
        .eventually("the segment in X-Ray", SOON, async || {
            // Again until it is taken: UDP tells nobody.
            socket.send_to(packet.as_bytes(), ("127.0.0.1", facts::port("xray-daemon", "udp"))).unwrap();
            let region = facts::setting("AWS_REGION");
            let scope = format!("AWS4-HMAC-SHA256 Credential=testing/20260101/{region}/xray/aws4_request");
            let request = stack.client().post(format!("{aws}/Traces")).header("authorization", scope);
            let answer = request.json(&json!({ "TraceIds": [trace] })).send().await.ok()?.text().await.ok()?;
            answer.contains("70de5b6f19ff9a0a").then_some(())
        })
        .await;
    stack.stop();
}

#[test]
#[ignore = "needs the real backends: just stack-test"]
fn the_aws_variant_keeps_the_contract() {
    if !can_run(&["moto_server", "versitygw", "xray-daemon"]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let (status, output) =
        Stack::start(state.path(), &["aws", "--for", "40s", "--verify"]).end(Duration::from_secs(400));
    assert!(status.success(), "{status}\n{output}");
    for check in ["GET /work: segment in X-Ray", "X-Ray: a segment sent through the daemon"] {
        assert!(output.contains(&format!("ok    {check}")), "`{check}` was not checked:\n{output}");
    }
}
