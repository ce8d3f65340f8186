//! What leaves the process: connected, redacted, with exemplars; and the exposition's two formats.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#[path = "support/telemetry.rs"]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use signalbox::telemetry::exemplars::{MAX_SERIES, Reservoir};
use signalbox::telemetry::metrics::Histogram;
use signalbox::telemetry::names::{HTTP_SERVER_REQUEST_DURATION, WORK_DURATION};
use signalbox::telemetry::pipeline::Pipeline;
use signalbox::telemetry::redact;
use signalbox::telemetry::subscriber::{Lines, subscriber};
use support::{Behaviour, Receiver, config};

const LONG: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn lines(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs `work` under a subscriber over a fresh pipeline; gives what came out.
async fn traced(
    more: &[(&str, &str)],
    filter: Option<&str>,
    work: impl FnOnce(),
) -> (Receiver, Vec<serde_json::Value>) {
    let receiver = Receiver::grpc(Behaviour::Up).await;
    let pipeline = Pipeline::new(&config(&receiver, "grpc", more), Arc::default()).unwrap();
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = subscriber(Some(&pipeline), filter, Lines::All, move || writer.clone());
    tracing::subscriber::with_default(subscriber, work);
    pipeline.shutdown(LONG).await;
    let lines = sink.lines();
    (receiver, lines)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_log_line_carries_the_ids_of_its_span_on_stdout_and_over_otlp() {
    let (receiver, lines) = traced(&[], None, || {
        tracing::info!("outside");
        let span = tracing::info_span!("work", answer = 42);
        span.in_scope(|| tracing::info!(count = 3, level = "mine", "inside"));
    })
    .await;
    let (spans, records) = (receiver.taken.spans(), receiver.taken.records());
    assert_eq!((spans.len(), records.len(), lines.len()), (1, 2, 2));
    assert!(lines[0].get("trace_id").is_none());
    assert_eq!(lines[1]["trace_id"], hex(&spans[0].trace_id));
    assert_eq!(lines[1]["span_id"], hex(&spans[0].span_id));
    assert_eq!(lines[1]["message"], "inside");
    assert_eq!(
        (&lines[1]["count"], &lines[1]["level"], &lines[1]["field.level"]),
        (&3.into(), &"INFO".into(), &"mine".into())
    );
    assert_eq!(lines[1]["target"], "telemetry_signals");
    let inside = records.iter().find(|record| record.span_id == spans[0].span_id).unwrap();
    assert_eq!(inside.trace_id, spans[0].trace_id);
    assert!(inside.event_name.is_empty(), "a line of source is no event name");
    assert!(spans[0].events.is_empty(), "log records are not repeated as span events");
}

#[tokio::test]
async fn a_sampled_out_request_sends_no_span_but_still_logs_its_trace_id_and_counts() {
    let histogram =
        |pipeline: &Pipeline| Histogram::with(&pipeline.meter_provider().meter("t"), Arc::default(), &WORK_DURATION);
    let (receiver, lines) = traced(&[("OTEL_TRACES_SAMPLER", "always_off")], None, || {
        tracing::info_span!("work").in_scope(|| tracing::warn!("inside"));
    })
    .await;
    assert!(receiver.taken.spans().is_empty());
    let records = receiver.taken.records();
    assert_eq!(records.len(), 1);
    assert_eq!(lines[0]["trace_id"], hex(&records[0].trace_id));
    assert_eq!(records[0].trace_id.len(), 16);

    let receiver = Receiver::grpc(Behaviour::Up).await;
    let pipeline = Pipeline::new(&config(&receiver, "grpc", &[]), Arc::default()).unwrap();
    histogram(&pipeline).record_in(&in_span(1, false), 0.01, &[]);
    pipeline.shutdown(LONG).await;
    let points = receiver.taken.histogram_points(WORK_DURATION.name);
    assert_eq!((points[0].count, points[0].exemplars.len()), (1, 0));
}

#[tokio::test]
async fn a_quiet_log_filter_does_not_end_traces() {
    let (receiver, lines) = traced(&[], Some("error"), || {
        tracing::info_span!("work").in_scope(|| tracing::info!("unheard"));
    })
    .await;
    assert_eq!((receiver.taken.spans().len(), receiver.taken.records().len(), lines.len()), (1, 0, 0));
}

#[tokio::test]
async fn a_library_that_only_asks_whether_it_may_log_costs_no_span() {
    let (receiver, lines) = traced(&[], None, || {
        for _ in 0..3 {
            // What `log_enabled!` comes to, which sqlx asks after each query on whatever thread that runs.
            let question = tracing::debug_span!("never kept");
            tracing::dispatcher::get_default(|dispatch| dispatch.enabled(question.metadata().unwrap()));
            tracing::info_span!("work after a question").in_scope(|| tracing::info!("inside"));
        }
    })
    .await;
    assert_eq!(receiver.taken.spans().len(), 3);
    assert!(lines.iter().all(|line| line.get("trace_id").is_some()), "{lines:?}");
}

#[tokio::test]
async fn an_exception_becomes_a_span_event_with_type_message_and_stack_trace() {
    let (receiver, _) = traced(&[], None, || {
        tracing::info_span!("work").in_scope(|| {
            tracing::error!(
                exception.r#type = "panic",
                exception.message = "boom for a@b.example",
                exception.stacktrace = "at x",
                "request panicked"
            );
        });
    })
    .await;
    let spans = receiver.taken.spans();
    let event = &spans[0].events[0];
    assert_eq!(event.name, "exception");
    let value = |key: &str| {
        let found = event.attributes.iter().find(|a| a.key == key).and_then(|a| a.value.clone()?.value);
        if let Some(Value::StringValue(text)) = found { text } else { panic!("no {key}: {:?}", event.attributes) }
    };
    assert_eq!(value("exception.type"), "panic");
    assert_eq!(value("exception.message"), "boom for [email]");
    assert_eq!(value("exception.stacktrace"), "at x");
}

#[tokio::test]
async fn e_mail_addresses_leave_the_process_nowhere() {
    let (receiver, lines) = traced(&[], None, || {
        let span =
            tracing::info_span!("work", user = "jane.doe@mail.example.org", query = "to=jane%40mail.example.org");
        span.in_scope(|| tracing::info!(who = ?Some("jane@mail.example.org"), "mail to jane@mail.example.org sent"));
    })
    .await;
    let all = format!("{:?} {:?} {lines:?}", receiver.taken.spans(), receiver.taken.records());
    assert!(!all.contains("mail.example.org"), "{all}");
    assert_eq!(lines[0]["message"], "mail to [email] sent");
}

#[test]
fn redaction_leaves_what_only_looks_like_an_address() {
    for text in ["tokio@1.54.0", "a @ b", "user@localhost", "100%40", "@here"] {
        assert_eq!(redact::text(text), text);
    }
    assert_eq!(redact::text("<x.y+z@a-b.co.uk>,é@é.fr"), "<[email]>,[email]");
}

#[tokio::test]
async fn the_exporters_own_log_records_never_go_to_otlp() {
    let (receiver, _) = traced(&[], Some("trace"), || {
        tracing::warn!(target: "opentelemetry_sdk", "inner");
        tracing::warn!(target: "h2::client", "inner");
        tracing::warn!(target: "signalbox::telemetry", "inner");
        tracing::warn!(target: "h2o", "mine");
    })
    .await;
    assert_eq!(receiver.taken.records().len(), 1);
}

fn in_span(n: u8, sampled: bool) -> Context {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_bytes([n; 16]),
        SpanId::from_bytes([n; 8]),
        flags,
        false,
        TraceState::default(),
    ))
}

