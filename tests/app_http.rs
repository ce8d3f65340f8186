//! Each route, each error answer and each limit of the service, over HTTP against a service in-process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "app")]

#[path = "support/app.rs"]
mod app;

use std::collections::BTreeSet;
use std::time::Duration;

use app::{App, attribute, config, config_with_store, log, span, start};
use serde_json::json;
use signalbox::app::config::Config;
use signalbox::telemetry::names::{self, attr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promised_request_has_its_answer_spans_log_and_exception() {
    let app = start(config()).await;
    for promise in names::REQUESTS {
        let parent = "0af7651916cd43dd8448eb211c80319c";
        let method = promise.method.parse::<reqwest::Method>().unwrap();
        let marked = app.client.request(method, app.url(promise.target)).header(names::VERIFY_HEADER, "run-1");
        let answer = app.send(marked).await;
        assert_eq!(answer.status, promise.status, "{}: {answer:?}", promise.target);
        assert_ne!(answer.trace_id(), parent);
        let server = span(answer.trace_id(), &format!("{} {}", promise.method, promise.route)).await;
        assert_eq!(attribute(&server, attr::HTTP_ROUTE).as_deref(), Some(promise.route));
        assert_eq!(attribute(&server, attr::HTTP_RESPONSE_STATUS_CODE), Some(promise.status.to_string()));
        assert_eq!(attribute(&server, attr::VERIFY_ID).as_deref(), Some("run-1"));
        assert_eq!(attribute(&server, attr::ERROR_TYPE).is_some(), promise.status >= 500, "{}", promise.target);
        for child in promise.child_spans {
            let child = span(answer.trace_id(), child).await;
            assert_eq!(child.parent_span_id, server.span_context.span_id(), "{}", promise.target);
        }
        if let Some(severity) = promise.log {
            log(answer.trace_id(), severity.parse().unwrap()).await;
        }
        let exceptions: Vec<_> = server.events.iter().filter(|event| event.name == "exception").collect();
        assert_eq!(exceptions.len(), usize::from(promise.exception), "{}", promise.target);
    }
}

#[tokio::test]
async fn a_request_continues_the_trace_of_its_caller() {
    let app = start(config()).await;
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let request = app.client.get(app.url("/health")).header("traceparent", format!("00-{trace}-{parent}-01"));
    assert_eq!(app.send(request).await.trace_id(), trace);
    assert_eq!(span(trace, "GET /health").await.parent_span_id.to_string(), parent);
}

#[tokio::test]
async fn a_crash_answers_500_with_the_trace_id_and_keeps_its_secret() {
    let app = start(config()).await;
    let answer = app.get("/crash").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json(), json!({ "error": "internal error", "trace_id": answer.trace_id() }));
    let server = span(answer.trace_id(), "GET /crash").await;
    let exception = server.events.iter().find(|event| event.name == "exception").unwrap();
    let value = |key| exception.attributes.iter().find(|kv| kv.key.as_str() == key).unwrap().value.to_string();
    assert_eq!(value(attr::EXCEPTION_TYPE), "panic");
    assert!(value(attr::EXCEPTION_MESSAGE).contains("empty basket"));
    let stack = value(attr::EXCEPTION_STACKTRACE);
    assert!(stack.contains("average_price") && stack.contains("checkout"), "{stack}");
    let record = log(answer.trace_id(), tracing::Level::ERROR).await;
    assert!(record.fields.contains("exception.stacktrace") && record.fields.contains("empty basket"), "{record:?}");
    assert_eq!(app.get("/health").await.status, 200, "the service survives");
}

