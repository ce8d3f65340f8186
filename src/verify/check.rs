//! One check: a name and a future that waits for a signal to become visible. Used by `contract`, `traffic` and the
//! report. What is promised must not be written here.

use std::time::{Duration, Instant};

use futures_util::future::{FutureExt, LocalBoxFuture};

use super::backends::BackendError;

/// Pause between two looks at the backend.
const PAUSE: Duration = Duration::from_millis(100);

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
    /// How it ended.
    pub(crate) verdict: Verdict,
}

/// A check to be made.
pub(crate) struct Check<'a> {
    /// What is promised.
    pub(crate) name: String,
    /// Makes the check.
    pub(crate) verdict: LocalBoxFuture<'a, Verdict>,
}

impl<'a> Check<'a> {
    /// A check that looks until it finds or `within` has passed; its time counts from `since`.
    pub(crate) fn new<L>(name: impl Into<String>, since: Instant, within: Duration, look: L) -> Self
    where
        L: AsyncFnMut() -> Result<Finding, BackendError> + 'a,
    {
        Self { name: name.into(), verdict: until(since, within, look).boxed_local() }
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
