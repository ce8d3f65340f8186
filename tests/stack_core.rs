//! The core variant with the real programs, through configs/processes/core.yaml: it becomes ready, keeps the contract
//! under a spike, shows a request soon, and stops without losing what is in flight.
//! Run by `just stack-test`; the ports are fixed, so one test at a time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/stack.rs"]
mod support;

use std::time::{Duration, Instant};

use signalbox::facts;

use support::{Stack, can_run, p95};

#[test]
#[ignore = "needs the real backends: just stack-test"]
fn the_core_variant_keeps_the_contract_under_a_spike() {
    if !can_run(&[]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let stack = Stack::start(state.path(), &["core", "--for", "40s", "--verify"]);
    let (status, output) = stack.end(Duration::from_secs(400));
    assert!(status.success(), "{status}\n{output}");
    let summary = output.lines().rev().find(|line| line.starts_with("verify: ") && line.contains(" passed")).unwrap();
    assert!(summary.contains(", 0 failed"), "{summary}");
    for program in ["tempo", "grafana"].into_iter().filter(|program| programs::find(program).is_none()) {
        assert!(output.contains(&format!("skipped: {program}")), "`{program}` is missing and not named:\n{output}");
    }
}

/// Sends one request with a trace id of its own.
async fn send(stack: &Stack, number: u64) -> String {
    let trace = format!("{:016x}{number:016x}", 0x51_9a_1b_0c_u64);
    let url = format!("{}/api/data", facts::setting("APP_URL"));
    let header = format!("00-{trace}-{:016x}-01", number + 1);
    let answer = stack.client().get(url).header("traceparent", header).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    trace
}

async fn in_loki(stack: &Stack, trace: &str) -> Option<()> {
    let query = format!("{{service_name=\"signalbox-app\"}} | trace_id=\"{trace}\"");
    let answer =
        stack.get(&format!("{}/loki/api/v1/query_range", facts::setting("LOKI_URL")), &[("query", &query)]).await?;
    (!answer["data"]["result"].as_array()?.is_empty()).then_some(())
}

/// In Tempo, or in the console that stands in for it.
async fn in_traces(stack: &Stack, trace: &str) -> Option<()> {
    let url = if stack.has("tempo") {
        format!("{}/api/v2/traces/{trace}", facts::setting("TEMPO_URL"))
    } else {
        format!("{}/api/v1/traces/{trace}", facts::setting("CONSOLE_URL"))
    };
    stack.get(&url, &[]).await.map(|_| ())
}

/// Requests that Prometheus has counted so far.
async fn counted(stack: &Stack) -> Option<f64> {
    let query = "sum(http_server_request_duration_seconds_count{job=\"signalbox-app\", http_route=\"/api/data\"})";
    stack.query(query).await?[0]["value"][1].as_str()?.parse().ok()
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn a_request_becomes_visible_in_every_backend() {
    if !can_run(&[]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let stack = Stack::ready(state.path(), &["core", "--no-load"]);
    let within = Duration::from_secs(30);
    // One after the other, so that the count of a request is known; each is waited for beside those after it. 370 ms: requests
    // must not keep step with the metric interval.
    let turn = tokio::sync::Mutex::new(());
    let request = async |number: u32| {
        tokio::time::sleep(Duration::from_millis(370) * number).await;
        let mine = turn.lock().await;
        let sent = Instant::now();
        let trace = send(&stack, u64::from(number)).await;
        drop(mine);
        let before = f64::from(number);
        tokio::join!(
            stack
                .eventually("its log in Loki", within, async || in_loki(&stack, &trace).await.map(|()| sent.elapsed())),
            stack.eventually("its trace", within, async || in_traces(&stack, &trace).await.map(|()| sent.elapsed())),
            stack.eventually("its count in Prometheus", within, async || {
                (counted(&stack).await? > before).then(|| sent.elapsed())
            }),
        )
    };
    let (mut logs, mut traces, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
    for (log, span, point) in futures_util::future::join_all((0..20).map(&request)).await {
        logs.push(log);
        traces.push(span);
        metrics.push(point);
    }
    println!("visible, p95 of 20: logs {:?}, traces {:?}, metrics {:?}", p95(logs), p95(traces), p95(metrics));
    stack.stop();
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn stopping_in_order_loses_nothing_that_is_in_flight() {
    if !can_run(&[]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let stack = Stack::ready(state.path(), &["core", "--no-load"]);
    let mut traces = Vec::new();
    for number in 1000..1200 {
        traces.push(send(&stack, number).await);
    }
    // At once: the last records are still in the app's queue and in the collector's.
    stack.stop();
    let stack = Stack::ready(state.path(), &["core", "--no-load"]);
    for trace in &traces {
        let what = format!("the log of trace {trace}, which was answered before the stack stopped");
        stack.eventually(&what, Duration::from_secs(30), async || in_loki(&stack, trace).await).await;
    }
    assert!(stack.eventually("its counter", Duration::from_secs(30), async || old_count(&stack).await).await >= 200.0);
    stack.stop();
}

/// What the app that was stopped had counted at its end.
async fn old_count(stack: &Stack) -> Option<f64> {
    let query = "max(max_over_time(http_server_request_duration_seconds_count{job=\"signalbox-app\", http_route=\"/api/data\"}[10m]))";
    stack.query(query).await?[0]["value"][1].as_str()?.parse().ok()
}
