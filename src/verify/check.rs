//! One check: a name and a future that waits for a signal to become visible. Used by `contract`, `traffic` and the
//! report. What is promised must not be written here.

use std::time::{Duration, Instant};

use futures_util::future::{FutureExt, LocalBoxFuture};

use super::backends::{BackendError, Leg};

/// Pause between two looks at the backend.
const PAUSE: Duration = Duration::from_millis(250);

/// What the time of a check measures: from a request to its signal, as somebody who looks for it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    /// Spans of a request.
    Traces,
    /// Log records of a request.
    Logs,
    /// A metric point that counts a request.
    Metrics,
    /// An exemplar that leads to a trace.
    Exemplars,
}

impl Signal {
    /// For messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Exemplars => "exemplars",
        }
    }
}

/// What one look at the backend shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is there.
    Found,
    /// What is missing; asked again until the deadline.
    Missing(String),
    /// It can never come, so waiting is pointless.
    Never(String),
    /// The check has no object here, and why.
    Pointless(String),
}

impl Finding {
    /// `Found` when `condition` holds, else `Missing` with the words of `missing`.
    pub(crate) fn when(condition: bool, missing: impl FnOnce() -> String) -> Self {
        if condition { Self::Found } else { Self::Missing(missing()) }
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Visible after this long.
    Passed(Duration),
    /// What is missing.
    Failed(String),
    /// Why it was not made.
    Skipped(String),
}

/// A check that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Place in the list of checks.
    pub(crate) number: usize,
    /// What was promised.
    pub(crate) name: String,
    /// What its time measures, where it measures something.
    pub(crate) signal: Option<Signal>,
    /// How it ended.
    pub(crate) verdict: Verdict,
}

/// A check to be made.
pub(crate) struct Check<'a> {
    /// What is promised.
    pub(crate) name: String,
    /// Legs of the stack without which it cannot be made.
    pub(crate) needs: &'static [Leg],
    /// What its time measures, where it measures something.
    pub(crate) signal: Option<Signal>,
    /// Makes the check.
    pub(crate) verdict: LocalBoxFuture<'a, Verdict>,
}

impl<'a> Check<'a> {
    /// A check that looks until it finds or `within` has passed; its time counts from `since`.
    pub(crate) fn new<L>(
        needs: &'static [Leg],
        name: impl Into<String>,
        since: Instant,
        within: Duration,
        look: L,
    ) -> Self
    where
        L: AsyncFnMut() -> Result<Finding, BackendError> + 'a,
    {
        Self { name: name.into(), needs, signal: None, verdict: until(since, within, look).boxed_local() }
    }

    /// The same; its time measures how soon a signal is visible.
    pub(crate) fn measures(self, signal: Signal) -> Self {
        Self { signal: Some(signal), ..self }
    }
}

async fn until<L>(since: Instant, within: Duration, mut look: L) -> Verdict
where
    L: AsyncFnMut() -> Result<Finding, BackendError>,
{
    let deadline = Instant::now() + within;
    loop {
        let missing = match look().await {
            Ok(Finding::Found) => return Verdict::Passed(since.elapsed()),
            Ok(Finding::Never(why)) => return Verdict::Failed(why),
            Ok(Finding::Pointless(why)) => return Verdict::Skipped(why),
            Ok(Finding::Missing(what)) => what,
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Verdict::Failed(format!("{missing} (waited {:.0} s)", within.as_secs_f64()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
