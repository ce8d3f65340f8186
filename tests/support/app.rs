//! A service in-process on a free port, and what it emitted: spans and log records of a trace. Used by `tests/app_*.rs`.
//! The subscriber is the process's, so tests find their own signals by trace id.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use signalbox::app::Server;
use signalbox::app::config::{Config, DatabaseUrl};
use tracing_subscriber::prelude::*;

static SPANS: Mutex<Vec<SpanData>> = Mutex::new(Vec::new());
static LOGS: Mutex<Vec<Log>> = Mutex::new(Vec::new());

/// A log record.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) trace_id: String,
    pub(crate) level: tracing::Level,
    pub(crate) fields: String,
}

#[derive(Debug)]
struct Keep;

impl SpanExporter for Keep {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        SPANS.lock().unwrap().extend(batch);
        Ok(())
    }
}

struct KeepLogs;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for KeepLogs {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let trace_id = opentelemetry::Context::current().span().span_context().trace_id().to_string();
        LOGS.lock().unwrap().push(Log { trace_id, level: *event.metadata().level(), fields: fields.0 });
    }
}

fn install_telemetry() {
    static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        opentelemetry::global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
        let provider = SdkTracerProvider::builder().with_simple_exporter(Keep).build();
        tracing_subscriber::registry()
            .with(tracing_subscriber::filter::LevelFilter::DEBUG)
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
            .with(KeepLogs)
            .init();
        provider
    });
}

/// Settings for tests: no background noise.
pub(crate) fn config() -> Config {
    Config { log_generator_rate: 0.0, drain_timeout: Duration::from_secs(5), ..Config::default() }
}

pub(crate) fn config_with_store(url: impl Into<String>) -> Config {
    Config { database_url: DatabaseUrl(url.into()), ..config() }
}

/// A service on a free port.
pub(crate) struct App {
    pub(crate) server: Server,
    pub(crate) client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|v| v.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn trace_id(&self) -> &str {
        let id = self.header("x-trace-id");
        assert_eq!(id.len(), 32, "{self:?}");
        id
    }
}

pub(crate) async fn start(config: Config) -> App {
    install_telemetry();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = signalbox::app::serve(listener, config, None).await.unwrap();
    App { server, client: reqwest::Client::builder().no_proxy().build().unwrap() }
}

impl App {
    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.server.address)
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(self.client.get(self.url(target))).await
    }

    pub(crate) async fn json(&self, method: &str, target: &str, body: &serde_json::Value) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.send(self.client.request(method, self.url(target)).json(body)).await
    }
}

/// Polls until `probe` has an answer, at most a minute: a machine may be busy.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A span of the trace by its name.
pub(crate) async fn span(trace_id: &str, name: &str) -> SpanData {
    let found = || {
        let spans = SPANS.lock().unwrap();
        spans.iter().find(|s| s.span_context.trace_id().to_string() == trace_id && s.name == name).cloned()
    };
    eventually(&format!("span {name:?} in trace {trace_id}"), found).await
}

/// A log record of the trace by its level.
pub(crate) async fn log(trace_id: &str, level: tracing::Level) -> Log {
    let found = || LOGS.lock().unwrap().iter().find(|l| l.trace_id == trace_id && l.level == level).cloned();
    eventually(&format!("{level} log in trace {trace_id}"), found).await
}

/// An attribute's value as text.
pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|kv| kv.key.as_str() == key).map(|kv| kv.value.to_string())
}
