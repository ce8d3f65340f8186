//! The log generator: records of a made-up shop at a steady rate, each in a span of its own. Started by `app::serve`.
//! Some hold e-mail addresses on purpose: `telemetry` redacts them before export, and `verify` looks.

use std::time::Duration;

use opentelemetry::{KeyValue, metrics as otel};
use rand::RngExt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics;
use crate::telemetry::names::{self, attr};

/// Of a hundred records, how many are INFO; then WARN; the rest ERROR.
const INFO_OF_100: u32 = 80;
const WARN_OF_100: u32 = 15;

/// Writes `rate` records a second until stopped; 0 writes none.
pub(super) async fn generate_logs(rate: f64, stop: CancellationToken) {
    if rate <= 0.0 {
        return;
    }
    let records = metrics::counter(&names::LOG_GENERATOR_RECORDS);
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    // A machine that slept must not get hours of records at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => generate_record(&records),
        }
    }
}

fn generate_record(records: &otel::Counter<u64>) {
    let mut rng = rand::rng();
    let (dice, order, user) = (rng.random_range(0..100), rng.random_range(10_000..99_999), rng.random_range(1..500));
    let severity =
        tracing::info_span!("generate log", otel.name = "generate log").in_scope(|| write(dice, order, user));
    records.add(1, &[KeyValue::new(attr::SEVERITY, severity)]);
}

/// One record; `dice` (0 to 99) chooses which.
fn write(dice: u32, order: u32, user: u32) -> &'static str {
    match dice {
        0..20 => tracing::info!(order, "order {order} placed by user{user}@example.com"),
        20..50 => tracing::info!(order, items = user % 9 + 1, "order {order} packed"),
        50..INFO_OF_100 => tracing::info!(user, "cache refreshed, {user} entries"),
        80..90 => tracing::warn!(order, attempt = user % 3 + 2, "payment of order {order} is slow, trying again"),
        90..95 => tracing::warn!(user, "login of user{user}@example.com failed, wrong password"),
        95..98 => tracing::error!(order, "payment of order {order} declined by the bank"),
        _ => tracing::error!(order, "invoice of order {order} could not be sent to user{user}@example.com"),
    }
    match dice {
        0..INFO_OF_100 => "INFO",
        _ if dice < INFO_OF_100 + WARN_OF_100 => "WARN",
        _ => "ERROR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_has_every_severity_and_mostly_info() {
        let severities: Vec<_> = (0..100).map(|dice| write(dice, 1, 1)).collect();
        let count = |severity| severities.iter().filter(|s| **s == severity).count();
        assert_eq!((count("INFO"), count("WARN"), count("ERROR")), (80, 15, 5));
    }

    #[tokio::test]
    async fn a_rate_of_zero_turns_the_generator_off() {
        // Returns although nobody stops it.
        generate_logs(0.0, CancellationToken::new()).await;
    }
}
