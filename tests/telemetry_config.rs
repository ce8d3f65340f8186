//! Every variable that is read: its effect, and the error that names it when its value cannot be used.
use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;
use signalbox::env::InvalidSetting;
use signalbox::telemetry::config::{Config, Propagator, Protocol};

fn read(vars: &[(&str, &str)]) -> Result<Config, InvalidSetting> {
    let vars: HashMap<&str, &str> = vars.iter().copied().collect();
    Config::read("given", &|name| vars.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn an_invalid_value_is_an_error_that_names_variable_value_and_what_is_allowed() {
    for (variable, value) in [
        ("OTEL_SDK_DISABLED", "maybe"),
        ("OTEL_RESOURCE_ATTRIBUTES", "novalue"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "nonsense"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "smoke"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "lz4"),
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "x"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "1.5"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "x"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1s"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "x"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("RUST_LOG", "signalbox=loud"),
    ] {
        let error = read(&[(variable, value)]).expect_err(variable);
        assert_eq!((error.variable.as_str(), error.value.as_str()), (variable, value));
        assert!(!error.allowed.is_empty());
    }
    let sampler = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    assert_eq!(read(&sampler).unwrap_err().variable, "OTEL_TRACES_SAMPLER_ARG");
}

#[test]
fn a_header_shows_in_no_error_and_in_no_debug_output() {
    let error = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hush,broken")]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"));
    let config = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush")]).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    assert_eq!(config.traces.unwrap().headers["authorization"], "Bearer hush");
    let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:hush@host")]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"));
}

#[test]
fn defaults_are_the_specifications_and_the_local_console() {
    let config = read(&[]).unwrap();
    let traces = config.traces.unwrap();
    assert_eq!((traces.protocol, traces.url.as_str()), (Protocol::Grpc, "http://127.0.0.1:4317"));
    assert_eq!((traces.timeout, traces.gzip), (Duration::from_secs(10), false));
    assert_eq!((config.span_batch.max_queue, config.span_batch.max_batch), (2_048, 512));
    assert_eq!((config.span_batch.delay, config.log_batch.delay), (Duration::from_secs(5), Duration::from_secs(1)));
    assert_eq!(config.metric_interval, Duration::from_secs(60));
    assert_eq!(config.propagators, [Propagator::TraceContext, Propagator::Baggage]);
    assert!(matches!(config.sampler, Sampler::ParentBased(_)));
    assert_eq!(config.service_name, "given");
}

#[test]
fn over_http_the_general_endpoint_is_a_base_and_a_signals_own_is_used_as_it_is() {
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let config = read(&[http]).unwrap();
    assert_eq!(config.logs.unwrap().url, "http://127.0.0.1:4318/v1/logs");
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://host/otlp/");
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://other/here");
    let config = read(&[http, base, own]).unwrap();
    assert_eq!(config.traces.unwrap().url, "https://host/otlp/v1/traces");
    assert_eq!(config.metrics.unwrap().url, "http://other/here");
}

#[test]
fn a_signals_own_variable_beats_the_general_one() {
    let config = read(&[
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ])
    .unwrap();
    let (traces, logs) = (config.traces.unwrap(), config.logs.unwrap());
    assert_eq!((traces.timeout.as_millis(), logs.timeout.as_millis()), (1, 2));
    assert_eq!((traces.gzip, logs.gzip), (false, true));
    assert!(config.metrics.is_none());
}

#[test]
fn the_service_name_variable_beats_resource_attributes_which_beat_the_given_name() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=two,team=a%2Cb");
    let config = read(&[attributes]).unwrap();
    assert_eq!(config.service_name, "two");
    assert_eq!(config.resource, [("team".to_owned(), "a,b".to_owned())]);
    assert_eq!(read(&[attributes, ("OTEL_SERVICE_NAME", "one")]).unwrap().service_name, "one");
}

#[test]
fn empty_variables_count_as_unset_and_propagators_may_be_none() {
    assert!(!read(&[("OTEL_SDK_DISABLED", " ")]).unwrap().disabled);
    assert!(read(&[("OTEL_SDK_DISABLED", "true")]).unwrap().disabled);
    assert!(read(&[("OTEL_PROPAGATORS", "none")]).unwrap().propagators.is_empty());
}
