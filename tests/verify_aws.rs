//! `signalbox verify --stack aws` against moto, a local stand-in for AWS, and the real X-Ray daemon in front of it.
//! Needs moto_server and the daemon, both of `just backends`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "console")]

#[path = "support/contract_stub.rs"]
mod contract_stub;
#[path = "support/programs.rs"]
mod programs;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use signalbox::telemetry::names::{REQUESTS, SERVICE_APP, VERIFY_HEADER};

use contract_stub::{Shared, nobody, serve};
use programs::Running;

const KEYS: [(&str, &str); 4] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "testing"),
    ("AWS_SECRET_ACCESS_KEY", "testing"),
    ("CLOUDWATCH_LOG_GROUP", "/signalbox/test"),
];

/// moto on a free port; `None` where it is not installed.
async fn moto() -> Option<(Running, String)> {
    let program = programs::find_or_say("moto_server")?;
    let port = programs::free_port();
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let child = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let url = format!("http://127.0.0.1:{port}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while reqwest::get(format!("{url}/moto-api/")).await.is_err() {
        assert!(Instant::now() < deadline, "moto is not ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Some((child, url))
}

/// Asks moto, which reads the service from the credential's scope and checks no signature.
async fn ask(moto: &str, service: &str, path: &str, target: Option<&str>, body: &Value) {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/{service}/aws4_request, \
                         SignedHeaders=host, Signature=0"
    );
    let mut request = reqwest::Client::new().post(format!("{moto}{path}")).header("authorization", scope);
    request = request.header("content-type", "application/x-amz-json-1.1").body(body.to_string());
    if let Some(target) = target {
        request = request.header("x-amz-target", target);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path} {target:?}: {}", answer.text().await.unwrap());
}

/// What the collector would do: a segment in X-Ray and a record in CloudWatch Logs of each request.
async fn ship(moto: &str, row: &signalbox::telemetry::names::Request, traceparent: &str) {
    let parts = traceparent.split('-').collect::<Vec<_>>();
    let (id, parent) = (parts[1], parts[2]);
    let segment = json!({
        "name": SERVICE_APP, "id": "00000000000000aa", "parent_id": parent, "start_time": 1.0, "end_time": 2.0,
        "trace_id": format!("1-{}-{}", &id[..8], &id[8..]), "fault": row.status >= 500,
        "error": (400..500).contains(&row.status),
        "http": {"request": {"method": row.method}, "response": {"status": row.status}},
    });
    let body = json!({"TraceSegmentDocuments": [segment.to_string()]});
    ask(moto, "xray", "/TraceSegments", None, &body).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for ages")]
    let event = json!({"timestamp": now as u64, "message": json!({"body": "done", "trace_id": id}).to_string()});
    let body = json!({"logGroupName": "/signalbox/test", "logStreamName": SERVICE_APP, "logEvents": [event]});
    ask(moto, "logs", "/", Some("Logs_20140328.PutLogEvents"), &body).await;
}

async fn service(State((world, moto)): State<(Shared, String)>, request: Request) -> Response {
    let traceparent = request.headers()["traceparent"].to_str().unwrap().to_owned();
    assert!(request.headers().contains_key(VERIFY_HEADER));
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let row = REQUESTS.iter().find(|row| row.target == target && row.method == request.method().as_str());
    if let Some(row) = row {
        ship(&moto, row, &traceparent).await;
    }
    axum::response::IntoResponse::into_response(contract_stub::service(State(world), request).await)
}

async fn verify(moto: &str, env: &[(&str, &str)]) -> Output {
    let world = Shared::default();
    let app = serve(Router::new().fallback(service).with_state((world, moto.to_owned()))).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.args(["verify", "--stack", "aws"]).env("APP_URL", app).env("SIGNALBOX_VERIFY_TIMEOUT", "5s");
    for variable in ["PROMETHEUS_URL", "LOKI_URL", "TEMPO_URL", "CONSOLE_URL", "GRAFANA_URL"] {
        command.env(variable, nobody());
    }
    command.env("AWS_ENDPOINT_URL", moto).envs(KEYS).envs(env.iter().copied());
    command.output().await.unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn has(text: &str, start: &str) {
    assert!(text.lines().any(|line| line.starts_with(start)), "no line `{start}`:\n{text}");
}

#[tokio::test]
async fn segments_are_found_in_xray_and_records_in_cloudwatch_logs() {
    let Some((_moto, url)) = moto().await else { return };
    let group = json!({"logGroupName": "/signalbox/test"});
    ask(&url, "logs", "/", Some("Logs_20140328.CreateLogGroup"), &group).await;
    let stream = json!({"logGroupName": "/signalbox/test", "logStreamName": SERVICE_APP});
    ask(&url, "logs", "/", Some("Logs_20140328.CreateLogStream"), &stream).await;
    let text = text(&verify(&url, &[]).await);
    for row in REQUESTS {
        let path = row.target.split('?').next().unwrap();
        has(&text, &format!("ok    {} {path}: segment in X-Ray  visible after ", row.method));
    }
    has(&text, "ok    CloudWatch Logs: a record with the trace id");
    has(&text, "skip  X-Ray: a segment sent through the daemon is stored: no daemon takes segments at 127.0.0.1:");
}

#[tokio::test]
async fn a_segment_goes_through_the_real_daemon() {
    let Some(daemon) = programs::find_or_say("xray-daemon") else { return };
    let Some((_moto, url)) = moto().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("daemon.yaml");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tcp = programs::free_port();
    let text_of = format!(
        "Version: 2\nEndpoint: \"{url}\"\nRegion: us-east-1\nLocalMode: true\n\
         Socket:\n  UDPAddress: \"{udp}\"\n  TCPAddress: \"127.0.0.1:{tcp}\"\n"
    );
    std::fs::write(&config, text_of).unwrap();
    let mut command = Command::new(daemon);
    command.arg("-c").arg(&config).envs(KEYS).stdout(Stdio::null()).stderr(Stdio::null());
    let _daemon = Running(command.spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(30);
    while tokio::net::TcpStream::connect(("127.0.0.1", tcp)).await.is_err() {
        assert!(Instant::now() < deadline, "the daemon is not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = text(&verify(&url, &[("AWS_XRAY_DAEMON_ADDRESS", &udp.to_string())]).await);
    has(&text, "ok    X-Ray: a segment sent through the daemon is stored");
    has(&text, "skip  CloudWatch Logs: a record with the trace id: no group /signalbox/test at ");
}

#[tokio::test]
async fn without_keys_the_missing_variable_is_named() {
    let text = text(&verify(&nobody(), &[("AWS_ACCESS_KEY_ID", "")]).await);
    has(&text, "skip  X-Ray: AWS_ACCESS_KEY_ID is not set");
    has(&text, "skip  CloudWatch Logs: AWS_ACCESS_KEY_ID is not set");
}

#[tokio::test]
async fn a_stand_in_that_does_not_run_is_named_and_not_asked() {
    let url = nobody();
    let text = text(&verify(&url, &[]).await);
    for service in ["X-Ray", "CloudWatch Logs"] {
        has(&text, &format!("skip  {service}: does not run (AWS_ENDPOINT_URL={url}: Connection refused"));
    }
    assert!(!text.contains("segment in X-Ray"), "{text}");
}
