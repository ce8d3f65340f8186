//! Typed reading of the standard `OTEL_*` variables (table: `docs/telemetry.md`). Called by `Telemetry::init` and by
//! tests, which pass their own look-up. Nothing here opens a connection or sets a global.
//! An invalid value is an [`InvalidSetting`] that names the variable; the value of a header never appears in one.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_sdk::trace::Sampler;

use crate::env::{InvalidSetting, parse_bool};
use crate::facts;

/// Wire protocol of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2 without TLS.
    Grpc,
    /// Protobuf in HTTP/1.1 POST bodies.
    HttpProtobuf,
}

/// A signal of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metric points.
    Metrics,
}

impl Signal {
    /// As in the names of variables.
    const fn upper(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Logs => "LOGS",
            Self::Metrics => "METRICS",
        }
    }

    /// Path of OTLP over HTTP.
    const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// Where and how one signal is sent.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Wire protocol.
    pub protocol: Protocol,
    /// Full address; for HTTP with the signal's path.
    pub url: String,
    /// Headers of each request; all marked sensitive, so `Debug` hides their values.
    pub headers: HeaderMap,
    /// Longest time for one batch, retries included.
    pub timeout: Duration,
    /// Compress bodies with gzip.
    pub gzip: bool,
}

/// Limits of a batch processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Most records waiting; beyond it they are lost as `queue_full`.
    pub max_queue: usize,
    /// Most records in one request.
    pub max_batch: usize,
    /// Longest wait before a batch goes out.
    pub delay: Duration,
    /// Longest time for one batch, besides the endpoint's.
    pub timeout: Duration,
}

/// A context format of `OTEL_PROPAGATORS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagator {
    /// W3C Trace Context.
    TraceContext,
    /// W3C Baggage.
    Baggage,
}

/// Everything that the `OTEL_*` variables and `RUST_LOG` say.
#[derive(Debug, Clone)]
pub struct Config {
    /// `OTEL_SDK_DISABLED`.
    pub disabled: bool,
    /// `service.name`.
    pub service_name: String,
    /// `OTEL_RESOURCE_ATTRIBUTES` without `service.name`.
    pub resource: Vec<(String, String)>,
    /// Where spans go; `None` when the exporter is `none`.
    pub traces: Option<Endpoint>,
    /// Where log records go; `None` when the exporter is `none`.
    pub logs: Option<Endpoint>,
    /// Where metric points go; `None` when the exporter is `none`.
    pub metrics: Option<Endpoint>,
    /// Head sampler.
    pub sampler: Sampler,
    /// Limits of the span processor.
    pub span_batch: Batch,
    /// Limits of the log record processor.
    pub log_batch: Batch,
    /// Time between two exports of metrics.
    pub metric_interval: Duration,
    /// Longest time for one export of metrics, besides the endpoint's.
    pub metric_timeout: Duration,
    /// Formats of context in headers.
    pub propagators: Vec<Propagator>,
    /// `RUST_LOG`, where set.
    pub log_filter: Option<String>,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a variable has a value that is not allowed.
    pub fn from_env(service_name: &str) -> Result<Self, InvalidSetting> {
        Self::read(service_name, &crate::env::text)
    }

