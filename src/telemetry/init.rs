//! The life of telemetry in a process: `init`, then `shutdown`. The only place that sets a global.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tracing_subscriber::util::SubscriberInitExt;

use super::config::{Config, Propagator};
use super::exemplars::Reservoir;
use super::metrics::Exposition;
use super::pipeline::Pipeline;
use super::subscriber::{Lines, subscriber};
use crate::env::InvalidSetting;

/// The three signals of this process, from `init` to `shutdown`.
#[derive(Debug)]
pub struct Telemetry {
    /// `None` when `OTEL_SDK_DISABLED=true`.
    pipeline: Option<Pipeline>,
}

/// What the last flush left behind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Spans that the receiver took over the process's life.
    pub spans_exported: u64,
    /// Spans lost over the process's life.
    pub spans_lost: u64,
    /// Log records that the receiver took.
    pub logs_exported: u64,
    /// Log records lost.
    pub logs_lost: u64,
    /// Metric points that the receiver took.
    pub points_exported: u64,
    /// Metric points lost.
    pub points_lost: u64,
    /// `true` when the deadline passed before every signal was flushed.
    pub timed_out: bool,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "telemetry: spans {} exported {} lost, logs {} exported {} lost, points {} exported {} lost",
            self.spans_exported,
            self.spans_lost,
            self.logs_exported,
            self.logs_lost,
            self.points_exported,
            self.points_lost
        )?;
        if self.timed_out { write!(f, "; the flush deadline passed") } else { Ok(()) }
    }
}

impl Telemetry {
    /// Reads `OTEL_*`, sets the global providers and the `tracing` subscriber. Log lines go to stdout as JSON.
    ///
    /// # Errors
    /// When a variable has a value that is not allowed.
    pub fn init(service_name: &'static str) -> Result<Self, InvalidSetting> {
        Self::start(service_name, false)
    }

    /// The same with nothing on stdout, for programs that talk to a terminal; lost telemetry is said on stderr.
    ///
    /// # Errors
    /// When a variable has a value that is not allowed.
    pub fn init_quiet(service_name: &'static str) -> Result<Self, InvalidSetting> {
        Self::start(service_name, true)
    }

    fn start(service_name: &str, quiet: bool) -> Result<Self, InvalidSetting> {
        let config = Config::from_env(service_name)?;
        let pipeline = (!config.disabled)
            .then(|| Pipeline::new(&config, Reservoir::global()))
            .transpose()
            // The system refuses threads: no setting of ours can help, and without them nothing is exported.
            .map_err(|error| InvalidSetting::new("OTEL_SDK_DISABLED", "false", format!("true only, for {error}")))?;
        let formats = config.propagators.iter().map(|format| -> Box<dyn TextMapPropagator + Send + Sync> {
            match format {
                Propagator::TraceContext => Box::new(TraceContextPropagator::new()),
                Propagator::Baggage => Box::new(BaggagePropagator::new()),
            }
        });
        global::set_text_map_propagator(TextMapCompositePropagator::new(formats.collect()));
        if let Some(pipeline) = &pipeline {
            global::set_tracer_provider(pipeline.tracer_provider().clone());
            global::set_meter_provider(pipeline.meter_provider().clone());
        }
        let filter = config.log_filter.as_deref();
        // A second initialisation in one process (tests) keeps the first subscriber.
        let _ = if quiet {
            subscriber(pipeline.as_ref(), filter, Lines::LossesOnly, std::io::stderr).try_init()
        } else {
            subscriber(pipeline.as_ref(), filter, Lines::All, std::io::stdout).try_init()
        };
        Ok(Self { pipeline })
    }

    /// The Prometheus exposition of every instrument: text format 0.0.4, or OpenMetrics 1.0 with exemplars.
    pub fn exposition(&self) -> Exposition {
        match &self.pipeline {
            Some(pipeline) => pipeline.exposition(),
            None => Exposition::new(None, Arc::default()),
        }
    }

    /// Flushes the three signals in parallel under one deadline.
    pub async fn shutdown(self, deadline: Duration) -> ShutdownReport {
        match self.pipeline {
            Some(pipeline) => pipeline.shutdown(deadline).await,
            None => ShutdownReport::default(),
        }
    }
}
