//! Continuous profiles from the service's process to the console: found by service, route and span; off unless asked for;
//! no harm when the receiver is away. What a flame graph must be is in the console's own tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(all(feature = "app", feature = "console", feature = "pyroscope", unix))]

#[path = "support/console.rs"]
mod console;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use console::{console, console_with_token, get};
use serde_json::Value as Json;

/// Polls until `found` says yes. Long, because samples are of CPU time, which a busy machine gives late.
async fn eventually<F: Future<Output = bool>>(what: &str, mut found: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !found().await {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The service as a process, on a free port.
struct App {
    child: Child,
    base: String,
    lines: std::thread::JoinHandle<Vec<String>>,
}

impl App {
    fn start(environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
        command.arg("app").env("PORT", "0").env("LOG_GENERATOR_RATE", "0").env("OTEL_BSP_SCHEDULE_DELAY", "100");
        command
            .env("REQUEST_TIMEOUT", "60s")
            .env_remove("PYROSCOPE_URL")
            .env("PYROSCOPE_UPLOAD_INTERVAL", "1s")
            .envs(environment.iter().cloned());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("listening on")).unwrap();
        let address = line.split("http://").nth(1).unwrap().split('"').next().unwrap();
        let base = format!("http://{address}");
        Self { child, base, lines: std::thread::spawn(move || lines.collect()) }
    }

    /// Status and trace id of the answer.
    async fn get(&self, target: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{target}", self.base)).await.unwrap();
        let trace = answer.headers().get("x-trace-id").map(|id| id.to_str().unwrap().to_owned());
        (answer.status().as_u16(), trace.unwrap_or_default())
    }

    /// SIGTERM; the exit code, the log lines and what was said at the end.
    fn end(mut self) -> (i32, Vec<String>, String) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the service did not end within a minute");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (
            status.code().unwrap_or(-1),
            std::mem::replace(&mut self.lines, std::thread::spawn(Vec::new)).join().unwrap(),
            said,
        )
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn profiled(console: &signalbox::console::Running) -> Vec<(&'static str, String)> {
    vec![
        ("PYROSCOPE_URL", format!("http://{}", console.page)),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", console.grpc)),
    ]
}

/// The server span of a trace, once it is stored.
async fn server_span(console: &signalbox::console::Running, trace: &str) -> Json {
    let path = format!("/api/v1/traces/{trace}");
    eventually("the trace is stored", || async { console::ask(console, &path).await.0 == 200 }).await;
    let spans = get(console, &path).await;
    spans["spans"].as_array().unwrap().iter().find(|span| span["kind"] == "SERVER").unwrap().clone()
}

async fn samples(console: &signalbox::console::Running, query: &str) -> i64 {
    get(console, &format!("/api/v1/profiles/flamegraph?{query}")).await["samples"].as_i64().unwrap()
}

/// Whether a function is anywhere in a tree.
fn holds(flame: &Json, function: &str) -> bool {
    flame["nodes"].as_array().unwrap().iter().any(|node| node["name"].as_str().unwrap().contains(function))
}

// The console must answer while the test waits for the service's end.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_computes_is_found_by_service_route_and_the_id_of_its_span() {
    let console = console().await;
    let app = App::start(&profiled(&console));
    let (status, trace) = app.get("/work?ms=0&cpu_ms=200").await;
    assert_eq!(status, 200);
    let (_, other) = app.get("/health").await;
    let span = server_span(&console, &trace).await;
    let id = span["span_id"].as_str().unwrap().to_owned();
    assert_eq!(span["attributes"]["pyroscope.profile.id"], id.as_str());

    eventually("samples of the span", || async { samples(&console, &format!("profile_id={id}")).await > 0 }).await;
    let own = get(&console, &format!("/api/v1/profiles/flamegraph?profile_id={id}")).await;
    assert!(holds(&own, "stir"), "what computes is not in the span's profile: {own}");
    assert_eq!(own["nodes"][1]["name"], "GET /work");
    assert!(!holds(&own, "signalbox_mark"), "the marks are not the program's work");
    let by_route = samples(&console, "service=signalbox-app&route=/work").await;
    assert!(by_route >= own["samples"].as_i64().unwrap(), "{by_route}: {own}");
    assert_eq!(samples(&console, "service=signalbox-app&route=/nowhere").await, 0);
    assert_eq!(samples(&console, "service=shop").await, 0);
    let idle = server_span(&console, &other).await;
    assert_eq!(samples(&console, &format!("profile_id={}", idle["span_id"].as_str().unwrap())).await, 0);

    let list = get(&console, "/api/v1/profiles").await;
    assert_eq!(list["profiles"][0]["service"], "signalbox-app");
    assert!(list["profiles"][0]["routes"].as_array().unwrap().contains(&"/work".into()), "{list}");

    // Panics unwind and SIGTERM drains while samples are taken.
    assert_eq!(app.get("/crash").await.0, 500);
    let (code, lines, said) = app.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("profiles: samples ") && said.contains(" pushed 0 lost"), "{said}");
    assert!(!lines.iter().any(|line| line.contains("profiles were lost")), "{lines:#?}");
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_variable_nothing_is_sampled_pushed_or_marked() {
    let console = console().await;
    let mut environment = profiled(&console);
    environment.retain(|(variable, _)| *variable != "PYROSCOPE_URL");
    let app = App::start(&environment);
    let (_, trace) = app.get("/work?ms=0&cpu_ms=200").await;
    let span = server_span(&console, &trace).await;
    assert!(span["attributes"].get("pyroscope.profile.id").is_none(), "{span}");
    let (code, _, said) = app.end();
    assert_eq!(code, 0);
    assert!(!said.contains("profiles"), "{said}");
    assert_eq!(get(&console, "/api/v1/status").await["signals"]["profiles"]["received"], 0);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_is_not_sampled_has_no_profile_of_its_own() {
    let console = console().await;
    let mut environment = profiled(&console);
    environment.push(("OTEL_TRACES_SAMPLER", "always_off".to_owned()));
    let app = App::start(&environment);
    app.get("/work?ms=0&cpu_ms=200").await;
    eventually("any samples", || async { samples(&console, "service=signalbox-app").await > 0 }).await;
    assert_eq!(app.end().0, 0);
    assert_eq!(samples(&console, "span_name=GET%20/work").await, 0);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_or_refuses_costs_profiles_only_and_is_said_once_a_minute() {
    let console = console_with_token("secret").await;
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, reason) in [(format!("http://{away}"), "connection"), (format!("http://{}", console.page), "401")] {
        let app = App::start(&[("PYROSCOPE_URL", url), ("OTEL_SDK_DISABLED", "true".to_owned())]);
        // Longer than several pushes.
        for _ in 0..5 {
            assert_eq!(app.get("/work?ms=500&cpu_ms=50").await.0, 200);
        }
        let (code, lines, said) = app.end();
        assert_eq!(code, 0, "{said}");
        let (_, numbers) = said.split_once("profiles: samples ").unwrap();
        let (pushed, lost) = numbers.split_once(" pushed ").unwrap();
        assert_eq!(pushed, "0", "{said}");
        assert!(lost.split(' ').next().unwrap().parse::<u64>().unwrap() > 0, "{said}");
        let lines: Vec<_> = lines.iter().filter(|line| line.contains("profiles were lost")).collect();
        assert!((1..=2).contains(&lines.len()), "one line a minute and the last: {lines:#?}");
        assert!(lines[0].contains(reason), "{lines:#?}");
    }
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_asks_for_a_token_takes_profiles_that_carry_it() {
    let console = console_with_token("secret").await;
    let mut environment = profiled(&console);
    environment.push(("PYROSCOPE_AUTH_TOKEN", "secret".to_owned()));
    environment.push(("OTEL_SDK_DISABLED", "true".to_owned()));
    let app = App::start(&environment);
    app.get("/work?ms=0&cpu_ms=200").await;
    let (_, _, said) = app.end();
    assert!(said.contains(" pushed 0 lost") && !said.contains("samples 0 pushed"), "{said}");
    console.stop().await;
}

#[test]
fn a_wrong_setting_exits_64_and_names_the_variable() {
    for (variable, value) in [
        ("PYROSCOPE_URL", "localhost:4040"),
        ("PYROSCOPE_UPLOAD_INTERVAL", "soon"),
        ("PYROSCOPE_SAMPLE_RATE", "0"),
        ("PYROSCOPE_AUTH_TOKEN", "s3c\nret"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_signalbox")).arg("app").env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{variable}: {said}");
        assert!(said.contains(variable) && said.contains("allowed is") && !said.contains("s3c"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_none_is_refused_with_the_reason_and_counted() {
    let console = console().await;
    let push = |kind: &'static str, body: &'static [u8]| {
        let url = format!("http://{}/push.v1.PusherService/Push", console.page);
        async move { reqwest::Client::new().post(url).header("content-type", kind).body(body).send().await.unwrap() }
    };
    for (kind, body, status, reason) in [
        ("application/proto", &b"\xff\xff\xff"[..], 400, "no PushRequest"),
        ("application/json", b"{}", 415, "application/proto"),
        ("text/plain", b"", 415, "application/proto"),
    ] {
        let answer = push(kind, body).await;
        assert_eq!(answer.status(), status);
        let text = answer.text().await.unwrap();
        assert!(text.contains(reason), "{text}");
    }
    assert_eq!(get(&console, "/api/v1/status").await["signals"]["profiles"]["rejected"], 1);
    // A page of another site has another Host.
    let foreign = reqwest::Client::new().post(format!("http://{}/push.v1.PusherService/Push", console.page));
    let foreign =
        foreign.header("host", "evil.example").header("content-type", "application/proto").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    console.stop().await;
}
