//! Sends log records, spans and metric points with unique ids to the collector and remembers which it acknowledged. Used by
//! `tests/stack_faults.rs`; what becomes of them is the test's business.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

/// `service.name` of what is sent.
pub(crate) const SERVICE: &str = "fault-sender";
/// The gauge whose points are sent, as Prometheus names it; its `run` tells runs apart.
pub(crate) const GAUGE: &str = "fault_sender_id";
/// Records and spans of one request.
pub(crate) const BATCH: u64 = 20;

/// What a sender saw.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Ids of acknowledged records, with the moment of the acknowledgement.
    pub(crate) logs: Mutex<Vec<(u64, Instant)>>,
    /// Ids of acknowledged spans.
    pub(crate) spans: Mutex<Vec<(u64, Instant)>>,
    /// Ids of acknowledged points: the first id of each batch.
    pub(crate) points: Mutex<Vec<(u64, Instant)>>,
    /// The first point that was refused or not answered.
    pub(crate) refused_point: Mutex<Option<u64>>,
    /// Requests that were refused or not answered.
    pub(crate) refused: AtomicU64,
    /// The newest refusal, for a message.
    pub(crate) refusal: Mutex<String>,
    ended: AtomicBool,
}

/// A sender at work.
pub(crate) struct Sender {
    pub(crate) sent: Arc<Sent>,
    task: tokio::task::JoinHandle<()>,
}

/// The trace that a span lies in: one a batch.
pub(crate) fn trace_id(run: u64, id: u64) -> String {
    format!("{run:016x}{:016x}", id / BATCH + 1)
}

fn now() -> String {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string()
}

fn resource() -> serde_json::Value {
    json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": SERVICE } }] })
}

/// OTLP/JSON with one batch of records; `padding` bytes more in each.
fn logs(first: u64, padding: usize) -> serde_json::Value {
    let record = |id: u64| {
        let body = format!("id={id:08} {}", "x".repeat(padding));
        json!({ "timeUnixNano": now(), "severityNumber": 9, "severityText": "INFO", "body": { "stringValue": body } })
    };
    let records = (first..first + BATCH).map(record).collect::<Vec<_>>();
    json!({ "resourceLogs": [{ "resource": resource(), "scopeLogs": [{ "logRecords": records }] }] })
}

/// OTLP/JSON with one batch of spans.
fn spans(run: u64, first: u64) -> serde_json::Value {
    let span = |id: u64| {
        json!({ "traceId": trace_id(run, id), "spanId": format!("{:016x}", id + 1), "name": format!("id={id:08}"),
                "kind": 2, "startTimeUnixNano": now(), "endTimeUnixNano": now() })
    };
    let spans = (first..first + BATCH).map(span).collect::<Vec<_>>();
    json!({ "resourceSpans": [{ "resource": resource(), "scopeSpans": [{ "spans": spans }] }] })
}

/// OTLP/JSON with one point of a gauge whose value is the id.
fn point(run: u64, id: u64) -> serde_json::Value {
    let attributes = json!([{ "key": "run", "value": { "stringValue": run.to_string() } }]);
    let point = json!({ "timeUnixNano": now(), "asDouble": id, "attributes": attributes });
    let gauge = json!({ "name": GAUGE, "gauge": { "dataPoints": [point] } });
    json!({ "resourceMetrics": [{ "resource": resource(), "scopeMetrics": [{ "metrics": [gauge] }] }] })
}

impl Sender {
    /// Sends a batch of each kind every `every`, each once, until ended. `run` makes the trace ids this run's own.
    pub(crate) fn start(collector: String, run: u64, every: Duration, padding: usize) -> Self {
        Self::start_at(0, collector, run, every, padding)
    }

    /// The same with ids from `first` on.
    pub(crate) fn start_at(mut first: u64, collector: String, run: u64, every: Duration, padding: usize) -> Self {
        let sent = Arc::new(Sent::default());
        let shared = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
            while !shared.ended.load(SeqCst) {
                let pause = tokio::time::sleep(every);
                let logs = post(&client, format!("{collector}/v1/logs"), logs(first, padding));
                let spans = post(&client, format!("{collector}/v1/traces"), spans(run, first));
                let point = post(&client, format!("{collector}/v1/metrics"), point(run, first));
                let (logs, spans, point) = tokio::join!(logs, spans, point);
                if point.is_err() {
                    shared.refused_point.lock().unwrap().get_or_insert(first);
                }
                for (outcome, ids, sent) in
                    [(logs, &shared.logs, BATCH), (spans, &shared.spans, BATCH), (point, &shared.points, 1)]
                {
                    match outcome {
                        Ok(()) => ids.lock().unwrap().extend((first..first + sent).map(|id| (id, Instant::now()))),
                        Err(why) => {
                            shared.refused.fetch_add(1, SeqCst);
                            *shared.refusal.lock().unwrap() = why;
                        }
                    }
                }
                first += BATCH;
                pause.await;
            }
        });
        Self { sent, task }
    }

    /// Stops sending.
    pub(crate) async fn end(self) -> Arc<Sent> {
        self.sent.ended.store(true, SeqCst);
        self.task.await.unwrap();
        self.sent
    }
}

impl Sent {
    /// Ids of the records that were acknowledged.
    pub(crate) fn log_ids(&self) -> BTreeSet<u64> {
        self.logs.lock().unwrap().iter().map(|(id, _)| *id).collect()
    }

    /// Ids of the spans that were acknowledged after `since`.
    pub(crate) fn span_ids(&self, since: Instant) -> BTreeSet<u64> {
        self.spans.lock().unwrap().iter().filter(|(_, at)| *at > since).map(|(id, _)| *id).collect()
    }

    /// Ids of the metric points that were acknowledged.
    pub(crate) fn point_ids(&self) -> BTreeSet<u64> {
        self.points.lock().unwrap().iter().map(|(id, _)| *id).collect()
    }

    /// Acknowledged records so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.logs.lock().unwrap().len()
    }
}

async fn post(client: &reqwest::Client, url: String, body: serde_json::Value) -> Result<(), String> {
    let answer = client.post(url).json(&body).send().await.map_err(|error| format!("{error:?}"))?;
    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
    // A partial success names what was rejected.
    if status.is_success() && !text.contains("rejected") { Ok(()) } else { Err(format!("{status}: {text}")) }
}
