//! A real collector on free ports with the files of configs/collector, and a backend that takes, refuses or is gone. Included
//! by `collector_keeps_what_it_took`; no promise may be checked here.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use flate2::read::GzDecoder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use signalbox::facts;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What arrived, by span id (traces) or body (logs); how often, and with which attributes.
#[derive(Default)]
pub(crate) struct Arrived {
    /// Times each id came.
    pub(crate) ids: BTreeMap<String, usize>,
    /// Keys of all attributes, resources' included.
    pub(crate) keys: BTreeMap<String, String>,
}

/// A backend; while `status` is not 200 it refuses traces and logs.
#[derive(Clone)]
pub(crate) struct Backend {
    /// Base address.
    pub(crate) url: String,
    arrived: Arc<Mutex<Arrived>>,
    status: Arc<Mutex<StatusCode>>,
}

impl Backend {
    /// Starts one that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let backend = Self { url, arrived: Arc::default(), status: Arc::default() };
        let router = Router::new().fallback(take).with_state(backend.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        backend
    }

    /// From now on it answers with this.
    pub(crate) fn answer(&self, status: StatusCode) {
        *self.status.lock().unwrap() = status;
    }

    /// Reads what arrived.
    pub(crate) fn see<T>(&self, look: impl FnOnce(&Arrived) -> T) -> T {
        look(&self.arrived.lock().unwrap())
    }

    /// Waits until so many different ids arrived.
    pub(crate) async fn until(&self, ids: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.see(|arrived| arrived.ids.len()) < ids {
            assert!(Instant::now() < deadline, "{} of {ids} arrived", self.see(|arrived| arrived.ids.len()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn take(State(backend): State<Backend>, request: Request) -> StatusCode {
    let path = request.uri().path().to_owned();
    let zipped = request.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let body: Bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let status = *backend.status.lock().unwrap();
    // Never remote write: its queue is in memory, and a stop would wait for it.
    if status != StatusCode::OK && !path.ends_with("/api/v1/write") {
        return status;
    }
    let mut plain = Vec::new();
    if zipped {
        GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
    } else {
        plain = body.to_vec();
    }
    let mut arrived = backend.arrived.lock().unwrap();
    let mut note = |attributes: &[KeyValue]| {
        for KeyValue { key, value, .. } in attributes {
            let text = match value.as_ref().and_then(|v| v.value.as_ref()) {
                Some(any_value::Value::StringValue(text)) => text.clone(),
                _ => String::new(),
            };
            arrived.keys.insert(key.clone(), text);
        }
    };
    let mut ids = Vec::new();
    if path.ends_with("/v1/traces") {
        for group in ExportTraceServiceRequest::decode(&plain[..]).unwrap().resource_spans {
            note(&group.resource.unwrap_or_default().attributes);
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                note(&span.attributes);
                ids.push(span.span_id.iter().map(|byte| format!("{byte:02x}")).collect());
            }
        }
    } else if path.ends_with("/v1/logs") {
        for group in ExportLogsServiceRequest::decode(&plain[..]).unwrap().resource_logs {
            note(&group.resource.unwrap_or_default().attributes);
            for record in group.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                note(&record.attributes);
                ids.push(format!("log {}", record.time_unix_nano));
            }
        }
    }
    for id in ids {
        *arrived.ids.entry(id).or_default() += 1;
    }
    StatusCode::OK
}

/// A collector; killed when dropped.
pub(crate) struct Collector {
    child: Child,
    /// Base address of its OTLP over HTTP.
    pub(crate) otlp: String,
    log: PathBuf,
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Collector {
    /// Starts core + local with its state in `state`; `backend` stands for Tempo, Loki and Prometheus. `more` is merged on
    /// top.
    pub(crate) async fn start(program: &Path, state: &Path, backend: &str, more: &str) -> Self {
        let [grpc, http, pull, own, health] = std::array::from_fn(|_| crate::programs::free_port());
        let overlay = format!(
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:{grpc}' }}, http: {{ endpoint: '127.0.0.1:{http}' }} }} }} }}\n\
             exporters: {{ prometheus: {{ endpoint: '127.0.0.1:{pull}' }} }}\n\
             extensions: {{ health_check: {{ endpoint: '127.0.0.1:{health}' }} }}\n\
             service: {{ telemetry: {{ metrics: {{ readers: [{{ pull: {{ exporter: {{ prometheus: {{ host: 127.0.0.1, port: {own} }} }} }} }}] }} }} }}\n"
        );
        std::fs::write(state.join("ports.yaml"), overlay).unwrap();
        std::fs::write(state.join("more.yaml"), more).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/collector");
        let log = state.join("collector.log");
        let mut command = Command::new(program);
        for file in
            [folder.join("core.yaml"), folder.join("local.yaml"), state.join("ports.yaml"), state.join("more.yaml")]
        {
            command.arg("--config").arg(file);
        }
        command.env_clear().envs(facts::local_settings()).env("SIGNALBOX_STATE", state);
        command.envs(["PROMETHEUS_URL", "LOKI_URL", "TEMPO_OTLP_URL"].map(|name| (name, backend)));
        let said = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut collector = Self { child: command.spawn().unwrap(), otlp: format!("http://127.0.0.1:{http}"), log };
        let deadline = Instant::now() + PATIENCE;
        while reqwest::get(format!("http://127.0.0.1:{health}/")).await.is_err() {
            let ended = collector.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "never ready: {}", collector.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        collector
    }

    /// What it wrote.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it: SIGKILL, or SIGTERM and wait.
    pub(crate) fn end(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends one request with spans `from..to`; its status.
    pub(crate) async fn spans(&self, range: std::ops::Range<u64>, attributes: Vec<KeyValue>) -> StatusCode {
        let span = |id: u64| Span {
            trace_id: vec![7; 16],
            span_id: (id + 1).to_be_bytes().to_vec(),
            name: "test".into(),
            start_time_unix_nano: 1,
            end_time_unix_nano: 2,
            attributes: attributes.clone(),
            ..Default::default()
        };
        let scope_spans = vec![ScopeSpans { spans: range.map(span).collect(), ..Default::default() }];
        let resource = Some(Resource { attributes: attributes.clone(), ..Default::default() });
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
        self.post("/v1/traces", ExportTraceServiceRequest { resource_spans }.encode_to_vec()).await
    }

    /// Sends one request with records `from..to`; its status.
    pub(crate) async fn records(&self, range: std::ops::Range<u64>, attributes: Vec<KeyValue>) -> StatusCode {
        let record =
            |id: u64| LogRecord { time_unix_nano: id + 1, attributes: attributes.clone(), ..Default::default() };
        let scope_logs = vec![ScopeLogs { log_records: range.map(record).collect(), ..Default::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..Default::default() }];
        self.post("/v1/logs", ExportLogsServiceRequest { resource_logs }.encode_to_vec()).await
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> StatusCode {
        let request = reqwest::Client::new().post(format!("{}{path}", self.otlp)).body(body);
        request.header("content-type", "application/x-protobuf").send().await.unwrap().status()
    }
}

/// An attribute with a text.
pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..Default::default() }
}