#[tokio::test]
async fn the_latest_sampled_measurement_of_each_bucket_is_an_exemplar_over_otlp_and_in_open_metrics() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver =
            if protocol == "grpc" { Receiver::grpc(Behaviour::Up).await } else { Receiver::http(Behaviour::Up).await };
        let reservoir = Arc::new(Reservoir::default());
        let pipeline = Pipeline::new(&config(&receiver, protocol, &[]), Arc::clone(&reservoir)).unwrap();
        let meter = pipeline.meter_provider().meter("signalbox");
        let histogram = Histogram::with(&meter, reservoir, &HTTP_SERVER_REQUEST_DURATION);
        let (route, method) = (KeyValue::new("http.route", "/a\"b\\\n"), KeyValue::new("http.request.method", "GET"));
        histogram.record_in(&in_span(1, true), 0.003, &[route.clone(), method.clone()]);
        histogram.record_in(&in_span(2, true), 0.004, &[method.clone(), route.clone()]);
        histogram.record_in(&in_span(3, true), 99.0, &[route.clone(), method.clone()]);
        histogram.record_in(&in_span(4, false), 0.3, &[route, method]);

        let open = pipeline.exposition().render(true);
        let bucket = "http_server_request_duration_seconds_bucket{http_request_method=\"GET\",http_route=\"/a\\\"b\\\\\\n\",otel_scope_name=\"signalbox\",le=\"0.005\"} 2 # {trace_id=\"02020202020202020202020202020202\",span_id=\"0202020202020202\"} 0.004 ";
        assert!(open.lines().any(|line| line.starts_with(bucket)), "{open}");
        assert!(open.contains("le=\"+Inf\"} 4 # {trace_id=\"0303"), "{open}");
        assert!(open.ends_with("# EOF\n"));

        pipeline.shutdown(LONG).await;
        let points = receiver.taken.histogram_points(HTTP_SERVER_REQUEST_DURATION.name);
        let mut traces: Vec<_> = points[0].exemplars.iter().map(|e| e.trace_id[0]).collect();
        traces.sort_unstable();
        assert_eq!((points.len(), points[0].count, traces), (1, 4, vec![2, 3]));
    }
}

