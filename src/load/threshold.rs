//! Conditions on the result, such as `p95<500ms`. Parsed by `load::run` before the load, judged on the finished
//! report. No measuring may live here.

use serde::Serialize;

use super::report::Report;
use crate::env::InvalidSetting;

const ALLOWED: &str = "`p50`, `p90`, `p95`, `p99` or `max` with a duration (p95<500ms), `errors` with a share (errors<1%), \
                       `rate` or `requests` with a number (rate>100), compared by <, <=, > or >=";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    P50,
    P90,
    P95,
    P99,
    Max,
    /// Unexpected failures over requests, in percent.
    Errors,
    /// Requests a second over the whole run.
    Rate,
    Requests,
}

/// How it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    measure: Measure,
    comparison: Comparison,
    /// In the measure's unit: milliseconds, percent, requests a second, requests.
    wanted: f64,
}

/// A condition and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The condition as given.
    pub condition: String,
    /// The value with its unit.
    pub measured: String,
    /// `true` when the condition holds.
    pub passed: bool,
}

impl Threshold {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it is none; the error says what is allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidSetting> {
        Self::read(text).ok_or_else(|| InvalidSetting::new("--threshold", text, ALLOWED))
    }

    fn read(text: &str) -> Option<Self> {
        let at = text.find(['<', '>'])?;
        let (name, rest) = text.split_at(at);
        let (comparison, value) = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| rest.strip_prefix(sign).map(|value| (comparison, value.trim())))?;
        let measure = match name.trim() {
            "p50" => Measure::P50,
            "p90" => Measure::P90,
            "p95" => Measure::P95,
            "p99" => Measure::P99,
            "max" => Measure::Max,
            "errors" => Measure::Errors,
            "rate" => Measure::Rate,
            "requests" => Measure::Requests,
            _ => return None,
        };
        let wanted = match measure {
            Measure::Errors => value.strip_suffix('%')?.trim().parse().ok()?,
            Measure::Rate | Measure::Requests => value.parse().ok()?,
            _ => humantime::parse_duration(value).ok()?.as_secs_f64() * 1000.0,
        };
        (wanted.is_finite() && wanted >= 0.0).then(|| Self {
            text: text.trim().to_owned(),
            measure,
            comparison,
            wanted,
        })
    }

    /// Judges the report. A run without requests breaks every condition: it measured nothing.
    pub fn judge(&self, report: &Report) -> Verdict {
        let latency = &report.latency_ms;
        let (value, unit) = match self.measure {
            Measure::P50 => (latency.p50, "ms"),
            Measure::P90 => (latency.p90, "ms"),
            Measure::P95 => (latency.p95, "ms"),
            Measure::P99 => (latency.p99, "ms"),
            Measure::Max => (latency.max, "ms"),
            Measure::Errors => (100.0 * report.failures as f64 / (report.requests.max(1) as f64), "%"),
            Measure::Rate => (report.rate, "/s"),
            Measure::Requests => (report.requests as f64, ""),
        };
        let holds = match self.comparison {
            Comparison::Below => value < self.wanted,
            Comparison::AtMost => value <= self.wanted,
            Comparison::Above => value > self.wanted,
            Comparison::AtLeast => value >= self.wanted,
        };
        let measured = if unit.is_empty() { format!("{value}") } else { format!("{value:.2}{unit}") };
        Verdict { condition: self.text.clone(), measured, passed: holds && report.requests > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Latency;
    use super::*;

    fn report() -> Report {
        Report {
            requests: 200,
            failures: 4,
            rate: 100.0,
            latency_ms: Latency { p50: 10.0, p90: 90.0, p95: 95.0, p99: 99.0, max: 500.0, mean: 20.0 },
            ..Report::default()
        }
    }

    fn holds(text: &str) -> bool {
        Threshold::parse(text).unwrap().judge(&report()).passed
    }

    #[test]
    fn conditions_that_hold_pass() {
        for text in
            ["p50<11ms", "p90<=90ms", "p95 < 400ms", "p99<1m", "max>=500ms", "errors<=2%", "rate>99", "requests>=200"]
        {
            assert!(holds(text), "{text}");
        }
    }

    #[test]
    fn conditions_that_do_not_hold_fail_and_say_what_was_measured() {
        for text in ["p50<10ms", "p95<95ms", "max<500ms", "errors<2%", "rate>100", "requests>200"] {
            assert!(!holds(text), "{text}");
        }
        let verdict = Threshold::parse("p95<50ms").unwrap().judge(&report());
        assert_eq!((verdict.condition.as_str(), verdict.measured.as_str()), ("p95<50ms", "95.00ms"));
    }

    #[test]
    fn a_run_without_requests_breaks_every_condition() {
        assert!(!Threshold::parse("errors<1%").unwrap().judge(&Report::default()).passed);
    }

    #[test]
    fn a_wrong_condition_is_refused_naming_what_is_allowed() {
        for text in ["", "p95", "p96<1s", "p95<500", "p95=500ms", "errors<1", "errors<x%", "rate>fast", "rate>-1", "<5"]
        {
            let error = Threshold::parse(text).unwrap_err();
            assert_eq!(error.variable, "--threshold", "{text}");
            assert!(error.to_string().contains("errors<1%"), "{error}");
        }
    }
}