#[tokio::test]
async fn work_outside_its_range_is_400_that_says_the_range() {
    let app = start(config()).await;
    for wrong in ["-1", "10001", "x", "1.5", ""] {
        let answer = app.get(&format!("/work?ms={wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.text.contains("0 to 10000"), "{}", answer.text);
    }
    assert_eq!(app.get("/work?ms=0").await.json(), json!({ "worked_ms": 0 }));
}

#[tokio::test]
async fn the_dice_keep_the_reference_applications_contract() {
    let app = start(config()).await;
    for target in ["/rolldice", "/rolldice?rolls=1"] {
        assert!((1..=6).contains(&app.get(target).await.json().as_i64().unwrap()));
    }
    let many = app.get("/rolldice?rolls=40&player=ada").await;
    let rolls = many.json().as_array().unwrap().clone();
    assert!(rolls.len() == 40 && rolls.iter().all(|roll| (1..=6).contains(&roll.as_i64().unwrap())));
    assert!(log(many.trace_id(), tracing::Level::DEBUG).await.fields.contains("ada"));
    let wrong = app.get("/rolldice?rolls=many").await;
    let message = "Parameter rolls must be a positive integer";
    assert_eq!((wrong.status, wrong.json()), (400, json!({ "status": "error", "message": message })));
    assert!(log(wrong.trace_id(), tracing::Level::WARN).await.fields.contains(message));
    for below_one in ["0", "-3"] {
        let answer = app.get(&format!("/rolldice?rolls={below_one}")).await;
        assert_eq!((answer.status, answer.text.as_str()), (500, ""));
        log(answer.trace_id(), tracing::Level::ERROR).await;
    }
    assert_eq!(app.get("/rolldice?rolls=10001").await.status, 400);
}

#[tokio::test]
async fn a_simulated_error_has_the_status_asked_for() {
    let app = start(config()).await;
    for status in [400, 404, 418, 500, 503, 599] {
        let answer = app.get(&format!("/error?status={status}")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json().get("trace_id").is_some(), status >= 500);
    }
    assert_eq!(app.get("/error").await.status, 500);
    assert_eq!(app.get("/error?status=200").await.status, 400);
}

#[tokio::test]
async fn a_refused_external_call_is_502_with_the_trace_id() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let unused = socket.local_addr().unwrap();
    let url = format!("http://u:s3cret@{unused}/x").parse().unwrap();
    let app = start(Config { external_url: Some(url), ..config() }).await;
    let answer = app.get("/external").await;
    assert_eq!((answer.status, answer.json()["trace_id"].as_str()), (502, Some(answer.trace_id())));
    let client = span(answer.trace_id(), "GET").await;
    assert_eq!(attribute(&client, attr::ERROR_TYPE).as_deref(), Some("connect"));
    assert!(!format!("{client:?}").contains("s3cret"));
    assert!(!log(answer.trace_id(), tracing::Level::ERROR).await.fields.contains("s3cret"));
}

#[tokio::test]
async fn an_external_call_without_answer_is_502_and_so_is_one_that_fails() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", silent.local_addr().unwrap()).parse().unwrap();
    let app = start(Config { external_url: Some(url), ..config() }).await;
    let answer = app.get("/external").await;
    assert_eq!(answer.status, 502);
    assert_eq!(attribute(&span(answer.trace_id(), "GET").await, attr::ERROR_TYPE).as_deref(), Some("timeout"));
    let failing = app.url("/error?status=500").parse().unwrap();
    let caller = start(Config { external_url: Some(failing), ..config() }).await;
    let answer = caller.get("/external").await;
    assert_eq!((answer.status, answer.json()["trace_id"].as_str()), (502, Some(answer.trace_id())));
    let server = span(answer.trace_id(), "GET /error").await;
    let client = span(answer.trace_id(), "GET").await;
    assert_eq!(server.parent_span_id, client.span_context.span_id(), "the context went along");
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let app = start(config()).await;
    let unknown = app.get("/nowhere/1").await;
    assert_eq!((unknown.status, unknown.json()), (404, json!({ "error": "not found" })));
    assert_eq!(attribute(&span(unknown.trace_id(), "GET").await, attr::HTTP_ROUTE), None);
    let wrong = app.json("POST", "/work", &json!({})).await;
    assert_eq!((wrong.status, wrong.json()), (405, json!({ "error": "method not allowed" })));
    span(wrong.trace_id(), "POST /work").await;
    let odd = app.json("BREW", "/work", &json!({})).await;
    let server = span(odd.trace_id(), "HTTP /work").await;
    assert_eq!(attribute(&server, attr::HTTP_REQUEST_METHOD).as_deref(), Some(names::METHOD_OTHER));
}

#[tokio::test]
async fn a_store_that_is_gone_fails_readiness_but_not_liveness() {
    let app = start(config()).await;
    assert_eq!(app.get("/ready").await.status, 200);
    app.server.state().store().close().await;
    assert_eq!((app.get("/ready").await.status, app.get("/health").await.status), (503, 200));
    let data = app.get("/api/data").await;
    assert_eq!((data.status, data.json()["error"].as_str()), (500, Some("internal error")));
}

