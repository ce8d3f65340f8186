//! The fault matrix in its fast form: whatever the receiver does, emitted = received + lost as reported, exactly.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#[path = "support/telemetry.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Tracer, TracerProvider};
use signalbox::telemetry::ShutdownReport;
use signalbox::telemetry::pipeline::Pipeline;
use support::{Behaviour, Receiver, config, until};

const N: u64 = 100;

fn emit(pipeline: &Pipeline, n: u64) {
    let (tracer, logger) = (pipeline.tracer_provider().tracer("t"), pipeline.logger_provider().logger("t"));
    for _ in 0..n {
        drop(tracer.start("span"));
        let mut record = logger.create_log_record();
        record.set_body("line".into());
        logger.emit(record);
    }
    pipeline.meter_provider().meter("t").u64_counter("c").build().add(1, &[]);
}

/// Emits, shuts down, and checks that nothing is unaccounted for.
async fn run(
    receiver: &Receiver,
    protocol: &str,
    more: &[(&str, &str)],
    deadline: Duration,
) -> (Pipeline, ShutdownReport) {
    let pipeline = Pipeline::new(&config(receiver, protocol, more), Arc::default()).unwrap();
    emit(&pipeline, N);
    let report = pipeline.shutdown(deadline).await;
    let received = receiver.taken.spans().len() as u64;
    let rejected = receiver.taken.rejected.load(SeqCst);
    if rejected == 0 {
        assert_eq!(received + report.spans_lost, N, "{report:?}");
        assert_eq!(receiver.taken.records().len() as u64 + report.logs_lost, N, "{report:?}");
    }
    for (stats, lost) in [
        (pipeline.spans(), report.spans_lost),
        (pipeline.logs(), report.logs_lost),
        (pipeline.points(), report.points_lost),
    ] {
        assert_eq!(stats.lost(), lost, "every loss has a reason: {stats:?}");
        assert_eq!(stats.emitted(), stats.delivered() + lost);
    }
    (pipeline, report)
}

