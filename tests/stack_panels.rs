//! Every query of every panel, run against the real backends with its variables filled in, has an answer. Where Grafana
//! runs, `verify` asks the same through it; this needs none. Starts core and lgtm under load.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(all(feature = "dashboards", feature = "console"))]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/stack.rs"]
mod support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use signalbox::dashboards::{Needs, PanelQuery, Query, Source, panel_queries};
use signalbox::facts;

use support::{Stack, can_run};

/// Until when every panel must have data; a rate needs two points, a recording rule its first evaluation.
const DEADLINE: Duration = Duration::from_secs(120);
/// What is looked at, as the dashboards' default of 15 minutes.
const RANGE: Duration = Duration::from_secs(900);

/// Values of the variables: everything, as the dashboards open, and one choice of each.
const CHOICES: &[(&str, &[(&str, &str)])] = &[
    ("all", &[("service", ".+"), ("route", ".*"), ("slo", ".+"), ("severity", ".*"), ("search", "")]),
    (
        "one",
        &[("service", "signalbox-app"), ("route", "/work"), ("slo", ".+"), ("severity", "INFO"), ("search", "work")],
    ),
];

/// The query as a backend takes it.
fn filled(query: &Query, choice: &[(&str, &str)]) -> String {
    let mut text = query.expr.clone();
    for (name, value) in choice {
        text = text.replace(&format!("${name}"), value);
    }
    // What Grafana makes of them for 15 minutes on a wide screen.
    let window = format!("{}s", query.shortest_rate_window());
    text.replace("$__rate_interval", &window).replace("$__range", "900s").replace("$__auto", "15s")
}

#[test]
fn what_grafana_would_fill_in_is_filled_in() {
    for query in panel_queries() {
        for (_, choice) in CHOICES {
            let text = filled(&query.query, choice);
            assert!(!text.contains("$_") && !text.contains("${"), "{}: {}: {text}", query.dashboard, query.panel);
        }
    }
}

/// Address of a backend, where there is one.
fn address(variable: &str) -> Option<String> {
    Some(facts::setting(variable)).filter(|value| !value.is_empty())
}

async fn get(url: &str, parameters: &[(&str, String)]) -> Result<Value, String> {
    let answer = reqwest::Client::new()
        .get(url)
        .query(parameters)
        .timeout(Duration::from_secs(10))
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("{status}: {text}"));
    }
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

/// Whether the answer holds a number that is one, or a line.
fn has_data(answer: &Value) -> bool {
    let number =
        |pair: &Value| pair[1].as_str().is_some_and(|text| text.parse::<f64>().is_ok_and(|value| !value.is_nan()));
    answer["data"]["result"].as_array().is_some_and(|series| {
        series.iter().any(|one| {
            let lines = !one["stream"].is_null();
            number(&one["value"])
                || one["values"]
                    .as_array()
                    .is_some_and(|points| lines && !points.is_empty() || points.iter().any(number))
        })
    })
}

/// Asks once. `Ok(None)` where the backend is not there to ask.
async fn ask(stack: &Stack, query: &PanelQuery, choice: &[(&str, &str)]) -> Result<Option<bool>, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expr = filled(&query.query, choice);
    let times = |mut parameters: Vec<(&'static str, String)>| {
        if query.query.instant() {
            parameters.push(("time", now.to_string()));
        } else {
            parameters.extend([
                ("start", (now - RANGE.as_secs()).to_string()),
                ("end", now.to_string()),
                ("step", "5".to_owned()),
            ]);
        }
        parameters
    };
    let kind = if query.query.instant() { "query" } else { "query_range" };
    let (url, parameters) = match query.query.source {
        Source::Metrics => (format!("{}/{kind}", stack.query_api()), times(vec![("query", expr)])),
        Source::Logs => {
            let Some(base) = address("LOKI_URL") else { return Ok(None) };
            (format!("{base}/loki/api/v1/{kind}"), times(vec![("query", expr)]))
        }
        // A service graph has no query of its own: Grafana draws it of these series, which it asks Prometheus for.
        Source::Traces if query.needs == Needs::ServiceGraph => {
            let series = ["request_total", "request_failed_total", "request_server_seconds_sum"];
            let all = series.map(|name| format!("count(traces_service_graph_{name})")).join(" + ");
            (format!("{}/query", stack.query_api()), vec![("query", all)])
        }
        Source::Traces => {
            let Some(base) = address("TEMPO_URL") else { return Ok(None) };
            if get(&format!("{base}/api/status/buildinfo"), &[]).await.is_err() {
                return Ok(None);
            }
            let answer = get(&format!("{base}/api/search"), &[("q", expr)]).await?;
            return Ok(Some(answer["traces"].as_array().is_some_and(|traces| !traces.is_empty())));
        }
        Source::Profiles => return Ok(None),
    };
    get(&url, &parameters).await.map(|answer| Some(has_data(&answer)))
}