    /// Reads variables through `lookup`, which answers `None` for an unset one.
    ///
    /// # Errors
    /// When a variable has a value that is not allowed.
    pub fn read(service_name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidSetting> {
        let vars = Vars(lookup);
        let mut resource = vars.parsed("OTEL_RESOURCE_ATTRIBUTES", "KEY=VALUE[,KEY=VALUE], percent-encoded", pairs)?;
        let resource = resource.get_or_insert_default();
        let named = resource.iter().rposition(|(key, _)| key == "service.name").map(|at| resource[at].1.clone());
        resource.retain(|(key, _)| key != "service.name");
        let propagators = vars.parsed("OTEL_PROPAGATORS", "tracecontext, baggage or none", propagators)?;
        Ok(Self {
            disabled: vars.parsed("OTEL_SDK_DISABLED", "true or false", parse_bool)?.unwrap_or(false),
            service_name: vars.text("OTEL_SERVICE_NAME").or(named).unwrap_or_else(|| service_name.to_owned()),
            resource: std::mem::take(resource),
            traces: vars.endpoint(Signal::Traces)?,
            logs: vars.endpoint(Signal::Logs)?,
            metrics: vars.endpoint(Signal::Metrics)?,
            sampler: vars.sampler()?,
            span_batch: vars.batch("OTEL_BSP", 5_000)?,
            log_batch: vars.batch("OTEL_BLRP", 1_000)?,
            metric_interval: vars.millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            metric_timeout: vars.millis("OTEL_METRIC_EXPORT_TIMEOUT", 30_000)?,
            propagators: propagators.unwrap_or_else(|| vec![Propagator::TraceContext, Propagator::Baggage]),
            log_filter: vars.parsed("RUST_LOG", "directives such as `info,signalbox=debug`", |value| {
                super::subscriber::filter(Some(value)).is_ok().then(|| value.to_owned())
            })?,
        })
    }
}

/// Variables behind a look-up, trimmed; empty ones count as unset.
struct Vars<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Vars<'_> {
    fn text(&self, variable: &str) -> Option<String> {
        (self.0)(variable).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &self,
        variable: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InvalidSetting> {
        self.text(variable)
            .map(|value| parse(&value).ok_or_else(|| InvalidSetting::new(variable, &value, allowed)))
            .transpose()
    }

    fn millis(&self, variable: &str, default: u64) -> Result<Duration, InvalidSetting> {
        let parse = |value: &str| value.parse::<u64>().ok().filter(|ms| (1..=86_400_000).contains(ms));
        let ms = self.parsed(variable, "milliseconds, 1 to 86400000", parse)?.unwrap_or(default);
        Ok(Duration::from_millis(ms))
    }

    fn count(&self, variable: &str) -> Result<Option<usize>, InvalidSetting> {
        let parse = |value: &str| value.parse::<usize>().ok().filter(|n| (1..=10_000_000).contains(n));
        self.parsed(variable, "a number, 1 to 10000000", parse)
    }

    fn batch(&self, prefix: &str, delay_ms: u64) -> Result<Batch, InvalidSetting> {
        let max_queue = self.count(&format!("{prefix}_MAX_QUEUE_SIZE"))?.unwrap_or(2_048);
        let variable = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
        let max_batch = match self.count(&variable)? {
            Some(n) if n > max_queue => {
                return Err(InvalidSetting::new(variable, n, format!("1 to {prefix}_MAX_QUEUE_SIZE ({max_queue})")));
            }
            Some(n) => n,
            None => max_queue.min(512),
        };
        let delay = self.millis(&format!("{prefix}_SCHEDULE_DELAY"), delay_ms)?;
        let timeout = self.millis(&format!("{prefix}_EXPORT_TIMEOUT"), 30_000)?;
        Ok(Batch { max_queue, max_batch, delay, timeout })
    }

    fn sampler(&self) -> Result<Sampler, InvalidSetting> {
        const ALLOWED: &str = "always_on, always_off, traceidratio or one of them with parentbased_ before it";
        let name = self.text("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
        let root = name.strip_prefix("parentbased_").unwrap_or(&name);
        let sampler = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => {
                let ratio = |value: &str| value.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                let ratio = self.parsed("OTEL_TRACES_SAMPLER_ARG", "a ratio, 0.0 to 1.0", ratio)?;
                Sampler::TraceIdRatioBased(ratio.unwrap_or(1.0))
            }
            _ => return Err(InvalidSetting::new("OTEL_TRACES_SAMPLER", &name, ALLOWED)),
        };
        Ok(if root.len() == name.len() { sampler } else { Sampler::ParentBased(Box::new(sampler)) })
    }

    /// The signal's own variable where set, else the general one: its name and value.
    fn signal(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        [format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.upper()), format!("OTEL_EXPORTER_OTLP_{what}")]
            .into_iter()
            .find_map(|name| self.text(&name).map(|value| (name, value)))
    }

