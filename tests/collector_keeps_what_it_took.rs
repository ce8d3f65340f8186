//! What a real collector has acknowledged it keeps: over an outage, SIGTERM and kill -9. What it cannot keep it refuses. No
//! secret leaves it. Says `not run: otelcol` where there is none.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use axum::http::StatusCode;
use nix::sys::signal::Signal;

#[path = "support/collector.rs"]
mod collector;
#[path = "support/programs.rs"]
mod programs;

use collector::{Backend, Collector, attribute};

fn otelcol() -> Option<PathBuf> {
    programs::find("otelcol-contrib").or_else(|| programs::find_or_say("otelcol"))
}

/// Requests, and spans or records in each.
const REQUESTS: u64 = 100;
const EACH: u64 = 10;

async fn fill(collector: &Collector) {
    for request in 0..REQUESTS {
        let range = request * EACH..(request + 1) * EACH;
        assert_eq!(collector.spans(range.clone(), Vec::new()).await, StatusCode::OK);
        assert_eq!(collector.records(range, Vec::new()).await, StatusCode::OK);
    }
}

async fn nothing_is_lost_when_it_ends_by(signal: Signal) {
    let Some(otelcol) = otelcol() else { return };
    let (state, backend) = (tempfile::tempdir().unwrap(), Backend::start().await);
    backend.answer(StatusCode::SERVICE_UNAVAILABLE);
    let mut first = Collector::start(&otelcol, state.path(), &backend.url, "").await;
    fill(&first).await;
    first.end(signal);
    backend.answer(StatusCode::OK);
    let _second = Collector::start(&otelcol, state.path(), &backend.url, "").await;
    backend.until(usize::try_from(2 * REQUESTS * EACH).unwrap()).await;
    let twice = backend.see(|arrived| arrived.ids.values().filter(|times| **times > 1).count());
    println!("{signal}: {} acknowledged, all arrived, {twice} twice", 2 * REQUESTS * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_during_an_outage_loses_nothing_that_was_acknowledged() {
    nothing_is_lost_when_it_ends_by(Signal::SIGKILL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_an_outage_loses_nothing_that_was_acknowledged() {
    nothing_is_lost_when_it_ends_by(Signal::SIGTERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_way_loses_nothing_that_was_acknowledged() {
    let Some(otelcol) = otelcol() else { return };
    let (state, backend) = (tempfile::tempdir().unwrap(), Backend::start().await);
    let mut first = Collector::start(&otelcol, state.path(), &backend.url, "").await;
    // The backend takes them meanwhile; the last ones are still in the batch.
    fill(&first).await;
    first.end(Signal::SIGKILL);
    let _second = Collector::start(&otelcol, state.path(), &backend.url, "").await;
    backend.until(usize::try_from(2 * REQUESTS * EACH).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_instead_of_dropping() {
    let Some(otelcol) = otelcol() else { return };
    let (state, backend) = (tempfile::tempdir().unwrap(), Backend::start().await);
    backend.answer(StatusCode::SERVICE_UNAVAILABLE);
    let small = "exporters: { otlp_http/tempo: { sending_queue: { queue_size: 20000, batch: { min_size: 10000, max_size: 20000 } } } }";
    let collector = Collector::start(&otelcol, state.path(), &backend.url, small).await;
    let (mut taken, mut refused) = (0, 0);
    for request in 0..REQUESTS {
        match collector.spans(request * EACH..(request + 1) * EACH, Vec::new()).await {
            StatusCode::OK => taken += EACH,
            StatusCode::SERVICE_UNAVAILABLE => refused += EACH,
            other => panic!("{other} is not retryable"),
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
    backend.answer(StatusCode::OK);
    backend.until(usize::try_from(taken).unwrap()).await;
    assert_eq!(backend.see(|arrived| arrived.ids.len() as u64), taken, "what was refused did not arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_and_the_environment_is_named() {
    let Some(otelcol) = otelcol() else { return };
    let (state, backend) = (tempfile::tempdir().unwrap(), Backend::start().await);
    let collector = Collector::start(&otelcol, state.path(), &backend.url, "").await;
    let sent = || {
        let secrets =
            ["authorization", "cookie", "http.request.header.authorization", "http.response.header.set-cookie"];
        let secrets = secrets.map(|key| attribute(key, "secret"));
        secrets.into_iter().chain([attribute("http.route", "/work")]).collect::<Vec<_>>()
    };
    assert_eq!(collector.spans(0..1, sent()).await, StatusCode::OK);
    assert_eq!(collector.records(0..1, sent()).await, StatusCode::OK);
    backend.until(2).await;
    let keys = backend.see(|arrived| arrived.keys.clone());
    let expected = [("deployment.environment.name", "local"), ("http.route", "/work")];
    assert_eq!(keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
}
