//! The page, in a real Chromium, over a real console, service and load tester: the spike is drawn, a log line leads to its
//! trace, a span to its logs, and nothing breaks the content security policy. With SIGNALBOX_PICTURES=DIR it saves the README's
//! pictures (`just pictures`). Needs chromedriver and Chromium; says `not run: chromium` without them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(all(feature = "app", feature = "load", feature = "console"))]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/programs.rs"]
mod programs;

use std::future::Future;
use std::sync::Arc;

use browser::Browser;

/// Runs a test's body and closes the browser whatever happened: a panic must not leave a Chromium behind.
async fn in_a_browser<F: Future<Output = ()> + Send + 'static>(body: impl FnOnce(Arc<Browser>) -> F) {
    let Some(browser) = Browser::start().await else { return };
    let browser = Arc::new(browser);
    let outcome = tokio::spawn(body(Arc::clone(&browser))).await;
    browser.close().await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

const SPIKE: &str = "const { peak, base } = document.querySelector('[data-testid=chart-rate]').dataset;
    return Number(base) > 0 && Number(peak) >= 5 && Number(peak) >= 3 * Number(base) ? `${peak} over ${base}` : null";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_draws_the_spike_and_leads_from_a_log_to_its_trace_and_from_a_span_to_its_logs() {
    in_a_browser(|browser| async move {
        let directory = tempfile::tempdir().unwrap();
        let console = browser::console(directory.path());
        let (_app, base) = browser::app(&console, directory.path()).await;
        // A picture wants a calm before and after the spike; the promise does not.
        let seconds = if std::env::var_os("SIGNALBOX_PICTURES").is_some() { 48 } else { 24 };
        let mut load = browser::load(&console, directory.path(), &base, seconds);

        browser.goto(&format!("{}/#window=1", console.page)).await;
        browser.until("its first data", "return document.documentElement.dataset.ready === 'true'").await;
        let spike = browser.until("a spike of three times the base", SPIKE).await;
        println!("requests per second: peak {}", spike.as_str().unwrap_or_default());
        let marks = "return document.querySelectorAll('[data-testid=chart-rate] .phase').length";
        browser.until("marks of the load's phases", marks).await;
        let dots = "return document.querySelectorAll('[data-testid=chart-latency] [data-testid=exemplar]').length";
        browser.until("exemplars on the latency chart", dots).await;
        if seconds > 24 {
            while load.0.try_wait().unwrap().is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
        browser.picture("console.png").await;
        a_log_leads_to_its_trace_and_a_span_to_its_logs(&browser).await;
        assert_no_complaints(&browser).await;
    })
    .await;
}

/// Wants a page with data. Leaves it paused, with the trace panel open.
async fn a_log_leads_to_its_trace_and_a_span_to_its_logs(browser: &Browser) {
    browser
        .until(
            "a log line with a trace",
            "return document.querySelector('.row.log[data-trace-id][data-span-id]') !== null",
        )
        .await;
    // Paused, the list stands still: the line that is read is the line that is clicked.
    browser.click("[data-testid=live]").await;
    let read = "const row = document.querySelector('[data-testid=log-row][data-trace-id][data-span-id]'); return [row.dataset.traceId, row.dataset.spanId]";
    let ids = browser.until("a log line with a trace", read).await;
    let (trace, span) = (ids[0].as_str().unwrap(), ids[1].as_str().unwrap());
    browser.click(&format!("[data-testid=log-row][data-trace-id='{trace}'][data-span-id='{span}']")).await;

    let panel = format!(
        "const panel = document.querySelector('[data-testid=trace-panel][data-trace-id=\"{trace}\"]:not([hidden])');"
    );
    let row = format!("[data-testid=span-row][data-span-id='{span}']");
    browser
        .until(
            "the trace of the line",
            &format!("{panel} return panel?.querySelector(\"{row}\") != null && panel.innerText.includes('{trace}')"),
        )
        .await;
    let pressed = format!("return document.querySelector(\"{row}\")?.getAttribute('aria-pressed') === 'true'");
    browser.until("the line's span chosen", &pressed).await;

    // Once more on the chosen span: back to the logs of the whole trace; then again: its own.
    browser.click(&row).await;
    browser.until("the logs of the trace", "return document.querySelector('[data-testid=trace-logs]') !== null").await;
    browser.click(&row).await;
    let own = format!(
        "const lines = [...document.querySelectorAll('[data-testid=span-logs] [data-testid=trace-log]')];
         return lines.length > 0 && lines.every((line) => line.dataset.spanId === '{span}')"
    );
    browser.until("the logs of the span alone", &own).await;

    browser.click("[data-testid=logs-of-trace]").await;
    let filtered = format!(
        "const rows = [...document.querySelectorAll('[data-testid=log-row]')];
         return document.querySelector('[data-testid=trace-panel]').hidden && rows.length > 0 && rows.every((row) => row.dataset.traceId === '{trace}')"
    );
    browser.until("the log list filtered by the trace", &filtered).await;
    browser.back().await;
    browser.until("the trace again after Back", &format!("{panel} return panel !== null")).await;
}

