//! The OTLP receiver: gRPC and HTTP in front of one `Ingest`. Called by `console::start`. Nothing here keeps state.

pub(crate) mod grpc;
pub(crate) mod http;

use std::time::Duration;

/// Largest message, compressed or not: 16 MiB. OTLP batches are a few hundred kilobytes.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// Requests of one protocol that are read and decoded at a time; others wait. Bounds the memory of requests in flight.
pub(crate) const MAX_IN_FLIGHT: usize = 16;
/// A request that takes longer to arrive is given up, so that slow senders cannot hold all places.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
