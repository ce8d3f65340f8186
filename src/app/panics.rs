//! Hands a panic from the hook, which sees the stack, to the request that panicked, which has the span.
//! Used by `limits`; panics outside a request go to the hook that was there before. No answer is made here.

use std::any::Any;
use std::backtrace::Backtrace;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, Once, PoisonError};

use futures_util::FutureExt;

/// Longest stack trace kept, in bytes: attributes are not the place for more.
const STACKTRACE_LIMIT: usize = 8 * 1024;

/// What is known of a panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PanicReport {
    /// The message it was given.
    pub(super) message: String,
    /// Where, and the calls that led there.
    pub(super) stacktrace: String,
}

type Slot = Arc<Mutex<Option<PanicReport>>>;

tokio::task_local! {
    static SLOT: Slot;
}

/// Installs the hook, once a process.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // The hook runs on the panicking thread before the stack unwinds: the task-local is still set.
            let caught = SLOT.try_with(|slot| {
                let location = info.location().map(|at| format!("at {at}\n")).unwrap_or_default();
                let mut stacktrace = format!("{location}{}", Backtrace::force_capture());
                stacktrace.truncate(stacktrace.floor_char_boundary(STACKTRACE_LIMIT));
                let report = PanicReport { message: message(info.payload()), stacktrace };
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
            });
            if caught.is_err() {
                previous(info);
            }
        }));
    });
}

/// Runs the future; a panic in it is an error with all that is known of it.
///
/// # Errors
/// When the future panicked.
pub(super) async fn catch<F: Future>(future: F) -> Result<F::Output, PanicReport> {
    let slot = Slot::default();
    let outcome = SLOT.scope(slot.clone(), AssertUnwindSafe(future).catch_unwind()).await;
    outcome.map_err(|payload| {
        let report = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        report.unwrap_or_else(|| PanicReport { message: message(payload.as_ref()), stacktrace: String::new() })
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_handed_over_with_message_and_stack() {
        install_hook();
        let report = catch(async {
            tokio::task::yield_now().await;
            panic!("number {}", 7)
        })
        .await
        .unwrap_err();
        assert_eq!(report.message, "number 7");
        assert!(report.stacktrace.starts_with("at src/app/panics.rs:"), "{}", report.stacktrace);
        assert!(report.stacktrace.len() <= STACKTRACE_LIMIT);
    }

    #[tokio::test]
    async fn panics_at_the_same_time_do_not_mix() {
        install_hook();
        let tasks = (0..20).map(|n| {
            tokio::spawn(catch(async move {
                tokio::task::yield_now().await;
                if n % 2 == 0 {
                    panic!("{n}");
                }
                n
            }))
        });
        for (n, task) in tasks.enumerate().collect::<Vec<_>>() {
            match task.await.unwrap() {
                Ok(value) => assert_eq!((value, n % 2), (n, 1)),
                Err(report) => assert_eq!(report.message, n.to_string()),
            }
        }
    }

    #[tokio::test]
    async fn a_future_that_ends_well_is_untouched() {
        assert_eq!(catch(async { 3 }).await, Ok(3));
    }
}