async fn assert_no_complaints(browser: &Browser) {
    let complaints = browser.complaints().await;
    // A trace may be asked for before its first span has arrived; the page says so and asks again.
    let real: Vec<_> =
        complaints.iter().filter(|text| !(text.contains("/api/v1/traces/") && text.contains("404"))).collect();
    assert!(real.is_empty(), "the browser complained: {real:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_console_says_what_to_do_and_a_stopped_one_that_it_is_gone() {
    in_a_browser(|browser| async move {
        let directory = tempfile::tempdir().unwrap();
        let mut console = browser::console(directory.path());
        browser.goto(&console.page).await;
        browser.until("its first answers", "return document.documentElement.dataset.ready === 'true'").await;
        browser.until("how to send spans", "return document.body.innerText.includes('No spans yet. Point an OTLP exporter at')").await;
        browser.until("that nothing is kept", "return document.body.innerText.includes('nothing survives a restart')").await;
        assert_no_complaints(&browser).await;

        console.process.0.kill().unwrap();
        let gone = "const banner = document.querySelector('[role=alert]'); return !banner.hidden && banner.textContent.includes('The console is gone')";
        browser.until("that the console is gone", gone).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "pyroscope")]
async fn the_page_draws_the_flame_graph_of_a_service_and_of_a_span() {
    in_a_browser(|browser| async move {
        let directory = tempfile::tempdir().unwrap();
        let console = browser::console(directory.path());
        let (_app, base) = browser::app(&console, directory.path()).await;
        let answer = reqwest::get(format!("{base}/work?ms=0&cpu_ms=300")).await.unwrap();
        let trace = answer.headers()["x-trace-id"].to_str().unwrap().to_owned();

        browser.goto(&console.page).await;
        let drawn = "return Number(document.querySelector('[data-testid=profile] [data-testid=flame]')?.dataset.samples) > 0";
        browser.until("a flame graph of the service", drawn).await;
        browser.run("document.querySelector('[data-testid=profile]').scrollIntoView()").await;
        let frame = "[data-testid=profile] iframe";
        assert!(browser.reads_in_frame(frame, "GET /work").await, "the drawing has no request");
        browser.picture("profiles.png").await;

        browser.goto(&format!("{}/#trace={trace}", console.page)).await;
        browser.click("[data-testid=span-row]").await;
        let own = "return Number(document.querySelector('[data-testid=span-profile] [data-testid=flame]')?.dataset.samples) > 0";
        browser.until("the flame graph of the span", own).await;
        assert!(browser.reads_in_frame("[data-testid=span-profile] iframe", "stir").await, "the drawing lacks what computes");
        browser.picture("profile-of-a-span.png").await;
        assert_no_complaints(&browser).await;
    })
    .await;
}
