//! Samples this process's CPU time and pushes what was sampled: one thread, one request an interval. Made by
//! [`super::Profiler`]. The sampler is the crate `pyroscope`'s; its own agent is not used, because it counts no loss.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header;
use prost::Message;
use pyroscope::backend::{
    BackendConfig, BackendImpl, BackendReady, PprofConfig, Report, ReportData, StackFrame, Tag, pprof_backend,
};
use pyroscope::encode::r#gen::push::{PushRequest, RawProfileSeries, RawSample};
use pyroscope::encode::r#gen::types::LabelPair;
use pyroscope::encode::pprof::encode;
use tokio::time::Instant;

use super::{ProfileReport, Settings, marks};
use crate::telemetry::names::{attr, prometheus};
use crate::telemetry::otlp;
use crate::telemetry::self_report::{SelfReport, TARGET};
use crate::telemetry::stats::Stats;
use crate::telemetry::worker::{self, Handle, Work};

/// Path of Pyroscope's push API below its URL.
const PATH: [&str; 2] = ["push.v1.PusherService", "Push"];
/// Longest a push may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Losses are said at most this often.
const PAUSE: Duration = Duration::from_secs(60);

/// The sampler and its thread.
#[derive(Debug)]
pub(super) struct Agent {
    handle: Handle,
    stats: Arc<Stats>,
}

impl Agent {
    /// Starts sampling.
    pub(super) fn start(settings: Settings) -> Result<Self, String> {
        let config = PprofConfig { sample_rate: settings.rate };
        let sampler = pprof_backend(config, BackendConfig::default()).initialize().map_err(|e| e.to_string())?;
        let stats = Arc::<Stats>::default();
        let counts = Arc::clone(&stats);
        let period = settings.interval;
        // The thread's own report is of spans, logs and points; this one says its losses itself.
        let handle = worker::spawn("profiles", period, Arc::new(SelfReport::default()), move || Pusher {
            client: otlp::http_client(settings.url.as_str()),
            settings,
            sampler,
            since: SystemTime::now(),
            losses: Losses { stats: Arc::clone(&counts), said: 0, last: None },
            stats: counts,
        });
        let handle = handle.map_err(|error| error.to_string())?;
        marks::switch(true);
        Ok(Self { handle, stats })
    }

    /// The last push, cut off at the deadline.
    pub(super) async fn shutdown(self, deadline: Duration) -> ProfileReport {
        marks::switch(false);
        self.handle.close(Instant::now() + deadline);
        let handle = self.handle;
        // A blocking thread: the program's runtime may have but one thread, and it must go on meanwhile.
        let ended = tokio::task::spawn_blocking(move || handle.wait(deadline + Duration::from_millis(500)));
        // What did not end in time is counted as lost below.
        let _ = ended.await;
        let pushed = self.stats.delivered();
        ProfileReport { pushed, lost: self.stats.emitted().saturating_sub(pushed) }
    }
}

/// The thread's work.
struct Pusher {
    settings: Settings,
    client: Result<reqwest::Client, &'static str>,
    sampler: BackendImpl<BackendReady>,
    /// When the samples that are to come began.
    since: SystemTime,
    stats: Arc<Stats>,
    losses: Losses,
}

impl Work for Pusher {
    async fn ready(&self) {
        std::future::pending().await
    }

    async fn drain(&mut self) {
        let ended = marks::ended();
        let reports = match self.sampler.report().map(|batch| batch.data) {
            Ok(ReportData::Reports(reports)) => reports,
            // No other kind comes from a CPU sampler.
            Ok(ReportData::RawPprof(_)) => Vec::new(),
            // The samples and their marks stay for the next turn.
            Err(error) => {
                marks::keep(ended);
                tracing::warn!(target: TARGET, error = %error, "the profiler could not be read");
                return;
            }
        };
        let (from, until) = (self.since, SystemTime::now());
        self.since = until;
        let (reports, samples) = labelled(reports);
        marks::release(ended);
        if samples > 0 {
            self.stats.emit(samples);
            self.stats.start(samples);
            let body = self.body(&reports, from, until);
            let outcome = self.send(body).await;
            self.stats.finish(outcome.map(|()| 0));
        }
        self.losses.tell(PAUSE);
    }