async fn both(behaviour: Behaviour) -> [(Receiver, &'static str); 2] {
    [(Receiver::grpc(behaviour).await, "grpc"), (Receiver::http(behaviour).await, "http/protobuf")]
}

fn assert_nothing_lost(report: &ShutdownReport, case: &str) {
    let lost = (report.spans_lost, report.logs_lost, report.points_lost);
    assert_eq!((lost, report.timed_out), ((0, 0, 0), false), "{case}: {report}");
    assert!(report.spans_exported > 0 && report.logs_exported > 0 && report.points_exported > 0, "{case}: {report}");
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_receiver_that_is_up_gets_everything_plain_and_compressed() {
    for compression in ["none", "gzip"] {
        for (receiver, protocol) in both(Behaviour::Up).await {
            let more = [("OTEL_EXPORTER_OTLP_COMPRESSION", compression), ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")];
            let (_, report) = run(&receiver, protocol, &more, LONG).await;
            assert_nothing_lost(&report, &format!("{protocol} {compression}"));
            assert!(!receiver.taken.all_metrics().is_empty());
            assert_eq!(receiver.taken.headers.lock().unwrap()["x-key"], "a b");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_loses_everything_and_says_connection() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::refused().await;
        let more = [("OTEL_EXPORTER_OTLP_TIMEOUT", "300")];
        let (pipeline, report) = run(&receiver, protocol, &more, LONG).await;
        assert_eq!((report.spans_lost, report.logs_lost), (N, N));
        assert_eq!(pipeline.spans().failed().keys().collect::<Vec<_>>(), ["connection"], "{protocol}");
    }
}

#[tokio::test]
async fn a_receiver_slower_than_the_timeout_loses_everything_and_says_timeout() {
    for (receiver, protocol) in both(Behaviour::Slow(Duration::from_secs(60))).await {
        let more = [("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];
        let (pipeline, report) = run(&receiver, protocol, &more, LONG).await;
        assert_eq!(report.spans_lost, N);
        assert_eq!(pipeline.spans().failed().keys().collect::<Vec<_>>(), ["timeout"], "{protocol}");
    }
}

#[tokio::test]
async fn a_black_hole_cannot_hold_shutdown_beyond_its_deadline_and_the_rest_of_the_queue_is_counted() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::black_hole().await;
        let more = [("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")];
        let start = Instant::now();
        let (pipeline, report) = run(&receiver, protocol, &more, Duration::from_millis(300)).await;
        assert!(start.elapsed() < Duration::from_secs(30), "the endpoint's timeout is 60 s");
        assert!(report.timed_out);
        assert_eq!((report.spans_lost, report.logs_lost), (N, N));
        assert_eq!(pipeline.spans().failed().get("shutdown"), Some(&10), "the batch under way");
        assert_eq!(pipeline.spans().refused().get("shutdown"), Some(&(N - 10)), "the batches behind it");
    }
}

#[tokio::test]
async fn an_unavailable_receiver_that_recovers_loses_nothing() {
    for status in [429, 503] {
        for (receiver, protocol) in both(Behaviour::Unavailable(status, 4)).await {
            let (_, report) = run(&receiver, protocol, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "10000")], LONG).await;
            assert_nothing_lost(&report, &format!("{protocol} {status}"));
        }
    }
}

#[tokio::test]
async fn a_refusal_is_not_retried() {
    for (receiver, protocol) in both(Behaviour::Refuses).await {
        let (pipeline, report) = run(&receiver, protocol, &[], LONG).await;
        assert_eq!(report.spans_lost, N);
        let reason = if protocol == "grpc" { "InvalidArgument" } else { "400" };
        assert_eq!(pipeline.spans().failed().get(reason), Some(&N), "{:?}", pipeline.spans());
        assert!(!report.timed_out);
    }
}

#[tokio::test]
async fn partial_success_counts_the_rejected_records_of_each_signal() {
    for (receiver, protocol) in both(Behaviour::Partial(1)).await {
        let (pipeline, report) = run(&receiver, protocol, &[], LONG).await;
        let lost = report.spans_lost + report.logs_lost + report.points_lost;
        assert_eq!(lost, receiver.taken.rejected.load(SeqCst), "{protocol}");
        assert!(report.spans_lost > 0 && report.logs_lost > 0 && report.points_lost > 0);
        assert_eq!(pipeline.spans().failed().get("rejected"), Some(&report.spans_lost));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_exactly_what_does_not_fit() {
    let receiver = Receiver::black_hole().await;
    let more = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "60000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "30"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "30"),
    ];
    let pipeline = Pipeline::new(&config(&receiver, "grpc", &more), Arc::default()).unwrap();
    emit(&pipeline, 30);
    // The full batch leaves the queue and stays under way; then exactly 30 more fit.
    until("the first batch is taken", || pipeline.exposition().render(false).contains(QUEUE_EMPTY)).await;
    emit(&pipeline, 70);
    assert_eq!(pipeline.spans().refused().get("queue_full"), Some(&40));
    let page = pipeline.exposition().render(false);
    let line =
        page.lines().find(|l| l.starts_with("otel_sdk_processor_span_processed_total{error_type=\"queue_full\""));
    assert!(line.is_some_and(|line| line.ends_with(" 40")), "{page}");
    assert_eq!(pipeline.shutdown(Duration::from_millis(100)).await.spans_lost, 100);
}

const QUEUE_EMPTY: &str = "otel_sdk_processor_span_queue_size{otel_component_type=\"batching_span_processor\",otel_scope_name=\"signalbox\"} 0\n";

#[tokio::test]
async fn what_comes_after_shutdown_makes_no_trouble_and_a_second_shutdown_answers_the_same() {
    let receiver = Receiver::grpc(Behaviour::Up).await;
    let (pipeline, first) = run(&receiver, "grpc", &[], LONG).await;
    emit(&pipeline, 3);
    let second = pipeline.shutdown(LONG).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn force_flush_sends_what_waits() {
    let receiver = Receiver::http(Behaviour::Up).await;
    let more = [("OTEL_BSP_SCHEDULE_DELAY", "60000"), ("OTEL_BLRP_SCHEDULE_DELAY", "60000")];
    let pipeline = Arc::new(Pipeline::new(&config(&receiver, "http/protobuf", &more), Arc::default()).unwrap());
    emit(&pipeline, 5);
    let flushed = Arc::clone(&pipeline);
    tokio::task::spawn_blocking(move || {
        flushed.tracer_provider().force_flush().unwrap();
        flushed.logger_provider().force_flush().unwrap();
        flushed.meter_provider().force_flush().unwrap();
    })
    .await
    .unwrap();
    assert_eq!((receiver.taken.spans().len(), receiver.taken.records().len()), (5, 5));
    assert!(receiver.taken.all_metrics().iter().any(|metric| metric.name == "c"));
    pipeline.shutdown(LONG).await;
}
