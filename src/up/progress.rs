//! Asks the console how things go: requests per second, p95, errors, users, spans kept. Called by `up`; an answer that
//! does not come is shown as `-`, never an error.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::facts;

/// The metrics it asks for; `up` imports no sibling, so `tests/up_names.rs` holds them to the contract.
pub const ASKED_METRICS: [&str; 3] = [REQUESTS, DURATION, USERS];
/// The event that marks a phase of the load; held to the contract like [`ASKED_METRICS`].
pub const PHASE_EVENT: &str = "load.phase";
/// The attribute that names a phase.
pub const PHASE_NAME: &str = "load.phase.name";
/// The attribute by which requests are split.
pub const STATUS: &str = "http.response.status_code";

const REQUESTS: &str = "signalbox.requests";
const DURATION: &str = "http.server.request.duration";
const USERS: &str = "active_simulated_users";
/// How far back a rate looks, in milliseconds.
const WINDOW_MS: u64 = 4000;

/// Asks the console over HTTP.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    console: String,
    token: Option<String>,
    client: reqwest::Client,
}

impl Asker {
    /// For the console at an address.
    pub(super) fn new(console: &str, token: Option<String>) -> reqwest::Result<Self> {
        // Addresses are this machine's own: a proxy of the environment must not see them.
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
        Ok(Self { console: console.to_owned(), token, client })
    }

    /// Whether an address answers 2xx.
    pub(super) async fn answers(&self, url: &str) -> bool {
        self.client.get(url).send().await.is_ok_and(|response| response.status().is_success())
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let mut request = self.client.get(format!("{}/api/v1/{path}", self.console)).query(query);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }

    /// How many signals the console has received.
    pub(super) async fn received(&self) -> f64 {
        let Some(status) = self.ask("status", &[]).await else { return 0.0 };
        let received = |signal: &str| status["signals"][signal]["received"].as_f64().unwrap_or_default();
        received("spans") + received("logs") + received("points")
    }

    /// One line of progress; `None` when the console does not answer.
    pub(super) async fn progress(&self) -> Option<String> {
        let status = self.ask("status", &[]).await?;
        let spans = status["signals"]["spans"]["stored"].as_u64()?;
        let (mut rate, mut errors) = (None, 0.0);
        for (labels, mean) in self.recent(REQUESTS, "rate", STATUS).await.unwrap_or_default() {
            *rate.get_or_insert(0.0) += mean;
            if labels[STATUS].to_string().trim_matches('"').starts_with('5') {
                errors += mean;
            }
        }
        let p95 = self.recent(DURATION, "p95", "").await.and_then(|series| Some(series.first()?.1 * 1000.0));
        let service = facts::program("load").service_name.as_deref().unwrap_or_default();
        let users = self.ask("metrics/series", &[("name", USERS), ("service", service)]).await;
        let users = users.and_then(|answer| answer["series"][0]["last"]["value"].as_f64());
        let shown = |value: Option<f64>, unit: &str| value.map_or("-".to_owned(), |value| format!("{value:.0}{unit}"));
        Some(format!(
            "{:>6} requests/s   p95 {:>8}   {:>6} server errors/s   {:>4} users   {spans} spans kept",
            shown(rate, ""),
            shown(p95, " ms"),
            rate.map_or("-".to_owned(), |_| format!("{errors:.1}")),
            shown(users, ""),
        ))
    }

    /// Labels and mean over the last seconds of each series.
    async fn recent(&self, metric: &str, function: &str, by: &str) -> Option<Vec<(Value, f64)>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis() as u64;
        let (from, to) = ((now - WINDOW_MS).to_string(), now.to_string());
        let mut query = vec![("name", metric), ("fn", function), ("from_unix_ms", &from), ("to_unix_ms", &to)];
        query.push(("step_ms", "1000"));
        if !by.is_empty() {
            query.push(("by", by));
        }
        let answer = self.ask("metrics/range", &query).await?;
        let mean = |series: &Value| {
            let values = series["points"].as_array()?.iter().filter_map(|point| point[1].as_f64()).collect::<Vec<_>>();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let series = answer["series"].as_array()?;
        Some(series.iter().filter_map(|series| Some((series["labels"].clone(), mean(series)?))).collect())
    }

    /// Whether the load has gone through a spike and into the next phase.
    pub(super) async fn spike_is_over(&self) -> bool {
        let Some(answer) = self.ask("logs", &[("event", PHASE_EVENT), ("limit", "100")]).await else { return false };
        let logs = answer["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Newest first: a spike anywhere but at the front has ended.
        logs.iter().skip(1).any(|log| log["attributes"][PHASE_NAME].as_str().is_some_and(|name| name.contains("spike")))
    }
}
