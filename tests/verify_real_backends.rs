//! `signalbox verify --stack core` against the real Prometheus and the real Loki, fed by the real service over OTLP without
//! a collector; the console stands in Tempo's place. The whole stack with its collector: `stack_*.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(all(feature = "app", feature = "console"))]

#[path = "support/programs.rs"]
mod programs;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use programs::Running;
use signalbox::console::{Options, Running as Console, start};

fn spawn(command: &mut Command) -> Running {
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

async fn ready(url: String) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(Instant::now() < deadline, "{url} is not ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The backends, and the addresses that the service and `verify` need.
struct Stack {
    _children: Vec<Running>,
    _console: Console,
    _folder: tempfile::TempDir,
    app: Vec<(&'static str, String)>,
    verify: Vec<(&'static str, String)>,
}

fn loki_config(folder: &Path, http: u16, grpc: u16) -> String {
    let folder = folder.display();
    format!(
        "auth_enabled: false
server: {{ http_listen_address: 127.0.0.1, http_listen_port: {http}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: error }}
common:
  path_prefix: {folder}/loki
  replication_factor: 1
  instance_addr: 127.0.0.1
  ring: {{ instance_addr: 127.0.0.1, kvstore: {{ store: inmemory }} }}
  storage: {{ filesystem: {{ chunks_directory: {folder}/loki/chunks, rules_directory: {folder}/loki/rules }} }}
ingester: {{ lifecycler: {{ min_ready_duration: 1s }} }}
schema_config:
  configs: [{{ from: 2024-04-01, store: tsdb, object_store: filesystem, schema: v13, index: {{ prefix: index_, period: 24h }} }}]
limits_config: {{ allow_structured_metadata: true }}
frontend: {{ scheduler_dns_lookup_period: 1s }}
analytics: {{ reporting_enabled: false }}
"
    )
}

/// Starts the backends; `None` where one is missing. `exemplars`: whether Prometheus keeps them.
async fn stack(exemplars: bool) -> Option<Stack> {
    let (prometheus, loki) = (programs::find_or_say("prometheus")?, programs::find_or_say("loki")?);
    let folder = tempfile::tempdir().unwrap();
    let metrics = programs::free_port();
    std::fs::write(folder.path().join("prometheus.yaml"), "global: {}\n").unwrap();
    let mut command = Command::new(prometheus);
    command.current_dir(folder.path()).args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data"]);
    command.arg(format!("--web.listen-address=127.0.0.1:{metrics}")).arg("--web.enable-otlp-receiver");
    if exemplars {
        command.arg("--enable-feature=exemplar-storage");
    }
    let mut children = vec![spawn(&mut command)];
    let (logs, grpc) = (programs::free_port(), programs::free_port());
    let config = folder.path().join("loki.yaml");
    std::fs::write(&config, loki_config(folder.path(), logs, grpc)).unwrap();
    children.push(spawn(Command::new(loki).current_dir(folder.path()).arg("-config.file").arg(&config)));
    let console = start(Options::default()).await.unwrap();
    let (metrics, logs) = (format!("http://127.0.0.1:{metrics}"), format!("http://127.0.0.1:{logs}"));
    ready(format!("{metrics}/-/ready")).await;
    ready(format!("{logs}/ready")).await;
    let http = || "http/protobuf".to_owned();
    Some(Stack {
        app: vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", console.grpc)),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", format!("{metrics}/api/v1/otlp/v1/metrics")),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", http()),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", format!("{logs}/otlp/v1/logs")),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", http()),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
            ("OTEL_BLRP_SCHEDULE_DELAY", "200".to_owned()),
        ],
        verify: vec![
            ("PROMETHEUS_URL", metrics),
            ("LOKI_URL", logs),
            ("CONSOLE_URL", format!("http://{}", console.page)),
            ("TEMPO_URL", format!("http://127.0.0.1:{}", programs::free_port())),
            ("GRAFANA_URL", String::new()),
        ],
        _children: children,
        _console: console,
        _folder: folder,
    })
}

/// Starts the service with further variables and verifies it; what was printed.
async fn verify(stack: &Stack, app: &[(&str, &str)], within: &str) -> String {
    let port = programs::free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.arg("app").env("PORT", port.to_string()).envs(stack.app.iter().cloned()).envs(app.iter().copied());
    let _app = spawn(&mut command);
    ready(format!("{url}/health")).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.args(["verify", "--stack", "core", "--app", &url]).envs(stack.verify.iter().cloned());
    command.env("SIGNALBOX_VERIFY_SPIKE", "0").env("SIGNALBOX_VERIFY_TIMEOUT", within);
    String::from_utf8(command.output().await.unwrap().stdout).unwrap()
}

/// Lines of failed checks, without those that only the collector and the rule files can make pass.
fn failures(text: &str) -> Vec<&str> {
    let not_here = ["FAIL  collector: ", "FAIL  rules: "];
    text.lines()
        .filter(|line| line.starts_with("FAIL") && !not_here.iter().any(|start| line.starts_with(start)))
        .collect()
}

#[tokio::test]
async fn every_signal_is_found_in_the_real_prometheus_and_the_real_loki() {
    let Some(stack) = stack(true).await else { return };
    let text = verify(&stack, &[], "30s").await;
    assert!(failures(&text).is_empty(), "{text}");
    for start in [
        "ok    GET /work: metric point  visible after ",
        "ok    GET /work: exemplar leads to its trace  visible after ",
        "ok    GET /work: INFO log in the same trace  visible after ",
        "ok    correlation: log -> span -> the trace's logs",
        "ok    metrics of the service: process (5 of them, unit and kind)",
        "skip  Tempo: does not run (TEMPO_URL=",
        "p95   logs visible after ",
        "p95   metrics visible after ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(start)), "no line `{start}`:\n{text}");
    }
}

#[tokio::test]
async fn an_unplugged_leg_fails_its_own_checks_and_no_others() {
    let Some(stack) = stack(false).await else { return };
    let dead = format!("http://127.0.0.1:{}/otlp/v1/logs", programs::free_port());
    let text = verify(&stack, &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &dead)], "10s").await;
    let failures = failures(&text);
    for start in [
        "FAIL  GET /work: INFO log in the same trace: no INFO log with trace id ",
        "FAIL  GET /work: exemplar leads to its trace: none of 0 exemplars of ",
    ] {
        assert!(failures.iter().any(|line| line.starts_with(start)), "no line `{start}`:\n{text}");
    }
    let of_these =
        |line: &&&str| [" log in ", "exemplar", "correlation", "redaction"].iter().any(|word| line.contains(word));
    assert_eq!(failures.iter().filter(of_these).count(), failures.len(), "{text}");
    assert!(text.contains("ok    GET /work: metric point") && text.contains("ok    GET /work: server span"), "{text}");
}
