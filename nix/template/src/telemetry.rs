//! Traces, metrics and logs over OTLP, connected: a log record names the span it was written in. The standard variables
//! say where to (`OTEL_EXPORTER_OTLP_ENDPOINT`, default `http://localhost:4317`) and who it is (`OTEL_SERVICE_NAME`).

use std::sync::LazyLock;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{Status, TracerProvider};
use opentelemetry::{KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The three signals on their way out.
pub struct Telemetry {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
}

/// Starts exporting; call it once, inside the runtime.
pub fn start() -> Result<Telemetry, ExporterBuildError> {
    let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| env!("CARGO_PKG_NAME").into());
    let resource = Resource::builder().with_service_name(name).build();
    let spans = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_batch_exporter(SpanExporter::builder().with_tonic().build()?)
        .build();
    let metrics = SdkMeterProvider::builder()
        .with_resource(resource.clone())
        .with_periodic_exporter(MetricExporter::builder().with_tonic().build()?)
        .build();
    let logs = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(LogExporter::builder().with_tonic().build()?)
        .build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_meter_provider(metrics.clone());
    // The exporter's own transport must not feed on itself; RUST_LOG chooses the rest.
    let quiet = || {
        let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
        ["h2", "hyper", "hyper_util", "opentelemetry", "tonic", "tower"]
            .iter()
            .filter_map(|target| format!("{target}=off").parse().ok())
            .fold(filter, EnvFilter::add_directive)
    };
    tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(spans.tracer(env!("CARGO_PKG_NAME"))).with_filter(quiet()))
        .with(OpenTelemetryTracingBridge::new(&logs).with_filter(quiet()))
        .with(tracing_subscriber::fmt::layer().with_filter(quiet()))
        .init();
    Ok(Telemetry { spans, metrics, logs })
}

impl Telemetry {
    /// Sends what is left. Blocks: not on a thread of the runtime.
    pub fn stop(self) -> Result<(), OTelSdkError> {
        let outcomes = [self.spans.shutdown(), self.metrics.shutdown(), self.logs.shutdown()];
        outcomes.into_iter().collect()
    }
}

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    // Name, unit and buckets of OpenTelemetry's conventions for HTTP.
    global::meter(env!("CARGO_PKG_NAME"))
        .f64_histogram("http.server.request.duration")
        .with_unit("s")
        .with_description("Duration of HTTP server requests.")
        .with_boundaries(vec![0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0])
        .build()
});

/// The layer around every route: a server span that continues the caller's trace, and the duration.
pub async fn request(request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let name = route.as_ref().map_or_else(|| method.clone(), |route| format!("{method} {route}"));
    let span = tracing::info_span!("request", otel.name = name, otel.kind = "server");
    let caller = global::get_text_map_propagator(|headers| headers.extract(&HeaderExtractor(request.headers())));
    // Without the layer of `start` there is no trace to continue, as in a unit test.
    let _ = span.set_parent(caller);
    span.set_attribute("http.request.method", method.clone());
    span.set_attribute("url.path", request.uri().path().to_owned());
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
    ];
    if let Some(route) = route {
        span.set_attribute("http.route", route.clone());
        attributes.push(KeyValue::new("http.route", route));
    }
    if status.is_server_error() {
        span.set_status(Status::error(""));
        span.set_attribute("error.type", status.as_u16().to_string());
        attributes.push(KeyValue::new("error.type", status.as_u16().to_string()));
    }
    DURATION.record(begin.elapsed().as_secs_f64(), &attributes);
    response
}
