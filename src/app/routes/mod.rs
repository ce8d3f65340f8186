//! One file a route. Assembled by `app::router`; handlers know HTTP and the state, no telemetry set-up and no SQL.

pub(super) mod crash;
pub(super) mod data;
pub(super) mod error;
pub(super) mod external;
pub(super) mod health;
pub(super) mod index;
pub(super) mod metrics;
pub(super) mod rolldice;
pub(super) mod tasks;
pub(super) mod work;
