//! The resource of this process: who emits. Called by `pipeline`; reads the configuration and the kernel, no variables.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use super::config::Config;

/// `service.*`, `process.pid`, `host.name` and `telemetry.sdk.*`; `OTEL_RESOURCE_ATTRIBUTES` beats all but the name.
pub(super) fn resource(config: &Config) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance_id()),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    attributes.extend(host_name().map(|name| KeyValue::new("host.name", name)));
    let given = config.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .with_attributes(given)
        .with_attribute(KeyValue::new("service.name", config.service_name.clone()))
        .build()
}

/// A random UUID (version 4).
fn instance_id() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok())?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}
