//! What the pipeline acknowledged is stored, whatever dies meanwhile: each backend by `kill -9`, the collector by SIGTERM
//! and by `kill -9`; a full disk is said, not crashed on. Counted by unique id, duplicates reported.
//! Run by `just stack-test`; the ports are fixed, so one test at a time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/sender.rs"]
mod sender;
#[path = "support/stack.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use signalbox::facts;

use sender::{Sender, Sent, trace_id};
use support::{Stack, can_run};

/// How long an outage of a backend is drawn out before and after.
const UNDER_LOAD: Duration = Duration::from_secs(5);
const RECOVERY: Duration = Duration::from_secs(60);

fn collector() -> String {
    format!("http://127.0.0.1:{}", facts::port("collector", "otlp-http"))
}

/// A number that no other run has.
fn run_id() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Every record of the sender in Loki: how often each id is there.
async fn stored_logs(stack: &Stack, since: SystemTime) -> Option<BTreeMap<u64, usize>> {
    let url = format!("{}/loki/api/v1/query_range", facts::setting("LOKI_URL"));
    let query = format!("{{service_name=\"{}\"}}", sender::SERVICE);
    let mut start = since.duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let mut found = BTreeMap::<u64, BTreeMap<String, usize>>::new();
    loop {
        let parameters =
            [("query", query.as_str()), ("direction", "forward"), ("limit", "5000"), ("start", &start.to_string())];
        let answer = stack.get(&url, &parameters).await?;
        let streams = answer["data"]["result"].as_array()?.clone();
        let entries: Vec<_> = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap().clone()).collect();
        let mut newest = start;
        for entry in &entries {
            let time = entry[0].as_str()?;
            let id = entry[1].as_str()?.strip_prefix("id=")?.get(..8)?.parse().ok()?;
            // Pages overlap: an entry is known by its time.
            found.entry(id).or_default().insert(time.to_owned(), 1);
            newest = newest.max(time.parse().ok()?);
        }
        if entries.len() < 5000 {
            break;
        }
        start = newest;
    }
    Some(found.into_iter().map(|(id, times)| (id, times.len())).collect())
}

