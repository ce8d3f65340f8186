//! The query API: filters, waterfall, correlation, metrics over time, errors, Host check, token, live stream.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/console.rs"]
mod support;

use serde_json::{Value, json};
use signalbox::console::{Options, Running, start};
use support::{ask, console, console_with_token, eventually, feed, get, span, trace_request};

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(k, v)| json!({ "key": k, "value": { "stringValue": v } })).collect()
}

fn resource(service: &str) -> Value {
    json!({ "attributes": attributes(&[("service.name", service)]) })
}

fn spans(service: &str, spans: Value) -> Value {
    json!({ "resourceSpans": [{ "resource": resource(service), "scopeSpans": [{ "scope": { "name": "test" }, "spans": spans }] }] })
}

fn id(byte: u8, bytes: usize) -> String {
    format!("{byte:02x}").repeat(bytes)
}

/// Trace 1: a client span of `load`, a server span and its child of `app`, an error. Trace 2: a quick one.
async fn two_traces(console: &Running) {
    let client = json!([{ "traceId": id(1, 16), "spanId": id(1, 8), "name": "GET", "kind": 3,
        "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1400000000" }]);
    feed(console, "/v1/traces", &spans("load", client)).await;
    let app = json!([
        { "traceId": id(1, 16), "spanId": id(3, 8), "parentSpanId": id(2, 8), "name": "work", "kind": 1,
          "startTimeUnixNano": "1200000000", "endTimeUnixNano": "1300000000",
          "events": [{ "name": "exception", "timeUnixNano": "1250000000", "attributes": attributes(&[("exception.type", "Boom")]) }],
          "links": [{ "traceId": id(2, 16), "spanId": id(4, 8) }] },
        { "traceId": id(1, 16), "spanId": id(2, 8), "parentSpanId": id(1, 8), "name": "GET /work", "kind": 2,
          "startTimeUnixNano": "1100000000", "endTimeUnixNano": "1350000000", "status": { "code": 2, "message": "boom" },
          "attributes": [{ "key": "http.route", "value": { "stringValue": "/work" } },
                         { "key": "http.response.status_code", "value": { "intValue": "500" } }] },
        { "traceId": id(2, 16), "spanId": id(4, 8), "name": "GET /health", "kind": 2, "status": { "code": 1 },
          "startTimeUnixNano": "2000000000", "endTimeUnixNano": "2001000000", "attributes": attributes(&[("http.route", "/health")]) },
    ]);
    feed(console, "/v1/traces", &spans("app", app)).await;
}

async fn found(console: &Running, query: &str) -> Vec<String> {
    let answer = get(console, &format!("/api/v1/traces{query}")).await;
    answer["traces"].as_array().unwrap().iter().map(|t| t["trace_id"].as_str().unwrap()[..2].to_owned()).collect()
}

#[tokio::test]
async fn traces_are_filtered_by_what_one_span_has() {
    let console = console().await;
    two_traces(&console).await;
    assert_eq!(found(&console, "").await, ["02", "01"], "newest first");
    assert_eq!(found(&console, "?limit=1").await, ["02"]);
    for (query, expected) in [
        ("?service=load", vec!["01"]),
        ("?route=/health", vec!["02"]),
        ("?name=work", vec!["01"]),
        ("?status=error", vec!["01"]),
        ("?status=ok", vec!["02"]),
        ("?min_ms=200", vec!["01"]),
        ("?max_ms=1", vec!["02"]),
        ("?attr=http.response.status_code%3D500", vec!["01"]),
        ("?attr=http.route%3D/work&attr=service.name%3Dapp", vec!["01"]),
        ("?since_unix_ms=1500", vec!["02"]),
        ("?service=load&status=error", vec![]),
    ] {
        assert_eq!(found(&console, query).await, expected, "{query}");
    }
    let line = &get(&console, "/api/v1/traces?service=load").await["traces"][0];
    assert_eq!(
        (&line["root_name"], &line["service"], &line["route"]),
        (&json!("GET"), &json!("load"), &json!("/work"))
    );
    assert_eq!((&line["http_status"], &line["spans"], &line["errors"]), (&json!(500), &json!(3), &json!(1)));
    assert_eq!((&line["duration_ms"], &line["services"]), (&json!(400.0), &json!(["app", "load"])));
}