    fn close(&mut self) {
        self.stats.finish(Err("shutdown".to_owned()));
        self.losses.tell(Duration::ZERO);
    }
}

impl Pusher {
    fn body(&self, reports: &Vec<Report>, from: SystemTime, until: SystemTime) -> Vec<u8> {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let start = nanos(from.duration_since(UNIX_EPOCH).unwrap_or_default());
        let length = nanos(until.duration_since(from).unwrap_or_default());
        let raw_profile = encode(reports, self.settings.rate, start, length).encode_to_vec();
        let pair = |name: &str, value: &str| LabelPair { name: name.to_owned(), value: value.to_owned() };
        let labels = vec![pair("__name__", "process_cpu"), pair("service_name", &self.settings.service)];
        let samples = vec![RawSample { raw_profile, id: String::new() }];
        let request = PushRequest { series: vec![RawProfileSeries { labels, samples }] };
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        // Writing to a Vec cannot fail.
        let _ = encoder.write_all(&request.encode_to_vec());
        encoder.finish().unwrap_or_default()
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), String> {
        let client = self.client.as_ref().map_err(|reason| (*reason).to_owned())?;
        let mut url = self.settings.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(PATH);
        }
        let mut request = client
            .post(url)
            .timeout(TIMEOUT)
            .header(header::CONTENT_TYPE, "application/proto")
            .header(header::CONTENT_ENCODING, "gzip");
        if let Some(authorization) = &self.settings.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let reason = |error: reqwest::Error| if error.is_timeout() { "timeout" } else { "connection" }.to_owned();
        let status = request.body(body).send().await.map_err(reason)?.status();
        if status.is_success() { Ok(()) } else { Err(status.as_u16().to_string()) }
    }
}

fn ours(frame: &StackFrame) -> bool {
    // The sampler has the file's whole path there.
    marks::is_ours(frame.name.as_deref(), frame.relative_path.as_deref())
}

/// The samples with their spans' labels and without the marks; and how many there are.
fn labelled(reports: Vec<Report>) -> (Vec<Report>, u64) {
    let mut labelled = Report::new(HashMap::new());
    let mut samples = 0;
    let route = prometheus::label(attr::HTTP_ROUTE);
    for (mut stack, count) in reports.into_iter().flat_map(|report| report.data) {
        samples += count as u64;
        let functions = stack.frames.iter().filter_map(|frame| frame.name.as_deref());
        if let Some(marked) = marks::of(functions) {
            // From the runtime down to the mark every request has the same frames, cut off where the stack is deep: the
            // span's name stands for them.
            if let Some(mark) = stack.frames.iter().position(ours) {
                stack.frames.truncate(mark);
                stack.frames.push(StackFrame { name: Some(marked.name.clone()), ..StackFrame::default() });
            }
            let mut tag = |key: &str, value: String| stack.metadata.add_tag(Tag::new(key.to_owned(), value));
            // Pyroscope keeps `span_id` apart from the series' labels, so its many values cost no series.
            tag("span_id", marked.span_id.to_string());
            tag("span_name", marked.name.clone());
            if let Some(value) = &marked.route {
                tag(&route, value.clone());
            }
        }
        stack.frames.retain(|frame| !ours(frame));
        // Threads of the runtime are interchangeable: equal stacks are one.
        stack.thread_id = None;
        stack.thread_name = None;
        labelled.record_with_count(stack, count);
    }
    (vec![labelled], samples)
}

/// Says on the process's own lines, never over OTLP, how many samples were lost.
struct Losses {
    stats: Arc<Stats>,
    said: u64,
    last: Option<Instant>,
}

impl Losses {
    fn tell(&mut self, pause: Duration) {
        let lost = self.stats.lost();
        if lost == self.said || self.last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        let reasons = self.stats.failed().into_keys().collect::<Vec<_>>().join(",");
        tracing::warn!(target: TARGET, samples_lost = lost - self.said, samples_lost_total = lost, reasons, "profiles were lost");
        (self.said, self.last) = (lost, Some(Instant::now()));
    }
}
