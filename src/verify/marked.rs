//! Sends marked requests: each with its own `traceparent` and the run's id, so that its signals can be told from all
//! others. Called by `contract`. It asks the service only, never a backend.

use std::time::{Duration, Instant};

use crate::telemetry::names::{Request, VERIFY_HEADER};

use super::backends::chain;

/// Longest wait for an answer of the service.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// An answer of the service.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Body as text.
    pub(crate) body: String,
}

/// A marked request that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    /// Its trace id: 32 hex digits.
    pub(crate) trace_id: String,
    /// The id of the span that `verify` plays: 16 hex digits.
    pub(crate) span_id: String,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// When it was sent, in Unix milliseconds.
    pub(crate) sent_unix_ms: f64,
    /// The answer, or why there is none.
    pub(crate) answer: Result<Answer, String>,
}

/// Sends marked requests of one run.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    base: String,
    run_id: String,
    client: reqwest::Client,
}

impl Sender {
    /// A sender for the service at `base`.
    pub(crate) fn new(base: &str, run_id: &str) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), run_id: run_id.to_owned(), client })
    }

    /// Sends a row of the contract.
    pub(crate) async fn send_row(&self, row: &Request) -> Marked {
        self.send(row.method, row.target, None).await
    }

    /// Sends any request, with a JSON body where one is given.
    pub(crate) async fn send(&self, method: &str, target: &str, body: Option<&serde_json::Value>) -> Marked {
        let trace_id = format!("{:032x}", rand::random::<u128>().max(1));
        let span_id = format!("{:016x}", rand::random::<u64>().max(1));
        let (sent, sent_unix_ms) = (Instant::now(), super::unix_ms());
        let answer = self.answer(method, target, body, &format!("00-{trace_id}-{span_id}-01")).await;
        Marked { trace_id, span_id, sent, sent_unix_ms, answer }
    }

    async fn answer(
        &self,
        method: &str,
        target: &str,
        body: Option<&serde_json::Value>,
        traceparent: &str,
    ) -> Result<Answer, String> {
        let url = format!("{}{target}", self.base);
        let method = method.parse::<reqwest::Method>().map_err(|error| error.to_string())?;
        let mut request = self.client.request(method, &url);
        request = request.header("traceparent", traceparent).header(VERIFY_HEADER, &self.run_id);
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| format!("no answer: {}", chain(&error));
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: response.text().await.map_err(failed)? })
    }
}