#[tokio::test]
async fn a_waterfall_is_depth_first_with_offsets_events_and_links() {
    let console = console().await;
    two_traces(&console).await;
    let trace = get(&console, &format!("/api/v1/traces/{}", id(1, 16))).await;
    let rows: Vec<_> =
        trace["spans"].as_array().unwrap().iter().map(|s| (&s["name"], &s["depth"], &s["offset_ms"])).collect();
    assert_eq!(json!(rows), json!([["GET", 0, 0.0], ["GET /work", 1, 100.0], ["work", 2, 200.0]]));
    let work = &trace["spans"][2];
    assert_eq!(
        (&work["kind"], &work["scope"], &work["parent_span_id"]),
        (&json!("INTERNAL"), &json!("test"), &json!(id(2, 8)))
    );
    assert_eq!(work["events"][0]["attributes"]["exception.type"], "Boom");
    assert_eq!(work["links"][0]["trace_id"], id(2, 16));
    assert_eq!(trace["spans"][1]["status"], json!({ "code": "ERROR", "message": "boom" }));
    assert_eq!(trace["spans"][0]["parent_span_id"], Value::Null);
    assert_eq!(ask(&console, &format!("/api/v1/traces/{}", id(9, 16))).await.0, 404);
    assert_eq!(ask(&console, "/api/v1/traces/xyz").await.0, 400);
}

