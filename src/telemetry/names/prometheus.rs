//! How the contract's names read in Prometheus: the translation that the OpenTelemetry specification defines and the
//! collector applies. Called by `telemetry`'s `/metrics`, `verify` and the dashboards. Nothing may query here.

use super::{Kind, Metric};

impl Metric {
    /// Name of its series in Prometheus, such as `signalbox_requests_total`; of a histogram the family's name, without
    /// `_bucket`, `_sum` or `_count`.
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let (family, _) = family(self.name, self.unit, self.kind);
        if self.kind == Kind::Counter { format!("{family}_total") } else { family }
    }
}

/// Name of the metric family without `_total`, with the unit's suffix; and that suffix, empty where there is none.
#[must_use]
pub fn family(name: &str, unit: &str, kind: Kind) -> (String, &'static str) {
    let unit = match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "By" => "bytes",
        "1" if kind == Kind::Gauge => "ratio",
        _ => "",
    };
    let mut name = sanitized(name, true);
    if kind == Kind::Counter
        && let Some(bare) = name.strip_suffix("_total")
    {
        name = bare.to_owned();
    }
    if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
        name = format!("{name}_{unit}");
    }
    (name, unit)
}

/// The label of an attribute, such as `http_route` of `http.route`.
#[must_use]
pub fn label(key: &str) -> String {
    sanitized(key, false)
}

fn sanitized(name: &str, colon: bool) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    let mut name: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::super::{HTTP_SERVER_REQUEST_DURATION, PROCESS_CPU_UTILIZATION, REQUEST_COUNT, attr};
    use super::label;

    #[test]
    fn names_read_as_the_collector_writes_them() {
        assert_eq!(HTTP_SERVER_REQUEST_DURATION.prometheus_name(), "http_server_request_duration_seconds");
        assert_eq!(REQUEST_COUNT.prometheus_name(), "signalbox_requests_total");
        assert_eq!(PROCESS_CPU_UTILIZATION.prometheus_name(), "process_cpu_utilization_ratio");
        assert_eq!(label(attr::HTTP_ROUTE), "http_route");
    }
}