    fn endpoint(&self, signal: Signal) -> Result<Option<Endpoint>, InvalidSetting> {
        let exporter = |value: &str| match value {
            "otlp" => Some(true),
            "none" => Some(false),
            _ => None,
        };
        let wanted = self.parsed(&format!("OTEL_{}_EXPORTER", signal.upper()), "otlp or none", exporter)?;
        let protocol = match self.signal(signal, "PROTOCOL") {
            None => Protocol::Grpc,
            Some((_, value)) if value == "grpc" => Protocol::Grpc,
            Some((_, value)) if value == "http/protobuf" => Protocol::HttpProtobuf,
            Some((name, value)) => return Err(InvalidSetting::new(name, value, "grpc or http/protobuf")),
        };
        let gzip = match self.signal(signal, "COMPRESSION") {
            None => false,
            Some((_, value)) if value == "none" => false,
            Some((_, value)) if value == "gzip" => true,
            Some((name, value)) => return Err(InvalidSetting::new(name, value, "gzip or none")),
        };
        let timeout = match self.signal(signal, "TIMEOUT") {
            None => Duration::from_secs(10),
            Some((name, _)) => self.millis(&name, 10_000)?,
        };
        let headers = match self.signal(signal, "HEADERS") {
            None => HeaderMap::new(),
            Some((name, value)) => headers(&value)
                .ok_or_else(|| InvalidSetting::new(name, "***", "NAME=VALUE[,NAME=VALUE], percent-encoded"))?,
        };
        let url = self.url(signal, protocol)?;
        Ok(wanted.unwrap_or(true).then_some(Endpoint { protocol, url, headers, timeout, gzip }))
    }

    fn url(&self, signal: Signal, protocol: Protocol) -> Result<String, InvalidSetting> {
        let given = self.signal(signal, "ENDPOINT");
        let (variable, base) = match (given, protocol) {
            (Some(given), _) => given,
            (None, Protocol::Grpc) => {
                let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
                (name.to_owned(), facts::local_settings().get(name).cloned().unwrap_or_default())
            }
            (None, Protocol::HttpProtobuf) => (
                "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
                format!("http://127.0.0.1:{}", facts::port("console", "otlp-http")),
            ),
        };
        let shown = if base.contains('@') { "***" } else { &base };
        let schemes: &[&str] = match protocol {
            Protocol::Grpc => &["http"],
            Protocol::HttpProtobuf => &["http", "https"],
        };
        let parsed = reqwest::Url::parse(&base).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
        let Some(parsed) = parsed else {
            let allowed = match protocol {
                Protocol::Grpc => "http://HOST:PORT (gRPC over TLS is not built in: use http/protobuf for https)",
                Protocol::HttpProtobuf => "an http:// or https:// address",
            };
            return Err(InvalidSetting::new(variable, shown, allowed));
        };
        // The standard's rule: the general variable is a base, the signal's own is used as it is.
        Ok(match protocol {
            Protocol::Grpc => parsed.origin().ascii_serialization(),
            Protocol::HttpProtobuf if variable == "OTEL_EXPORTER_OTLP_ENDPOINT" => {
                format!("{}{}", base.trim_end_matches('/'), signal.path())
            }
            Protocol::HttpProtobuf => base,
        })
    }
}

fn propagators(value: &str) -> Option<Vec<Propagator>> {
    if value == "none" {
        return Some(Vec::new());
    }
    let one = |name: &str| match name.trim() {
        "tracecontext" => Some(Propagator::TraceContext),
        "baggage" => Some(Propagator::Baggage),
        _ => None,
    };
    value.split(',').map(one).collect()
}

fn headers(value: &str) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in pairs(value)? {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        map.append(HeaderName::try_from(name.to_ascii_lowercase()).ok()?, value);
    }
    Some(map)
}

/// `key=value,key=value` with percent-encoded values.
fn pairs(value: &str) -> Option<Vec<(String, String)>> {
    let one = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = percent_decoded(key.trim())?;
        (!key.is_empty()).then_some((key, percent_decoded(value.trim())?))
    };
    value.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(one).collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
