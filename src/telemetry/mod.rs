//! OpenTelemetry set-up for `app` and `load`. [`names`], the contract, compiles without the SDK for `verify` and dashboards.
//!
//! `config` reads the variables -> `pipeline` makes three providers over `worker` (bounded queues, one exporter thread a
//! signal) and `otlp` (the wire) -> `subscriber` feeds them from `tracing`. `stats` accounts for every record;
//! `self_report` says what was lost. `profiles` is apart: it samples this process and pushes by itself. Which variables are honoured: `docs/telemetry.md`.

#[cfg(feature = "telemetry")]
pub mod config;
#[cfg(feature = "telemetry")]
pub mod exemplars;
#[cfg(feature = "telemetry")]
mod exposition;
#[cfg(feature = "telemetry")]
mod init;
#[cfg(feature = "telemetry")]
pub mod metrics;
pub mod names;
#[cfg(feature = "telemetry")]
mod otlp;
#[cfg(feature = "telemetry")]
pub mod pipeline;
#[cfg(feature = "telemetry")]
pub mod profiles;
#[cfg(feature = "telemetry")]
pub mod propagation;
#[cfg(feature = "telemetry")]
pub mod redact;
#[cfg(feature = "telemetry")]
mod resource;
#[cfg(feature = "telemetry")]
mod self_report;
#[cfg(feature = "telemetry")]
pub mod stats;
#[cfg(feature = "telemetry")]
pub mod subscriber;
#[cfg(feature = "telemetry")]
mod worker;

#[cfg(feature = "telemetry")]
pub use init::{ShutdownReport, Telemetry};
