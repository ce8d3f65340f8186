//! A backup of Prometheus and Loki, taken as docs/operations.md says, brings the data back into an empty state. Runs the
//! real programs on ports of its own; copies nothing of a running stack.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/programs.rs"]
mod programs;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use signalbox::facts;

use programs::Running;

impl Running {
    fn start(mut command: Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// SIGTERM, and waits for the end.
    fn stop(mut self) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(self.0.wait().unwrap().code().is_some());
    }
}

/// Asks until the answer is wanted; panics after a minute with the last one and the log.
async fn until<T>(what: &str, log: &Path, url: &str, wanted: impl Fn(u16, &str) -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, body) = match reqwest::get(url).await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(error) => (0, error.to_string()),
        };
        if let Some(found) = wanted(status, &body) {
            return found;
        }
        let logged = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < end, "not within 60 s: {what}\n{url}\n{status} {body}\n{}", logged());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    programs::check(Command::new("cp").arg("-a").args([from, to])).unwrap_or_else(|error| panic!("{error}"));
}

/// Nanoseconds since 1970.
fn now() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()
}

/// Prometheus with the flags of configs/README.md on a port of the test's, scraping itself so that it has data.
fn prometheus(program: &Path, data: &Path, scratch: &Path, port: u16) -> Running {
    let config = format!(
        "scrape_configs: [{{ job_name: self, scrape_interval: 1s, static_configs: [{{ targets: ['127.0.0.1:{port}'] }}] }}]"
    );
    std::fs::write(scratch.join("prometheus.yaml"), config).unwrap();
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", scratch.join("prometheus.yaml").display()));
    command.arg(format!("--storage.tsdb.path={}", data.display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.args(["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage", "--web.enable-admin-api"]);
    Running::start(command, &scratch.join("prometheus.log"))
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn a_snapshot_of_prometheus_is_restored_into_an_empty_state() {
    let Some(program) = programs::find_or_say("prometheus") else { return };
    let (scratch, port) = (tempfile::tempdir().unwrap(), programs::free_port());
    let log = scratch.path().join("prometheus.log");
    let base = format!("http://127.0.0.1:{port}/api/v1");
    let value = |body: &str| {
        let answer: Value = serde_json::from_str(body).ok()?;
        Some(answer["data"]["result"].get(0)?["value"][1].as_str()?.to_owned())
    };

    let old = scratch.path().join("old");
    let running = prometheus(&program, &old, scratch.path(), port);
    let query = format!("{base}/query?query=process_start_time_seconds");
    let started = until("its own start time is stored", &log, &query, |_, body| value(body)).await;
    let at = now() as f64 / 1e9;
    let answer = reqwest::Client::new().post(format!("{base}/admin/tsdb/snapshot")).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let snapshot = old.join("snapshots").join(answer["data"]["name"].as_str().unwrap());
    // The worst case: the process dies and its folder is gone.
    drop(running);
    let new = scratch.path().join("new");
    copy(&snapshot, &new);
    std::fs::remove_dir_all(&old).unwrap();

    let _running = prometheus(&program, &new, scratch.path(), port);
    let query = format!("{base}/query?query=process_start_time_seconds&time={at:.3}");
    let restored = until("the old value is back", &log, &query, |_, body| value(body)).await;
    assert_eq!(restored, started, "the start time of the process before the restore");
}

/// Loki with the config of the stack; only its ports are the test's.
fn loki(program: &Path, state: &Path, ports: (u16, u16), log: &Path) -> Running {
    let mut command = Command::new(program);
    command.args(["-config.file=configs/loki/loki.yaml", "-config.expand-env=true"]);
    command.args([format!("-server.http-listen-port={}", ports.0), format!("-server.grpc-listen-port={}", ports.1)]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().envs(facts::local_settings());
    command.env("SIGNALBOX_STATE", state);
    Running::start(command, log)
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn a_copy_of_loki_is_restored_into_an_empty_state() {
    let Some(program) = programs::find_or_say("loki") else { return };
    let (scratch, ports) = (tempfile::tempdir().unwrap(), (programs::free_port(), programs::free_port()));
    let log = scratch.path().join("loki.log");
    let base = format!("http://127.0.0.1:{}", ports.0);
    let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
    let ready = |status: u16, _: &str| (status == 200).then_some(());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";

    let running = loki(&program, &old, ports, &log);
    until("Loki is ready", &log, &format!("{base}/ready"), ready).await;
    let record = json!({ "timeUnixNano": now().to_string(), "severityText": "INFO", "traceId": trace,
        "spanId": "00f067aa0ba902b7", "body": { "stringValue": "kept over a restore" } });
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "restore" } }] });
    let logs = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": [record] }] }] });
    let client = reqwest::Client::new();
    let pushed = client.post(format!("{base}/otlp/v1/logs")).json(&logs).send().await.unwrap();
    assert!(pushed.status().is_success(), "{}", pushed.status());
    let query = format!(
        "{base}/loki/api/v1/query_range?query=%7Bservice_name%3D%22restore%22%7D%20%7C%20trace_id%3D%22{trace}%22"
    );
    let found = |_: u16, body: &str| body.contains("kept over a restore").then_some(());
    until("the record is stored", &log, &query, found).await;
    running.stop();
    copy(&old, &new);
    std::fs::remove_dir_all(&old).unwrap();

    let _running = loki(&program, &new, ports, &log);
    until("Loki is ready", &log, &format!("{base}/ready"), ready).await;
    until("the record is back, by its trace id", &log, &query, found).await;
}

#[test]
fn the_page_on_operations_gives_the_commands_that_are_tested_here() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    for command in ["/api/v1/admin/tsdb/snapshot", "cp -a"] {
        assert!(page.contains(command), "docs/operations.md no longer says {command}");
    }
}
