//! The three providers of one configuration, with exact accounting and one shutdown. `Telemetry` makes one and sets it
//! globally; tests make several in one process. No global is touched here.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_proto::tonic::collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline as SdkPipeline, SdkMeterProvider, Temporality,
};
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use prost::Message;
use tokio::time::Instant;

use super::config::{Config, Endpoint, Protocol, Signal};
use super::exemplars::{self, Reservoir};
use super::metrics::Exposition;
use super::names::{self, SCOPE};
use super::otlp::Transport;
use super::self_report::SelfReport;
use super::stats::{LOG_PROCESSOR, SPAN_PROCESSOR, Stats, observe_exporter, observe_processor};
use super::worker::{Batches, Handle, Queue, Work, spawn};
use super::{ShutdownReport, redact, resource};

type LogItem = Box<(SdkLogRecord, InstrumentationScope)>;

/// Three providers and their exporter threads.
#[derive(Debug)]
pub struct Pipeline {
    tracer_provider: SdkTracerProvider,
    logger_provider: SdkLoggerProvider,
    meter_provider: SdkMeterProvider,
    reader: Reader,
    reservoir: Arc<Reservoir>,
    spans: Arc<Stats>,
    logs: Arc<Stats>,
    points: Arc<Stats>,
    report: Arc<SelfReport>,
    handles: Vec<Handle>,
}

impl Pipeline {
    /// Providers that send as `config` says; exemplars come from `reservoir`.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(config: &Config, reservoir: Arc<Reservoir>) -> std::io::Result<Self> {
        let resource = resource::resource(config);
        let (spans, logs, points) = <(Arc<Stats>, Arc<Stats>, Arc<Stats>)>::default();
        let report = Arc::new(SelfReport::new(Arc::clone(&spans), Arc::clone(&logs), Arc::clone(&points)));
        let mut handles = Vec::new();

        let mut tracers =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_sampler(config.sampler.clone());
        let span_queue =
            Arc::new(Queue::new(config.span_batch.max_queue, config.span_batch.max_batch, Arc::clone(&spans)));
        if let Some(endpoint) = config.traces.clone() {
            let (queue, encode, timeout) =
                (Arc::clone(&span_queue), encode_spans(&resource), config.span_batch.timeout);
            let handle = spawn("otlp-traces", config.span_batch.delay, Arc::clone(&report), move || Batches {
                queue,
                encode,
                transport: Transport::new(endpoint, Signal::Traces),
                timeout,
            })?;
            handles.push(handle.clone());
            tracers = tracers.with_span_processor(SpanQueue { queue: Arc::clone(&span_queue), handle });
        }

        let mut loggers = SdkLoggerProvider::builder().with_resource(resource.clone());
        let log_queue = Arc::new(Queue::new(config.log_batch.max_queue, config.log_batch.max_batch, Arc::clone(&logs)));
        if let Some(endpoint) = config.logs.clone() {
            let (queue, encode, timeout) = (Arc::clone(&log_queue), encode_logs(&resource), config.log_batch.timeout);
            let handle = spawn("otlp-logs", config.log_batch.delay, Arc::clone(&report), move || Batches {
                queue,
                encode,
                transport: Transport::new(endpoint, Signal::Logs),
                timeout,
            })?;
            handles.push(handle.clone());
            loggers = loggers.with_log_processor(LogQueue { queue: Arc::clone(&log_queue), handle });
        }