#[test]
fn the_reservoir_is_bounded() {
    let reservoir = Reservoir::default();
    let context = in_span(1, true);
    for n in 0..MAX_SERIES + 10 {
        let attributes = [KeyValue::new("n", n as i64)];
        reservoir.offer(context.span().span_context(), "m", &[1.0], 0.5, &attributes);
    }
    let held = |n: usize| reservoir.latest("m", [KeyValue::new("n", n as i64)].iter()).len();
    assert_eq!((held(0), held(MAX_SERIES - 1), held(MAX_SERIES)), (2, 2, 0));
}

#[tokio::test]
async fn the_exposition_has_units_totals_and_one_block_a_family_in_both_formats() {
    let receiver = Receiver::refused().await;
    let pipeline =
        Pipeline::new(&config(&receiver, "grpc", &[("OTEL_METRICS_EXPORTER", "none")]), Arc::default()).unwrap();
    for scope in ["one", "two"] {
        let meter = pipeline.meter_provider().meter(scope);
        meter.u64_counter("my.requests").with_description("How \\ many").build().add(2, &[KeyValue::new("a.b", 1)]);
        meter.f64_counter("process.cpu.time").with_unit("s").build().add(1.5, &[]);
        meter.i64_up_down_counter("mem").with_unit("By").build().add(-3, &[]);
        meter.f64_gauge("use").with_unit("1").build().record(0.5, &[]);
    }
    let text = pipeline.exposition().render(false);
    for line in [
        "# TYPE my_requests_total counter",
        "# HELP my_requests_total How \\\\ many",
        "my_requests_total{a_b=\"1\",otel_scope_name=\"one\"} 2",
        "my_requests_total{a_b=\"1\",otel_scope_name=\"two\"} 2",
        "process_cpu_time_seconds_total{otel_scope_name=\"one\"} 1.5",
        "# TYPE mem_bytes gauge",
        "mem_bytes{otel_scope_name=\"one\"} -3",
        "use_ratio{otel_scope_name=\"one\"} 0.5",
    ] {
        assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line}\n{text}");
    }
    assert!(text.lines().any(|line| line.starts_with("target_info{") && line.contains("service_name=\"test\"")));
    assert!(!text.contains("# EOF"));
    let open = pipeline.exposition().render(true);
    for line in [
        "# TYPE my_requests counter",
        "# TYPE process_cpu_time_seconds counter",
        "# UNIT process_cpu_time_seconds seconds",
    ] {
        assert_eq!(open.lines().filter(|found| *found == line).count(), 1, "{line}\n{open}");
    }
    pipeline.shutdown(LONG).await;
}

#[tokio::test]
async fn self_metrics_and_the_resource_arrive_over_otlp() {
    let receiver = Receiver::grpc(Behaviour::Up).await;
    let more = [("OTEL_METRIC_EXPORT_INTERVAL", "20"), ("OTEL_RESOURCE_ATTRIBUTES", "team=blue")];
    let pipeline = Pipeline::new(&config(&receiver, "grpc", &more), Arc::default()).unwrap();
    let taken = Arc::clone(&receiver.taken);
    support::until("two exports", || taken.metrics.lock().unwrap().len() >= 2).await;
    pipeline.shutdown(LONG).await;
    let names: Vec<String> = receiver.taken.all_metrics().into_iter().map(|metric| metric.name).collect();
    for metric in signalbox::telemetry::names::METRICS.iter().filter(|metric| metric.name.starts_with("otel.sdk.")) {
        assert!(names.iter().any(|name| name == metric.name), "{} is missing", metric.name);
    }
    let requests = receiver.taken.metrics.lock().unwrap();
    let keys: Vec<_> =
        requests[0].resource_metrics[0].resource.as_ref().unwrap().attributes.iter().map(|a| a.key.as_str()).collect();
    for key in [
        "service.name",
        "service.version",
        "service.instance.id",
        "process.pid",
        "host.name",
        "telemetry.sdk.name",
        "team",
    ] {
        assert!(keys.contains(&key), "{key} of {keys:?}");
    }
}