/// Waits until every acknowledged record is in Loki; returns how many ids are there more than once.
async fn all_logs_are_stored(stack: &Stack, sent: &Sent, since: SystemTime) -> usize {
    let wanted = sent.log_ids();
    let deadline = Instant::now() + RECOVERY;
    loop {
        let stored = stored_logs(stack, since).await.unwrap_or_default();
        let missing = wanted.iter().filter(|id| !stored.contains_key(id)).collect::<Vec<_>>();
        if missing.is_empty() {
            return stored.values().filter(|times| **times > 1).count();
        }
        let few = &missing[..missing.len().min(10)];
        assert!(
            Instant::now() < deadline,
            "{} of {} records lost, such as {few:?}\n{}",
            missing.len(),
            wanted.len(),
            stack.logs()
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Spans of a trace by id: how often each is stored, in Tempo or in the console that stands in for it.
async fn stored_spans(stack: &Stack, trace: &str) -> BTreeMap<u64, usize> {
    let url = if stack.has("tempo") {
        format!("{}/api/traces/{trace}", facts::setting("TEMPO_URL"))
    } else {
        format!("{}/api/v1/traces/{trace}", facts::setting("CONSOLE_URL"))
    };
    let text = stack.get(&url, &[]).await.map(|answer| answer.to_string()).unwrap_or_default();
    let mut found = BTreeMap::new();
    for part in text.split("\"id=").skip(1) {
        *found.entry(part[..8].parse().unwrap()).or_default() += 1;
    }
    found
}

/// Waits until every span that was acknowledged after `since` is stored; returns how many are there more than once.
async fn all_spans_are_stored(stack: &Stack, sent: &Sent, run: u64, since: Instant) -> usize {
    let wanted = sent.span_ids(since);
    let mut twice = 0;
    for first in wanted.iter().filter(|id| *id % sender::BATCH == 0) {
        let trace = trace_id(run, *first);
        let ids = *first..*first + sender::BATCH;
        let whole = async || {
            let stored = stored_spans(stack, &trace).await;
            ids.clone().all(|id| stored.contains_key(&id)).then_some(stored)
        };
        let stored = stack.eventually(&format!("the spans {ids:?}"), RECOVERY, whole).await;
        twice += stored.values().filter(|times| **times > 1).count();
    }
    twice
}

/// Of points sent every 50 ms: what a batch of 200 ms and a request on its way hold, five times over.
const MOST_LOST: usize = 40;

/// Waits until every acknowledged metric point is in Prometheus; of a collector that was `killed`, but for the newest before
/// it: their queue is in memory (configs/README.md). Returns how many are lost, and the longest time between two points.
async fn points_are_stored(stack: &Stack, sent: &Sent, run: u64, killed: bool) -> (usize, Duration) {
    let wanted = sent.point_ids();
    let refused = *sent.refused_point.lock().unwrap();
    assert!(!killed || refused.is_some(), "nothing was refused: the collector was not away");
    let before: Vec<_> = wanted.iter().filter(|id| killed && Some(**id) < refused).collect();
    let query = format!("{}{{run=\"{run}\"}}[1h]", sender::GAUGE);
    stack
        .eventually("the metric points", RECOVERY, async || {
            let samples: Vec<(f64, u64)> = stack.query(&query).await?[0]["values"]
                .as_array()?
                .iter()
                .map(|sample| (sample[0].as_f64().unwrap(), sample[1].as_str().unwrap().parse().unwrap()))
                .collect();
            let stored = samples.iter().map(|(_, id)| *id).collect();
            let lost: Vec<_> = wanted.difference(&stored).collect();
            (before.ends_with(&lost) && lost.len() <= MOST_LOST).then_some(())?;
            let gap = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(0.0, f64::max);
            Some((lost.len(), Duration::from_secs_f64(gap)))
        })
        .await
}

/// Whether what a backend had taken shortly before it is killed is gone with it: the console keeps spans in memory only, and
/// Tempo 2 writes them within 15 s (docs/operations.md); Tempo 3 does at once.
fn forgets(backend: &str) -> bool {
    let version = || programs::check(Command::new(programs::find("tempo").unwrap()).arg("--version")).unwrap();
    backend == "console" || (backend == "tempo" && version().contains("version 2."))
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn a_backend_killed_under_load_loses_nothing_that_the_collector_acknowledged() {
    if !can_run(&[]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let stack = Stack::ready(state.path(), &["core", "--no-load"]);
    let traces = if stack.has("tempo") { "tempo" } else { "console" };
    for backend in ["loki", "prometheus", traces] {
        let (began, since, run) = (Instant::now(), SystemTime::now(), run_id());
        let sender = Sender::start(collector(), run, Duration::from_millis(50), 200);
        tokio::time::sleep(UNDER_LOAD).await;
        let outage = stack.signal_and_wait(backend, Signal::SIGKILL).await;
        let killed = Instant::now().checked_sub(outage).unwrap();
        tokio::time::sleep(UNDER_LOAD).await;
        let sent = sender.end().await;
        let logs_twice = all_logs_are_stored(&stack, &sent, since).await;
        let counted_from = if forgets(backend) { killed } else { began };
        let spans_twice = all_spans_are_stored(&stack, &sent, run, counted_from).await;
        let (_, gap) = points_are_stored(&stack, &sent, run, false).await;
        let spans = sent.span_ids(counted_from).len();
        println!(
            "kill -9 {backend}: out for {outage:.1?}; {} records, {spans} spans and {} metric points acknowledged, {logs_twice} \
             records and {spans_twice} spans stored more than once; {} requests refused; longest gap in the metrics {gap:.1?}",
            sent.acknowledged(),
            sent.point_ids().len(),
            sent.refused.load(SeqCst),
        );
        assert_eq!(sent.refused.load(SeqCst), 0, "{}", sent.refusal.lock().unwrap());
    }
    stack.stop();
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn a_collector_that_ends_under_load_keeps_what_it_acknowledged() {
    if !can_run(&[]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let stack = Stack::ready(state.path(), &["core", "--no-load"]);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let (began, since, run) = (Instant::now(), SystemTime::now(), run_id());
        let sender = Sender::start(collector(), run, Duration::from_millis(50), 200);
        tokio::time::sleep(UNDER_LOAD).await;
        // With Loki away the queue is full of what only the collector has.
        stack.compose(&["process", "stop", "loki"]);
        tokio::time::sleep(UNDER_LOAD).await;
        let outage = stack.signal_and_wait("collector", signal).await;
        stack.compose(&["process", "start", "loki"]);
        tokio::time::sleep(UNDER_LOAD).await;
        let sent = sender.end().await;
        let logs_twice = all_logs_are_stored(&stack, &sent, since).await;
        let spans_twice = all_spans_are_stored(&stack, &sent, run, began).await;
        let (lost, gap) = points_are_stored(&stack, &sent, run, signal == Signal::SIGKILL).await;
        println!(
            "{signal} to the collector: out for {outage:.1?}; {} records, {} spans and {} metric points acknowledged, {lost} points \
             lost, {logs_twice} records and {spans_twice} spans stored more than once; {} requests refused meanwhile; longest \
             gap in the metrics {gap:.1?}",
            sent.acknowledged(),
            sent.span_ids(began).len(),
            sent.point_ids().len(),
            sent.refused.load(SeqCst),
        );
    }
    stack.stop();
}

/// A small file system, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.0).status();
    }
}

#[tokio::test]
#[ignore = "needs the real backends: just stack-test"]
async fn a_full_disk_is_said_and_refused_and_no_crash_loop() {
    if !can_run(&[]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let queue = state.path().join("collector");
    let Some(_disk) = SmallDisk::mount(&queue) else {
        println!("not run: mount (a small disk needs root)");
        return;
    };
    let stack = Stack::ready(state.path(), &["core", "--no-load"]);
    let since = SystemTime::now();
    stack.compose(&["process", "stop", "loki"]);
    let sender = Sender::start(collector(), run_id(), Duration::from_millis(20), 4000);
    stack
        .eventually("a refusal, because the disk is full", RECOVERY, async || {
            (sender.sent.refused.load(SeqCst) > 3).then_some(())
        })
        .await;
    let sent = sender.end().await;
    let refusal = sent.refusal.lock().unwrap().clone();
    let log = stack.log("collector");
    let said = log.lines().find(|line| line.contains("no space left"));
    println!("full disk: {} records acknowledged before; senders are told: {refusal}", sent.acknowledged());
    println!("full disk: the collector's log says: {}", said.unwrap_or("nothing"));
    assert!(
        said.is_some() || refusal.contains("no space left"),
        "neither log nor answer says that the disk is full: {refusal}"
    );
    let process = stack.process("collector");
    assert_eq!((process["restarts"].as_u64(), process["is_running"].as_bool()), (Some(0), Some(true)), "{process}");
    stack.compose(&["process", "start", "loki"]);
    // Not all of what was acknowledged: the collector's queue cannot be read where it cannot be written, and passes over
    // what it could not read (exporterhelper 0.155, `getNextItem`). Counted, because it is the price of a full disk.
    let wanted = sent.log_ids();
    let arrived = async || {
        let stored = stored_logs(&stack, since).await?;
        wanted.iter().any(|id| stored.contains_key(id)).then_some(())
    };
    stack.eventually("records that were kept, with Loki back", RECOVERY, arrived).await;
    let late = Sender::start_at(1_000_000, collector(), run_id(), Duration::from_millis(100), 10);
    stack
        .eventually("acknowledgements again, with the disk drained", RECOVERY, async || {
            (late.sent.acknowledged() > 200).then_some(())
        })
        .await;
    late.end().await;
    let stored = stored_logs(&stack, since).await.unwrap_or_default();
    let lost = wanted.iter().filter(|id| !stored.contains_key(id)).count();
    println!(
        "full disk: with Loki back the collector takes again; of {} acknowledged records {lost} are lost",
        wanted.len()
    );
    stack.stop();
}
