//! The lgtm variant: what it has beside the core: PostgreSQL, the node exporter, nginx, span metrics, profiles, and a
//! Prometheus that pulls. Run by `just stack-test`; the ports are fixed, so one test at a time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/stack.rs"]
mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use signalbox::facts;

use support::{Stack, can_run};

const SOON: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the real backends: just stack-test"]
fn the_lgtm_variant_keeps_the_contract_under_a_spike() {
    if !can_run(&[]) {
        return;
    }
    let state = support::state();
    let (status, output) =
        Stack::start(state.path(), &["lgtm", "--for", "40s", "--verify"]).end(Duration::from_secs(400));
    assert!(status.success(), "{status}\n{output}");
    for program in ["tempo", "grafana", "mimir", "pyroscope"] {
        let named = output.contains(&format!("skipped: {program}"));
        assert_eq!(named, programs::find(program).is_none(), "`{program}`:\n{output}");
    }
    let checks = [("nginx", "browser: "), ("postgres", "PostgreSQL: "), ("node-exporter", "node exporter: ")];
    for (program, check) in checks {
        let there = programs::find_or_say(program).is_some();
        assert!(!there || output.contains(&format!("ok    {check}")), "`{check}` was not checked:\n{output}");
    }
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn every_program_beside_the_core_does_its_part() {
    if !can_run(&["postgres", "node-exporter", "nginx"]) {
        return;
    }
    let state = support::state();
    let stack = Stack::ready(state.path(), &["lgtm"]);
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", facts::port("nginx", "http"));

    // nginx: the app through the public door.
    let task = json!({ "title": "kept in PostgreSQL" });
    let answer = stack.client().post(url("/tasks")).json(&task).send().await.unwrap();
    assert!(answer.status().is_success(), "nginx, /tasks: {answer:?}");
    // Faro: a page from elsewhere may not post with a browser of ours.
    for (origin, allowed) in [("http://elsewhere.example", false), (&*facts::setting("PUBLIC_URL"), true)] {
        let asked = stack.client().request(reqwest::Method::OPTIONS, url("/collect")).header("Origin", origin);
        let answer = asked.header("Access-Control-Request-Method", "POST").send().await.unwrap();
        let said = answer.headers().get("Access-Control-Allow-Origin").map(|value| value.to_str().unwrap());
        assert_eq!(said, allowed.then_some(origin));
    }
    // PostgreSQL: what was sent is a row there.
    assert!(rows_in_postgresql("SELECT title FROM tasks").contains("kept in PostgreSQL"));
    // The node exporter's scrape, the host's metrics, and metrics made of spans.
    for metric in [
        "up{job=\"node-exporter\"} == 1",
        "node_memory_MemAvailable_bytes",
        "system_memory_usage_bytes",
        "traces_span_metrics_calls_total{service_name=\"signalbox-app\"} or traces_span_metrics_calls_total{job=\"signalbox-app\"}",
    ] {
        stack
            .eventually(metric, SOON, async || (!stack.query(metric).await?.as_array()?.is_empty()).then_some(()))
            .await;
    }
    // A real Prometheus that pulls finds the service's metrics, with exemplars.
    let pulling = Pulling::start(state.path());
    let metric = "http_server_request_duration_seconds_count{job=\"signalbox-app\"}";
    let found = async || {
        let answer = stack.get(&pulling.url("/api/v1/query"), &[("query", metric)]).await?;
        (!answer["data"]["result"].as_array()?.is_empty()).then_some(())
    };
    stack.eventually("the service's requests, pulled from the collector", SOON, found).await;
    let exemplars = async || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        let bucket = "http_server_request_duration_seconds_bucket";
        let (start, end) = ((now - 300).to_string(), now.to_string());
        let parameters = [("query", bucket), ("start", start.as_str()), ("end", end.as_str())];
        let answer = stack.get(&pulling.url("/api/v1/query_exemplars"), &parameters).await?;
        answer["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str().map(str::to_owned)
    };
    stack.eventually("an exemplar, pulled from the collector", SOON, exemplars).await;
    drop(pulling);
    stack.stop();
}

/// Asks the server over its own port with `psql`, which lies beside it.
fn rows_in_postgresql(sql: &str) -> String {
    let server = programs::find("postgres").unwrap().canonicalize().unwrap();
    let psql = server.with_file_name("psql");
    let mut command = Command::new(if psql.is_file() { psql } else { "psql".into() });
    let port = facts::port("postgresql", "sql").to_string();
    programs::check(command.args(["-h", "127.0.0.1", "-p", &port, "-U", "signalbox", "-tA", "-c", sql])).unwrap()
}

/// A Prometheus of its own that runs configs/prometheus/pull.yaml on a free port.
struct Pulling {
    child: Child,
    port: u16,
}

impl Pulling {
    fn start(state: &Path) -> Self {
        let port = programs::free_port();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/prometheus/pull.yaml");
        let child = Command::new(programs::find("prometheus").unwrap())
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", state.join("pulling").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
