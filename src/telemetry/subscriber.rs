//! The `tracing` subscriber: spans to OTLP, events to OTLP log records and to JSON lines. Built by `Telemetry::init`,
//! and by tests with their own writer. `RUST_LOG` chooses log records only: a quiet log must not end traces.

use std::fmt::{self, Write};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use serde::ser::{SerializeMap, Serializer};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, dynamic_filter_fn, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use super::names::{SCOPE, attr};
use super::pipeline::Pipeline;
use super::self_report;
use super::{propagation, redact};

/// `RUST_LOG`'s default: everything from INFO up, without the chatter of the transport.
const DEFAULT_FILTER: &str = "info,h2=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,tonic=warn,tower=warn";

/// Targets of the exporters themselves: never exported, or they would feed on themselves.
const INTERNAL: &[&str] =
    &["opentelemetry", "h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower", self_report::TARGET];

/// The filter of log records.
pub(super) fn filter(directives: Option<&str>) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(directives.unwrap_or(DEFAULT_FILTER))
}

/// What goes to the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Every log record.
    All,
    /// Only reports of lost telemetry.
    LossesOnly,
}

/// A subscriber over the pipeline (`None`: lines only, when the SDK is disabled).
pub fn subscriber<W>(
    pipeline: Option<&Pipeline>,
    log_filter: Option<&str>,
    lines: Lines,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The configuration has checked the directives.
    let filter = || filter(log_filter).unwrap_or_default();
    let scope = || InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
    let spans = pipeline.map(|pipeline| {
        tracing_opentelemetry::layer()
            .with_tracer(pipeline.tracer_provider().tracer_with_scope(scope()))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(dynamic_filter_fn(|metadata, _| traced(metadata)).with_callsite_filter(interest))
    });
    let records = pipeline.map(|pipeline| {
        OpenTelemetryTracingBridge::new(pipeline.logger_provider())
            .with_filter(filter().and(filter_fn(|metadata| !internal(metadata.target()))))
    });
    let lines = tracing_subscriber::fmt::layer().event_format(JsonLines).with_writer(writer).with_filter(
        filter().and(filter_fn(move |metadata| lines == Lines::All || metadata.target() == self_report::TARGET)),
    );
    Registry::default().with(spans).with(records).with(lines)
}

/// Spans from INFO up, and of events only exceptions: log records have a signal of their own.
fn traced(metadata: &Metadata<'_>) -> bool {
    if internal(metadata.target()) {
        return false;
    }
    if metadata.is_span() {
        *metadata.level() <= Level::INFO
    } else {
        metadata.fields().field(attr::EXCEPTION_TYPE).is_some()
    }
}

/// Every span is asked about anew, never from the callsite's cache. A library that only asks whether it may log (sqlx
/// does, through `log`, after each query) leaves its answer behind in tracing-subscriber's thread-local state, and a
/// span that is not asked about would inherit that "no" and be lost.
fn interest(metadata: &'static Metadata<'static>) -> Interest {
    match (traced(metadata), metadata.is_span()) {
        (false, _) => Interest::never(),
        (true, true) => Interest::sometimes(),
        (true, false) => Interest::always(),
    }
}

fn internal(target: &str) -> bool {
    INTERNAL.iter().any(|name| {
        // `opentelemetry` stands for its whole family: `opentelemetry_sdk`, `opentelemetry-otlp`.
        target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-', ':']))
    })
}

/// One JSON object a line: `timestamp`, `level`, `target`, `message`, the event's fields, `trace_id`, `span_id`.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Vec::with_capacity(256);
        json(&mut line, event).map_err(|_| fmt::Error)?;
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)?;
        writer.write_char('\n')
    }
}

/// Keys that an event's own fields must not overwrite.
const RESERVED: &[&str] = &["timestamp", "level", "target", "trace_id", "span_id"];

fn json(line: &mut Vec<u8>, event: &Event<'_>) -> Result<(), serde_json::Error> {
    let mut serializer = serde_json::Serializer::new(line);
    let mut map = serializer.serialize_map(None)?;
    let now = humantime::format_rfc3339_micros(std::time::SystemTime::now());
    map.serialize_entry("timestamp", &now.to_string())?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    let mut fields = Fields { map, target: None, result: Ok(()) };
    event.record(&mut fields);
    fields.result?;
    let mut map = fields.map;
    // Records of the `log` crate carry their target as a field.
    map.serialize_entry("target", fields.target.as_deref().unwrap_or(event.metadata().target()))?;
    if let Some((trace_id, span_id)) = propagation::current_ids() {
        map.serialize_entry("trace_id", &trace_id.to_string())?;
        map.serialize_entry("span_id", &span_id.to_string())?;
    }
    map.end()
}

struct Fields<M: SerializeMap> {
    map: M,
    target: Option<String>,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<M> {
    fn put<T: serde::Serialize + ?Sized>(&mut self, field: &Field, value: &T) {
        let name = field.name();
        if self.result.is_ok() && !name.starts_with("log.") {
            self.result = if RESERVED.contains(&name) {
                self.map.serialize_entry(&format!("field.{name}"), value)
            } else {
                self.map.serialize_entry(name, value)
            };
        }
    }
}

impl<M: SerializeMap> Visit for Fields<M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        self.put(field, &*redact::text(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a String fails only when the value's own Debug does; what it wrote so far still says something.
        let _ = write!(text, "{value:?}");
        self.put(field, &*redact::text(&text));
    }
}