#[tokio::test]
async fn spans_whose_parents_form_a_circle_are_all_shown() {
    let console = console().await;
    let circle = json!([
        { "traceId": id(1, 16), "spanId": id(1, 8), "parentSpanId": id(2, 8), "name": "a" },
        { "traceId": id(1, 16), "spanId": id(2, 8), "parentSpanId": id(1, 8), "name": "b" },
    ]);
    feed(&console, "/v1/traces", &spans("app", circle)).await;
    let trace = get(&console, &format!("/api/v1/traces/{}", id(1, 16))).await;
    assert_eq!(trace["spans"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn logs_are_filtered_and_belong_to_their_trace() {
    let console = console().await;
    let records = json!([
        { "timeUnixNano": "1000000000", "severityNumber": 9, "body": { "stringValue": "All is well" } },
        { "timeUnixNano": "2000000000", "severityNumber": 17, "body": { "stringValue": "It broke" },
          "traceId": id(1, 16), "spanId": id(2, 8), "attributes": attributes(&[("code", "7")]) },
        { "timeUnixNano": "3000000000", "severityNumber": 10, "eventName": "load.phase", "body": { "stringValue": "spike" } },
    ]);
    feed(
        &console,
        "/v1/logs",
        &json!({ "resourceLogs": [{ "resource": resource("app"), "scopeLogs": [{ "logRecords": records }] }] }),
    )
    .await;
    let (one, two) = (id(1, 16), id(2, 8));
    for (query, expected) in [
        (String::new(), json!(["spike", "It broke", "All is well"])),
        ("?severity=warn".to_owned(), json!(["It broke"])),
        ("?text=WELL".to_owned(), json!(["All is well"])),
        (format!("?trace_id={one}"), json!(["It broke"])),
        (format!("?span_id={two}"), json!(["It broke"])),
        ("?event=load.phase".to_owned(), json!(["spike"])),
        ("?attr=code%3D7".to_owned(), json!(["It broke"])),
        ("?since_unix_ms=2500".to_owned(), json!(["spike"])),
        ("?service=other".to_owned(), json!([])),
        ("?limit=1".to_owned(), json!(["spike"])),
    ] {
        let answer = get(&console, &format!("/api/v1/logs{query}")).await;
        let bodies: Value = answer["logs"].as_array().unwrap().iter().map(|l| l["body"].clone()).collect();
        assert_eq!(bodies, expected, "{query}");
    }
    let logs = get(&console, &format!("/api/v1/traces/{one}/logs")).await;
    let log = &logs["logs"][0];
    assert_eq!(
        (&log["severity"], &log["span_id"], &log["time_unix_ms"]),
        (&json!("ERROR"), &json!(two), &json!(2000.0))
    );
}

fn metrics(service: &str, metric: &Value) -> Value {
    json!({ "resourceMetrics": [{ "resource": resource(service), "scopeMetrics": [{ "metrics": [metric] }] }] })
}

fn numbers(answer: &Value) -> Value {
    answer["series"][0]["points"].as_array().unwrap().iter().map(|p| p[1].clone()).collect()
}

#[tokio::test]
async fn counters_histograms_and_gauges_over_time() {
    let console = console().await;
    let sum = |temporality: i32, points: &[(u64, u64)]| {
        let points: Vec<_> = points.iter().map(|(s, v)| json!({ "timeUnixNano": (s * 1_000_000_000).to_string(), "startTimeUnixNano": "1", "asInt": v.to_string() })).collect();
        json!({ "name": format!("sum{temporality}"), "unit": "1", "sum": { "aggregationTemporality": temporality, "isMonotonic": true, "dataPoints": points } })
    };
    feed(&console, "/v1/metrics", &metrics("app", &sum(2, &[(10, 5), (11, 15), (12, 3), (14, 7)]))).await;
    let window = "from_unix_ms=9000&to_unix_ms=14000";
    let ask = |fn_: &'static str, name: &'static str| format!("/api/v1/metrics/range?name={name}&fn={fn_}&{window}");
    assert_eq!(
        numbers(&get(&console, &ask("increase", "sum2")).await),
        json!([null, 10.0, 3.0, 2.0, 2.0]),
        "a reset, then spread"
    );
    assert_eq!(numbers(&get(&console, &ask("last", "sum2")).await), json!([5.0, 15.0, 3.0, null, 7.0]));
    let answer =
        get(&console, &format!("/api/v1/metrics/range?name=sum2&fn=rate&{window}&step_ms=5000&by=service.name")).await;
    assert_eq!((&answer["series"][0]["labels"], numbers(&answer)), (&json!({ "service.name": "app" }), json!([3.4])));
    let histogram = |second: u64, counts: [u64; 3]| {
        json!({ "name": "h", "unit": "s", "histogram": { "aggregationTemporality": 1, "dataPoints": [{
            "startTimeUnixNano": ((second - 1) * 1_000_000_000).to_string(), "timeUnixNano": (second * 1_000_000_000).to_string(),
            "count": counts.iter().sum::<u64>().to_string(), "sum": 2.0, "explicitBounds": [1.0, 2.0],
            "bucketCounts": counts.map(|c| c.to_string()),
            "exemplars": [{ "timeUnixNano": "5", "asDouble": 1.5, "traceId": id(1, 16), "spanId": id(2, 8) }] }] } })
    };
    feed(&console, "/v1/metrics", &metrics("app", &histogram(10, [4, 0, 0]))).await;
    feed(&console, "/v1/metrics", &metrics("app", &histogram(11, [0, 4, 0]))).await;
    assert_eq!(numbers(&get(&console, &ask("p50", "h")).await), json!([0.5, 1.5, null, null, null]));
    assert_eq!(numbers(&get(&console, &ask("avg", "h")).await), json!([0.5, 0.5, null, null, null]));
    assert_eq!(numbers(&get(&console, &ask("increase", "h")).await), json!([4.0, 4.0, null, null, null]));
    let exemplars = get(&console, &format!("/api/v1/metrics/exemplars?name=h&trace_id={}", id(1, 16))).await;
    assert_eq!(exemplars["exemplars"].as_array().unwrap().len(), 1, "a repeated one is told once");
    assert_eq!(
        (&exemplars["exemplars"][0]["value"], &exemplars["exemplars"][0]["span_id"]),
        (&json!(1.5), &json!(id(2, 8)))
    );
    let list = get(&console, "/api/v1/metrics").await;
    assert_eq!(
        list["metrics"][0],
        json!({ "name": "h", "unit": "s", "description": "", "kind": "histogram",
        "temporality": "delta", "monotonic": true, "services": ["app"], "series": 1 })
    );
}

#[tokio::test]
async fn wrong_parameters_are_400_naming_the_value_and_what_is_allowed() {
    let console = console().await;
    let gauge = json!({ "name": "g", "gauge": { "dataPoints": [{ "timeUnixNano": "5", "asInt": "1" }] } });
    feed(&console, "/v1/metrics", &metrics("app", &gauge)).await;
    for (path, words) in [
        ("/api/v1/traces?status=bad", ["bad", "error, ok, unset"]),
        ("/api/v1/traces?min_ms=-1", ["-1", "at least 0"]),
        ("/api/v1/traces?limit=1001", ["1001", "1 to 1000"]),
        ("/api/v1/traces?attr=nothing", ["nothing", "KEY=VALUE"]),
        ("/api/v1/traces?sevice=x", ["sevice", "service"]),
        ("/api/v1/logs?severity=loud", ["loud", "WARN"]),
        ("/api/v1/logs?trace_id=12", ["12", "32 hex digits"]),
        ("/api/v1/metrics/range", ["name", "name of a metric"]),
        ("/api/v1/metrics/range?name=g&fn=p33", ["p33", "p50"]),
        ("/api/v1/metrics/range?name=g&fn=rate", ["rate", "gauge"]),
        ("/api/v1/metrics/range?name=g&fn=p95", ["p95", "gauge"]),
        ("/api/v1/metrics/range?name=g&step_ms=0", ["step_ms", "at least 1"]),
        ("/api/v1/metrics/range?name=g&from_unix_ms=5&to_unix_ms=5", ["5", "before to_unix_ms"]),
        ("/api/v1/metrics/range?name=g&from_unix_ms=0&to_unix_ms=1e300", ["step_ms", "11000"]),
    ] {
        let (status, answer) = ask(&console, path).await;
        let error = answer["error"].as_str().unwrap();
        assert!(status == 400 && words.iter().all(|word| error.contains(word)), "{path}: {status} {error}");
    }
    assert_eq!(ask(&console, "/api/v1/nothing").await.0, 404);
    let posted = reqwest::Client::new().post(format!("http://{}/api/v1/status", console.page)).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

#[tokio::test]
async fn the_openapi_document_lists_routes_that_answer() {
    let console = console().await;
    let document = get(&console, "/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 13);
    for path in paths.keys().filter(|p| !p.ends_with("/stream")) {
        let (status, answer) = ask(&console, &path.replace("{trace_id}", &id(1, 16))).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(!error.contains("no such path"), "{path}: {status} {error}");
    }
}

#[tokio::test]
async fn a_foreign_host_is_403_and_no_cors_header_is_ever_sent() {
    let console = console().await;
    let client = reqwest::Client::new();
    let url = format!("http://{}/api/v1/status", console.page);
    for host in ["evil.example", "evil.example:4320", "192.0.2.1"] {
        let answer = client.get(&url).header("host", host).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{host}");
        assert!(answer.json::<Value>().await.unwrap()["error"].is_string());
    }
    let request = client.get(&url).header("host", "localhost").header("origin", "https://evil.example");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    let preflight = client.request(reqwest::Method::OPTIONS, format!("http://{}/v1/traces", console.http));
    let answer = preflight.header("origin", "https://evil.example").send().await.unwrap();
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
}

#[tokio::test]
async fn with_a_token_queries_need_it_as_header_or_cookie() {
    let console = console_with_token("se;cret").await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("http://{}", console.page);
    assert_eq!(client.get(format!("{url}/api/v1/status")).send().await.unwrap().status(), 401);
    assert_eq!(client.get(format!("{url}/api/v1/status?token=se;cret")).send().await.unwrap().status(), 401);
    assert_eq!(client.get(format!("{url}/health")).send().await.unwrap().status(), 200);
    let with = client.get(format!("{url}/api/v1/status")).bearer_auth("se;cret").send().await.unwrap();
    assert_eq!(with.status(), 200);
    assert_eq!(client.get(format!("{url}/?token=wrong")).send().await.unwrap().status(), 401);
    let login = client.get(format!("{url}/?token=se%3Bcret")).send().await.unwrap();
    assert_eq!(login.status(), 303);
    let cookie = login.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let with = client.get(format!("{url}/api/v1/status")).header("cookie", pair).send().await.unwrap();
    assert_eq!(with.status(), 200);
}

#[tokio::test]
async fn the_stream_tells_status_logs_and_traces_and_does_not_hold_the_stop() {
    let console = console().await;
    let mut answer = reqwest::get(format!("http://{}/api/v1/stream", console.page)).await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    two_traces(&console).await;
    let log = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{ "body": { "stringValue": "live" } }] }] }] });
    feed(&console, "/v1/logs", &log).await;
    let mut text = String::new();
    let told = |text: &str| ["event: status", "event: log", "event: trace"].iter().all(|event| text.contains(event));
    while !told(&text) {
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), answer.chunk()).await;
        text.push_str(&String::from_utf8_lossy(&next.unwrap().unwrap().unwrap()));
    }
    assert!(text.contains("\"live\""));
    let stopped = tokio::spawn(console.stop());
    while let Ok(Some(_)) = answer.chunk().await {}
    stopped.await.unwrap();
}

#[tokio::test]
async fn the_books_balance_when_the_store_overflows() {
    let console = start(Options { max_spans: 10, ..Options::default() }).await.unwrap();
    for id in 1..=25 {
        feed(&console, "/v1/traces", &serde_json::to_value(trace_request("app", vec![span(id, id)])).unwrap()).await;
    }
    let status = get(&console, "/api/v1/status").await;
    let spans = &status["signals"]["spans"];
    assert_eq!((&spans["stored"], &spans["received"], &spans["evicted"]), (&json!(10), &json!(25), &json!(15)));
    let services = get(&console, "/api/v1/services").await;
    assert_eq!((&services["services"][0]["name"], &services["services"][0]["spans"]), (&json!("app"), &json!(10)));
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_port_and_flag() {
    let console = console().await;
    let port = console.http.port();
    let error = start(Options { http_port: port, ..Options::default() }).await.unwrap_err().to_string();
    assert!(error.contains(&port.to_string()) && error.contains("--http-port"), "{error}");
    eventually("the first console still answers", || async { ask(&console, "/health").await.0 == 200 }).await;
}