#[tokio::test]
async fn metrics_are_open_metrics_only_when_asked_for() {
    let app = start(config()).await;
    assert!(app.get("/metrics").await.header("content-type").starts_with("text/plain; version=0.0.4"));
    let asked = app.client.get(app.url("/metrics")).header("accept", "application/openmetrics-text; version=1.0.0");
    assert!(app.send(asked).await.header("content-type").starts_with("application/openmetrics-text"));
}

#[tokio::test]
async fn the_openapi_document_and_the_page_have_every_route() {
    let app = start(config()).await;
    let document = app.get("/openapi.json").await.json();
    let documented: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let source = include_str!("../src/app/mod.rs");
    let routes: BTreeSet<_> =
        source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(documented, routes);
    assert!(document["paths"]["/tasks"]["post"]["responses"]["422"].is_object());
    let page = app.get("/").await.text;
    for route in routes.iter().filter(|route| *route != "/" && !route.contains('{')) {
        assert!(page.contains(&format!("href=\"{route}")), "{route} is not on the page");
    }
}

#[tokio::test]
async fn work_waits_and_computes_within_limits() {
    let app = start(config()).await;
    assert_eq!(app.get("/work?ms=1&cpu_ms=2").await.json()["worked_ms"], 3);
    for target in ["/work?ms=10001", "/work?cpu_ms=5001", "/work?cpu_ms=-1"] {
        assert_eq!(app.get(target).await.status, 400, "{target}");
    }
}

#[tokio::test]
async fn a_body_above_one_mebibyte_is_413() {
    let app = start(config()).await;
    let declared = app.json("POST", "/tasks", &json!({ "title": "x".repeat(1 << 20) })).await;
    assert_eq!(declared.status, 413);
    // Chunked, so that no length is declared.
    let mut stream = tokio::net::TcpStream::connect(app.server.address).await.unwrap();
    let head =
        "POST /tasks HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", (1 << 20) + 1, " ".repeat((1 << 20) + 1));
    let (mut reader, mut writer) = stream.split();
    let answer = async {
        let mut first = [0; 12];
        reader.read_exact(&mut first).await.unwrap();
        first
    };
    // The server may answer and close before it has read everything: writing may fail then.
    let (_, first) = tokio::join!(writer.write_all(chunk.as_bytes()), answer);
    assert_eq!(&first, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_504_and_a_body_that_does_is_408() {
    let app = start(Config { request_timeout: Duration::from_millis(200), ..config() }).await;
    let slow = app.get("/work?ms=9000").await;
    assert_eq!((slow.status, slow.json()["trace_id"].as_str()), (504, Some(slow.trace_id())));
    let mut stream = tokio::net::TcpStream::connect(app.server.address).await.unwrap();
    let head = "POST /tasks HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 408");
}

/// A request in progress, known to hold the only place once another is refused.
async fn occupy(app: &App) -> tokio::task::JoinHandle<u16> {
    let (client, url) = (app.client.clone(), app.url("/work?ms=2500"));
    let busy = tokio::spawn(async move {
        loop {
            // Refused while a probe below has the place: ask again. 0: the connection was cut.
            match client.get(&url).send().await.map_or(0, |response| response.status().as_u16()) {
                503 => tokio::task::yield_now().await,
                status => return status,
            }
        }
    });
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while app.get("/work?ms=0").await.status != 503 {
        assert!(std::time::Instant::now() < deadline, "the place was never taken");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    busy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_too_many_is_503_with_retry_after_and_probes_still_answer() {
    let app = start(Config { concurrency_limit: 1, ..config() }).await;
    let busy = occupy(&app).await;
    let refused = app.get("/api/data").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.json()["trace_id"].as_str(), Some(refused.trace_id()));
    assert_eq!(app.get("/health").await.status, 200);
    assert_eq!(busy.await.unwrap(), 200);
    assert_eq!(app.get("/api/data").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_lets_requests_in_progress_end() {
    let app = start(Config { concurrency_limit: 1, ..config() }).await;
    let busy = occupy(&app).await;
    assert!(app.server.shutdown().await);
    assert_eq!(busy.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_cuts_off_what_exceeds_its_deadline() {
    let drain_timeout = Duration::from_millis(50);
    let app = start(Config { concurrency_limit: 1, drain_timeout, ..config() }).await;
    let _busy = occupy(&app).await;
    assert!(!app.server.shutdown().await);
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_an_error_at_start() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config_with_store("sqlite:///nowhere/at/all.db");
    assert!(signalbox::app::serve(listener, config, None).await.is_err());
}
