//! `up` imports no sibling, so the names it asks the console for are its own: these hold them to the contract.

#![cfg(all(feature = "app", feature = "load", feature = "console"))]

use signalbox::telemetry::names::{EVENT_LOAD_PHASE, METRICS, attr};
use signalbox::up::progress;

#[test]
fn up_asks_for_metrics_of_the_contract() {
    for name in progress::ASKED_METRICS {
        assert!(METRICS.iter().any(|metric| metric.name == name), "{name} is not in telemetry::names");
    }
}

#[test]
fn up_knows_the_events_and_attributes_of_the_contract() {
    assert_eq!(progress::PHASE_EVENT, EVENT_LOAD_PHASE);
    assert_eq!(progress::PHASE_NAME, attr::LOAD_PHASE_NAME);
    assert_eq!(progress::STATUS, attr::HTTP_RESPONSE_STATUS_CODE);
}
