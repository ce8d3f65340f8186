//! The starter of `nix flake init -t` does what its README says: each request is a span, a duration and log records that
//! name the span, in a console. Its source is compiled as a module here, with the versions that its manifest asks for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/console.rs"]
mod support;
#[allow(dead_code, unreachable_pub, missing_docs, reason = "a program of its own; its main is not called")]
#[path = "../nix/template/src/main.rs"]
mod template;

use std::process::{Command, Stdio};

use programs::Running;
use support::{console, get};

/// Set for the process that is the service.
const SERVE: &str = "SIGNALBOX_TEST_TEMPLATE";

/// Not a test of its own: the service, in a process of its own because telemetry is global. Does nothing otherwise.
#[test]
fn serve() {
    if std::env::var_os(SERVE).is_some() {
        template::main().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_starter_is_a_span_with_its_logs_and_a_duration() {
    let console = console().await;
    let mut service = Command::new(std::env::current_exe().unwrap());
    service.args(["serve", "--exact", "--nocapture"]).env_clear().env(SERVE, "1").env("SERVICE_ADDRESS", "127.0.0.1:0");
    service.env("OTEL_SERVICE_NAME", "starter").env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", console.grpc));
    let mut service = Running(service.stdout(Stdio::piped()).spawn().unwrap());
    let lines = std::io::BufRead::lines(std::io::BufReader::new(service.0.stdout.take().unwrap()));
    let mut lines = lines.map_while(Result::ok);
    let url = lines.find_map(|line| line.find("http://").map(|at| line[at..].to_owned())).unwrap();
    let rest = std::thread::spawn(move || lines.collect::<Vec<_>>().join("\n"));

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let failing = url.replace("/you", "/nobody");
    for (url, status) in [(&url, 200), (&failing, 500)] {
        let answer = client.get(url).header("traceparent", caller).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    // What is left is sent before it ends.
    let pid = nix::unistd::Pid::from_raw(service.0.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = tokio::task::spawn_blocking(move || service.0.wait().unwrap()).await.unwrap();
    let said = rest.join().unwrap();
    assert!(status.success(), "{said}");

    let trace = get(&console, "/api/v1/traces/0af7651916cd43dd8448eb211c80319c").await;
    let spans = trace["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 2, "{trace}\n{said}");
    for span in spans {
        assert_eq!((&span["name"], &span["service"]), (&"GET /hello/{name}".into(), &"starter".into()));
        assert_eq!(span["parent_span_id"], "b7ad6b7169203331", "the caller's trace goes on");
    }
    let logs = get(&console, "/api/v1/traces/0af7651916cd43dd8448eb211c80319c/logs").await;
    let logs = logs["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 2, "{logs:?}");
    // The newest first.
    for (log, body) in logs.iter().zip(["there is nobody to greet", "greeting"]) {
        assert_eq!(log["body"], body);
        assert!(spans.iter().any(|span| span["span_id"] == log["span_id"]), "a log names its span: {log}");
    }
    let series = get(&console, "/api/v1/metrics/series?name=http.server.request.duration&service=starter").await;
    let codes: Vec<_> = series["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["attributes"]["http.response.status_code"])
        .collect();
    assert_eq!(codes.len(), 2, "one for each status: {series}");
    console.stop().await;
}

/// What the starter asks for is what it is compiled with here.
#[test]
fn the_starter_asks_for_versions_that_this_package_has() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let starter = std::fs::read_to_string(root.join("nix/template/Cargo.toml")).unwrap();
    let ours = ours.split_once("[dependencies]").unwrap().1;
    let asked = starter.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    for line in asked {
        let (name, version) = line.split_once(" = ").unwrap();
        let version = version.split('"').nth(1).unwrap();
        let ours = ours.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))?.split('"').nth(1));
        assert!(ours.is_some_and(|ours| ours.starts_with(version)), "{name}: asks for {version}, here it is {ours:?}");
    }
}
