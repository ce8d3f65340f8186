//! The exporter threads: a bounded queue that refuses instead of dropping silently, and a loop that sends on time, on a
//! full batch, on flush, and for the last time at shutdown, cut off at the deadline. Used by `pipeline` alone.
//!
//! Each signal has its own thread with its own runtime, so exports go on while the program's runtime is blocked or gone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::otlp::Transport;
use super::self_report::SelfReport;
use super::stats::Stats;

/// Records that wait for export.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    closed: AtomicBool,
    capacity: usize,
    batch: usize,
    ready: Notify,
    stats: Arc<Stats>,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize, batch: usize, stats: Arc<Stats>) -> Self {
        let (items, closed, ready) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Self { items, closed, capacity, batch, ready, stats }
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record, or counts it as lost.
    pub(super) fn push(&self, item: T) {
        self.stats.emit(1);
        let mut items = self.items();
        if self.closed.load(SeqCst) {
            self.stats.refuse("shutdown", 1);
        } else if items.len() >= self.capacity {
            self.stats.refuse("queue_full", 1);
        } else {
            items.push_back(item);
            if items.len() >= self.batch {
                self.ready.notify_one();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items().len()
    }

    fn take(&self) -> Vec<T> {
        let mut items = self.items();
        let n = items.len().min(self.batch);
        items.drain(..n).collect()
    }

    fn close(&self) {
        let mut items = self.items();
        self.closed.store(true, SeqCst);
        self.stats.refuse("shutdown", items.len() as u64);
        items.clear();
    }
}

/// What a thread does at each turn.
pub(super) trait Work {
    /// Resolves when there is enough to send before the next tick.
    fn ready(&self) -> impl Future<Output = ()>;
    /// Sends all there is.
    fn drain(&mut self) -> impl Future<Output = ()>;
    /// Counts what is left as lost. Nothing is taken afterwards.
    fn close(&mut self);
}

/// Sends a queue in batches.
pub(super) struct Batches<T, E> {
    pub(super) queue: Arc<Queue<T>>,
    /// A batch as the bytes of its request.
    pub(super) encode: E,
    pub(super) transport: Result<Transport, String>,
    pub(super) timeout: Duration,
}

impl<T, E: Fn(Vec<T>) -> Vec<u8>> Work for Batches<T, E> {
    async fn ready(&self) {
        self.queue.ready.notified().await;
    }

    async fn drain(&mut self) {
        loop {
            let batch = self.queue.take();
            if batch.is_empty() {
                return;
            }
            let stats = &self.queue.stats;
            stats.start(batch.len() as u64);
            let outcome = match &mut self.transport {
                Ok(transport) => transport.send((self.encode)(batch), self.timeout).await,
                Err(error_type) => Err(error_type.clone()),
            };
            stats.finish(outcome);
        }
    }

    fn close(&mut self) {
        self.queue.stats.finish(Err("shutdown".to_owned()));
        self.queue.close();
    }
}

/// Steers a thread from outside.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    deadline: watch::Sender<Option<Instant>>,
    flush: mpsc::UnboundedSender<std_mpsc::Sender<()>>,
    done: Arc<(Mutex<bool>, Condvar)>,
}

impl Handle {
    /// Asks for the last export, which is cut off at the deadline. The first deadline holds.
    pub(super) fn close(&self, deadline: Instant) {
        self.deadline.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(deadline);
            }
            first
        });
    }

    /// Blocks until the thread has ended; `false` when it has not in time.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let (done, changed) = &*self.done;
        let done = done.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, _) = changed.wait_timeout_while(done, limit, |done| !*done).unwrap_or_else(PoisonError::into_inner);
        *done
    }

    /// Blocks until all that is waiting was sent or lost.
    pub(super) fn flush(&self) -> OTelSdkResult {
        let (reply, replied) = std_mpsc::channel();
        self.flush.send(reply).map_err(|_| OTelSdkError::AlreadyShutdown)?;
        replied.recv().map_err(|_| OTelSdkError::AlreadyShutdown)
    }

    /// Closes and waits, as the SDK's processors and readers must.
    pub(super) fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        self.close(Instant::now() + timeout);
        // The thread needs a moment after the deadline to count what it lost.
        if self.wait(timeout + Duration::from_millis(500)) { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }
}

/// Starts a thread; `work` is made inside its runtime.
pub(super) fn spawn<W: Work>(
    name: &str,
    period: Duration,
    report: Arc<SelfReport>,
    work: impl FnOnce() -> W + Send + 'static,
) -> std::io::Result<Handle> {
    let (deadline, closing) = watch::channel(None);
    let (flush, flushes) = mpsc::unbounded_channel();
    let done = Arc::new((Mutex::new(false), Condvar::new()));
    let guard = Done(Arc::clone(&done));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = guard;
        // What the transport itself logs must not be exported: that would feed on itself.
        let _quiet = Context::enter_telemetry_suppressed_scope();
        runtime.block_on(async move { run(work(), period, closing, flushes, &report).await });
        // A name look-up that hangs must not hold the shutdown up.
        runtime.shutdown_background();
    })?;
    Ok(Handle { deadline, flush, done })
}

async fn run<W: Work>(
    mut work: W,
    period: Duration,
    mut closing: watch::Receiver<Option<Instant>>,
    mut flushes: mpsc::UnboundedReceiver<std_mpsc::Sender<()>>,
    report: &SelfReport,
) {
    let mut deadline = closing.clone();
    let deadline = async move {
        let at = deadline.wait_for(Option::is_some).await.ok().and_then(|at| *at);
        sleep_until(at.unwrap_or_else(Instant::now)).await;
    };
    let turns = async {
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut last = false;
            let mut waiting = None;
            tokio::select! {
                _ = ticks.tick() => {}
                () = work.ready() => {}
                Some(reply) = flushes.recv() => waiting = Some(reply),
                // Also when every handle is gone: then nobody can ask any more.
                _ = closing.wait_for(Option::is_some) => last = true,
            }
            work.drain().await;
            report.tick();
            if let Some(reply) = waiting {
                // Nobody may be waiting any more.
                let _ = reply.send(());
            }
            if last {
                return;
            }
        }
    };
    tokio::select! {
        () = turns => {}
        () = deadline => {}
    }
    work.close();
}

/// Says that the thread has ended, also after a panic.
struct Done(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Done {
    fn drop(&mut self) {
        let (done, changed) = &*self.0;
        *done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }
}