/// Whether a variant has what a panel needs.
fn expected(variant: &str, needs: Needs) -> bool {
    match needs {
        Needs::Nothing => true,
        Needs::HostMetrics | Needs::SpanMetrics | Needs::BackendMetrics | Needs::ServiceGraph | Needs::Browser => {
            variant == "lgtm"
        }
        Needs::Tempo | Needs::Pyroscope | Needs::FiringAlert => false,
    }
}

/// What a browser with the Faro SDK sends of a page of the service: each web vital, and an exception.
async fn a_browser_tells(stack: &Stack) {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let vitals = [("lcp", 1200.0), ("inp", 80.0), ("cls", 0.05), ("fcp", 900.0), ("ttfb", 120.0)];
    let measurement =
        |(key, value): (&str, f64)| json!({ "type": "web-vitals", "values": { key: value }, "timestamp": now });
    let body = json!({
        "meta": { "app": { "name": "signalbox-app" }, "session": { "id": "1" }, "page": { "url": facts::setting("PUBLIC_URL") } },
        "measurements": vitals.map(measurement),
        "exceptions": [{ "type": "TypeError", "value": "x is not a function", "timestamp": now }],
    });
    let url = format!("http://127.0.0.1:{}/collect", facts::port("collector", "faro"));
    let answer = stack.client().post(url).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn every_panel_of_the_core_has_data() {
    if can_run(&[]) {
        every_panel_has_data("core").await;
    }
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn every_panel_of_lgtm_has_data() {
    if can_run(&["node-exporter"]) {
        every_panel_has_data("lgtm").await;
    }
}

async fn every_panel_has_data(variant: &str) {
    let state = support::state();
    let stack = Stack::ready(state.path(), &[variant]);
    if expected(variant, Needs::Browser) {
        a_browser_tells(&stack).await;
    }
    let end = Instant::now() + DEADLINE;
    let (mut with_data, mut missing, mut passed_over) = (0, Vec::new(), Vec::new());
    for (name, choice) in CHOICES {
        for query in panel_queries() {
            let place = format!("{} / {} ({name})", query.dashboard, query.panel);
            let expected = expected(variant, query.needs);
            let found = loop {
                match ask(&stack, &query, choice).await {
                    Ok(Some(false)) if expected && Instant::now() < end => {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    Err(error) if error.contains("error sending") && Instant::now() < end => {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    other => break other,
                }
            };
            match found {
                Ok(Some(true)) => with_data += 1,
                Ok(_) if !expected => passed_over.push(format!("{place}: {:?}", query.needs)),
                Ok(_) => missing.push(format!("{place}: no data for {}", filled(&query.query, choice))),
                Err(error) => missing.push(format!("{place}: {error} for {}", filled(&query.query, choice))),
            }
        }
    }
    println!("{with_data} queries have data");
    for line in &passed_over {
        println!("skipped: {line}");
    }
    drop(stack);
    assert!(missing.is_empty(), "{} queries without data:\n{}", missing.len(), missing.join("\n"));
}