        let mut reader = Reader { inner: Arc::new(ManualReader::default()), handle: None };
        if let Some(endpoint) = config.metrics.clone() {
            let (inner, stats) = (Arc::clone(&reader.inner), Arc::clone(&points));
            let (reservoir, timeout) = (Arc::clone(&reservoir), config.metric_timeout);
            let handle = spawn("otlp-metrics", config.metric_interval, Arc::clone(&report), move || MetricWork {
                inner,
                stats,
                reservoir,
                transport: Transport::new(endpoint, Signal::Metrics),
                timeout,
            })?;
            handles.push(handle.clone());
            reader.handle = Some(handle);
        }
        let meter_provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader.clone()).build();

        let pipeline = Self {
            tracer_provider: tracers.build(),
            logger_provider: loggers.build(),
            meter_provider,
            reader,
            reservoir,
            spans,
            logs,
            points,
            report,
            handles,
        };
        pipeline.observe(config, span_queue, log_queue);
        Ok(pipeline)
    }

    /// Registers the `otel.sdk.*` instruments of the signals that are exported.
    fn observe(&self, config: &Config, spans: Arc<Queue<SpanData>>, logs: Arc<Queue<LogItem>>) {
        let meter = self.meter_provider.meter(SCOPE);
        if let Some(endpoint) = &config.traces {
            observe_processor(&meter, &SPAN_PROCESSOR, &self.spans, config.span_batch.max_queue, move || spans.len());
            let component = component(endpoint, "otlp_grpc_span_exporter", "otlp_http_span_exporter");
            observe_exporter(&meter, &names::SDK_EXPORTER_SPAN_EXPORTED, &self.spans, component);
        }
        if let Some(endpoint) = &config.logs {
            observe_processor(&meter, &LOG_PROCESSOR, &self.logs, config.log_batch.max_queue, move || logs.len());
            let component = component(endpoint, "otlp_grpc_log_exporter", "otlp_http_log_exporter");
            observe_exporter(&meter, &names::SDK_EXPORTER_LOG_EXPORTED, &self.logs, component);
        }
        if let Some(endpoint) = &config.metrics {
            let component = component(endpoint, "otlp_grpc_metric_exporter", "otlp_http_metric_exporter");
            observe_exporter(&meter, &names::SDK_EXPORTER_METRIC_EXPORTED, &self.points, component);
        }
    }

    /// Provider of tracers.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.tracer_provider
    }

    /// Provider of loggers.
    pub fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.logger_provider
    }

    /// Provider of meters.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.meter_provider
    }

    /// Counts of spans.
    pub fn spans(&self) -> &Stats {
        &self.spans
    }

    /// Counts of log records.
    pub fn logs(&self) -> &Stats {
        &self.logs
    }

    /// Counts of metric points.
    pub fn points(&self) -> &Stats {
        &self.points
    }

    /// The exposition of every instrument of this pipeline.
    pub fn exposition(&self) -> Exposition {
        Exposition::new(Some(self.reader.clone()), Arc::clone(&self.reservoir))
    }

    /// Sends what is waiting, the three signals in parallel, and cuts them off at the deadline; what is left is lost
    /// and counted. Never takes longer than the deadline and half a second.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let end = Instant::now() + deadline;
        self.handles.iter().for_each(|handle| handle.close(end));
        let waits = self.handles.iter().cloned().map(|handle| {
            // Blocking threads: the program's runtime may have but one thread, and it must go on meanwhile.
            tokio::task::spawn_blocking(move || handle.wait(deadline + Duration::from_millis(500)))
        });
        let mut ended = true;
        for wait in waits.collect::<Vec<_>>() {
            ended &= wait.await.unwrap_or(false);
        }
        let timed_out = !ended || Instant::now() >= end;
        // The threads have ended, so these only mark the providers. An earlier shutdown is no news.
        let _ = self.tracer_provider.shutdown_with_timeout(Duration::ZERO);
        let _ = self.logger_provider.shutdown_with_timeout(Duration::ZERO);
        let _ = self.meter_provider.shutdown_with_timeout(Duration::ZERO);
        self.report.last();
        // Not the sum of named losses: what a stuck thread still holds is lost as well.
        let lost = |stats: &Stats| stats.emitted().saturating_sub(stats.delivered());
        ShutdownReport {
            spans_exported: self.spans.delivered(),
            spans_lost: lost(&self.spans),
            logs_exported: self.logs.delivered(),
            logs_lost: lost(&self.logs),
            points_exported: self.points.delivered(),
            points_lost: lost(&self.points),
            timed_out,
        }
    }
}

fn component(endpoint: &Endpoint, grpc: &'static str, http: &'static str) -> &'static str {
    match endpoint.protocol {
        Protocol::Grpc => grpc,
        Protocol::HttpProtobuf => http,
    }
}

fn encode_spans(resource: &Resource) -> impl Fn(Vec<SpanData>) -> Vec<u8> + Send + use<> {
    let resource = ResourceAttributesWithSchema::from(resource);
    move |batch| {
        let mut resource_spans = group_spans_by_resource_and_scope(batch, &resource);
        redact::spans(&mut resource_spans);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }
}

fn encode_logs(resource: &Resource) -> impl Fn(Vec<LogItem>) -> Vec<u8> + Send + use<> {
    let resource = ResourceAttributesWithSchema::from(resource);
    move |batch| {
        let records: Vec<_> = batch.iter().map(|item| (&item.0, &item.1)).collect();
        let mut resource_logs = group_logs_by_resource_and_scope(&LogBatch::new(&records), &resource);
        redact::logs(&mut resource_logs);
        ExportLogsServiceRequest { resource_logs }.encode_to_vec()
    }
}

#[derive(Debug)]
struct SpanQueue {
    queue: Arc<Queue<SpanData>>,
    handle: Handle,
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.queue.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.handle.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.handle.shutdown(timeout)
    }
}

#[derive(Debug)]
struct LogQueue {
    queue: Arc<Queue<LogItem>>,
    handle: Handle,
}

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.queue.push(Box::new((record.clone(), scope.clone())));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.handle.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.handle.shutdown(timeout)
    }
}

/// One cumulative reader for both the exporter thread and the exposition.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    inner: Arc<ManualReader>,
    handle: Option<Handle>,
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: std::sync::Weak<SdkPipeline>) {
        self.inner.register_pipeline(pipeline);
    }

    fn collect(&self, collected: &mut ResourceMetrics) -> OTelSdkResult {
        self.inner.collect(collected)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.handle.as_ref().map_or(Ok(()), Handle::flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let sent = self.handle.as_ref().map_or(Ok(()), |handle| handle.shutdown(timeout));
        self.inner.shutdown_with_timeout(timeout)?;
        sent
    }

    fn temporality(&self, _kind: InstrumentKind) -> Temporality {
        Temporality::Cumulative
    }
}

/// Collects and sends all points at once.
struct MetricWork {
    inner: Arc<ManualReader>,
    stats: Arc<Stats>,
    reservoir: Arc<Reservoir>,
    transport: Result<Transport, String>,
    timeout: Duration,
}

impl Work for MetricWork {
    async fn ready(&self) {
        std::future::pending().await
    }

    async fn drain(&mut self) {
        let mut collected = ResourceMetrics::default();
        if self.inner.collect(&mut collected).is_err() {
            return;
        }
        let request = exemplars::request(&collected, &self.reservoir);
        let points = exemplars::points(&request);
        if points == 0 {
            return;
        }
        self.stats.emit(points);
        self.stats.start(points);
        let outcome = match &mut self.transport {
            Ok(transport) => transport.send(request.encode_to_vec(), self.timeout).await,
            Err(error_type) => Err(error_type.clone()),
        };
        self.stats.finish(outcome);
    }

    fn close(&mut self) {
        self.stats.finish(Err("shutdown".to_owned()));
    }
}
