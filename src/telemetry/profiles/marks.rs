//! Which span a sample belongs to: each poll of a request goes through three functions whose names spell a number, so
//! the stack that the sampler takes carries it. Called by `app::request_telemetry` (marks) and `agent` (reads them).
//! No sampling and no sending here.
//!
//! Labels by thread, which profilers offer, would have to be set and unset around every poll, each time emptying the
//! sampler's buffer under its lock; a stack costs nothing until a sample is taken, and is exact by nature.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use opentelemetry::SpanId;

/// Name of a function that spells a digit, before its two hex digits. With debug information a name comes without its
/// path, so it says all by itself.
#[cfg(any(feature = "pyroscope", test))]
const DIGIT: &str = "signalbox_mark_";
/// Part of the path of every other function in here.
#[cfg(feature = "pyroscope")]
const MODULE: &str = "telemetry::profiles::marks::";
/// Functions, so the base of the numbers.
const BASE: u32 = 64;
/// Most requests marked between two pushes, 262,144: what three digits spell.
const MOST: usize = (BASE * BASE * BASE) as usize;

/// The span that a mark stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Its id.
    pub span_id: SpanId,
    /// Its name.
    pub name: String,
    /// `http.route`, where one matched.
    pub route: Option<String>,
}

/// Marks in use. One that ended keeps its meaning until the samples taken before are read.
#[derive(Debug)]
struct Slots {
    spans: Vec<Option<Arc<Marked>>>,
    free: Vec<u32>,
    ended: Vec<u32>,
}

static ON: AtomicBool = AtomicBool::new(false);
static SLOTS: Mutex<Slots> = Mutex::new(Slots { spans: Vec::new(), free: Vec::new(), ended: Vec::new() });

fn slots() -> MutexGuard<'static, Slots> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a profiler runs.
pub fn on() -> bool {
    ON.load(Relaxed)
}

#[cfg(feature = "pyroscope")]
pub(super) fn switch(on: bool) {
    ON.store(on, Relaxed);
}

/// A span's mark; dropped when its work has ended.
#[derive(Debug)]
pub struct Mark(u32);

impl Mark {
    /// A mark for a span; `None` when all are in use.
    pub fn new(marked: Marked) -> Option<Self> {
        let mut slots = slots();
        let marked = Some(Arc::new(marked));
        if let Some(slot) = slots.free.pop() {
            slots.spans[slot as usize] = marked;
            Some(Self(slot))
        } else if slots.spans.len() < MOST {
            slots.spans.push(marked);
            u32::try_from(slots.spans.len() - 1).ok().map(Self)
        } else {
            None
        }
    }

    /// The future, with the mark on the stack of each poll.
    pub async fn on<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        let digits = digits(self.0);
        poll_fn(|context| {
            let mut polled = Poll::Pending;
            step(&digits, &mut || polled = future.as_mut().poll(context));
            polled
        })
        .await
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        slots().ended.push(self.0);
    }
}

/// The marks that ended before the samples are read: nothing sampled later can carry them.
#[cfg(feature = "pyroscope")]
pub(super) fn ended() -> Vec<u32> {
    std::mem::take(&mut slots().ended)
}

/// Keeps marks whose samples could not be read.
#[cfg(feature = "pyroscope")]
pub(super) fn keep(ended: Vec<u32>) {
    slots().ended.extend(ended);
}

/// Frees marks for other spans, once the samples were read.
#[cfg(feature = "pyroscope")]
pub(super) fn release(ended: Vec<u32>) {
    let mut slots = slots();
    for slot in &ended {
        slots.spans[*slot as usize] = None;
    }
    slots.free.extend(ended);
}

/// The span whose mark is on a stack, given the names of its functions from the leaf on.
#[cfg(any(feature = "pyroscope", test))]
pub(super) fn of<'a>(functions: impl Iterator<Item = &'a str>) -> Option<Arc<Marked>> {
    let mut digits = functions.filter_map(digit);
    let (low, middle, high) = (digits.next()?, digits.next()?, digits.next()?);
    slots().spans.get(((high * BASE + middle) * BASE + low) as usize).cloned().flatten()
}

/// Whether a frame is of this file, so none of the program's work. With debug information it is known by its file.
#[cfg(feature = "pyroscope")]
pub(super) fn is_ours(function: Option<&str>, file: Option<&str>) -> bool {
    function.is_some_and(|name| name.contains(DIGIT) || name.contains(MODULE))
        || file.is_some_and(|path| path.ends_with("telemetry/profiles/marks.rs"))
}

#[cfg(any(feature = "pyroscope", test))]
fn digit(function: &str) -> Option<u32> {
    let (_, rest) = function.split_once(DIGIT)?;
    u32::from_str_radix(rest.get(..2)?, 16).ok().filter(|digit| *digit < BASE)
}

/// The number's digits, the highest first: outermost on the stack.
#[allow(clippy::cast_possible_truncation, reason = "each is below 64")]
const fn digits(slot: u32) -> [u8; 3] {
    [(slot / BASE / BASE % BASE) as u8, (slot / BASE % BASE) as u8, (slot % BASE) as u8]
}

#[inline(always)]
fn step(rest: &[u8], run: &mut dyn FnMut()) {
    match rest.split_first() {
        Some((digit, rest)) => DIGITS[usize::from(*digit) % DIGITS.len()](rest, run),
        None => run(),
    }
}

macro_rules! digits {
    ($($name:ident $value:literal)*) => {
        $(
            // Never inlined, and unlike its siblings after the call: else the compiler could fold all into one, or leave
            // the frame by a jump.
            #[inline(never)]
            fn $name(rest: &[u8], run: &mut dyn FnMut()) {
                step(rest, run);
                black_box($value);
            }
        )*
        static DIGITS: [fn(&[u8], &mut dyn FnMut()); BASE as usize] = [$($name),*];
    };
}

digits! {
    signalbox_mark_00 0 signalbox_mark_01 1 signalbox_mark_02 2 signalbox_mark_03 3 signalbox_mark_04 4 signalbox_mark_05 5 signalbox_mark_06 6 signalbox_mark_07 7
    signalbox_mark_08 8 signalbox_mark_09 9 signalbox_mark_0a 10 signalbox_mark_0b 11 signalbox_mark_0c 12 signalbox_mark_0d 13 signalbox_mark_0e 14 signalbox_mark_0f 15
    signalbox_mark_10 16 signalbox_mark_11 17 signalbox_mark_12 18 signalbox_mark_13 19 signalbox_mark_14 20 signalbox_mark_15 21 signalbox_mark_16 22 signalbox_mark_17 23
    signalbox_mark_18 24 signalbox_mark_19 25 signalbox_mark_1a 26 signalbox_mark_1b 27 signalbox_mark_1c 28 signalbox_mark_1d 29 signalbox_mark_1e 30 signalbox_mark_1f 31
    signalbox_mark_20 32 signalbox_mark_21 33 signalbox_mark_22 34 signalbox_mark_23 35 signalbox_mark_24 36 signalbox_mark_25 37 signalbox_mark_26 38 signalbox_mark_27 39
    signalbox_mark_28 40 signalbox_mark_29 41 signalbox_mark_2a 42 signalbox_mark_2b 43 signalbox_mark_2c 44 signalbox_mark_2d 45 signalbox_mark_2e 46 signalbox_mark_2f 47
    signalbox_mark_30 48 signalbox_mark_31 49 signalbox_mark_32 50 signalbox_mark_33 51 signalbox_mark_34 52 signalbox_mark_35 53 signalbox_mark_36 54 signalbox_mark_37 55
    signalbox_mark_38 56 signalbox_mark_39 57 signalbox_mark_3a 58 signalbox_mark_3b 59 signalbox_mark_3c 60 signalbox_mark_3d 61 signalbox_mark_3e 62 signalbox_mark_3f 63
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64) -> Marked {
        Marked { span_id: SpanId::from(id), name: format!("GET /{id}"), route: None }
    }

    fn stack(slot: u32) -> Vec<String> {
        let mut names: Vec<_> = digits(slot).iter().map(|d| format!("{DIGIT}{d:02x}")).collect();
        names.insert(0, "main".to_owned());
        names.push("leaf".to_owned());
        names.reverse();
        names
    }

    #[test]
    fn a_stack_with_a_mark_leads_to_its_span_until_the_samples_after_its_end_were_read() {
        let (one, two) = (Mark::new(span(1)).unwrap(), Mark::new(span(2)).unwrap());
        let (first, second) = (stack(one.0), stack(two.0));
        let found = |stack: &[String]| of(stack.iter().map(String::as_str)).map(|marked| marked.name.clone());
        assert_eq!((found(&first), found(&second)), (Some("GET /1".to_owned()), Some("GET /2".to_owned())));
        drop(one);
        assert_eq!(found(&first), Some("GET /1".to_owned()), "samples of its last moments are still to come");
        assert_eq!(found(&first[..3]), None, "a stack cut off above the mark");
        drop(two);
    }

    #[test]
    fn every_function_spells_its_own_digit() {
        for (value, name) in
            [(0, "signalbox_mark_00"), (10, "signalbox::telemetry::signalbox_mark_0a"), (63, "signalbox_mark_3f")]
        {
            assert_eq!(digit(name), Some(value));
        }
        assert_eq!(digit("signalbox_mark_40"), None);
        assert_eq!(digit("digit_01"), None);
        assert_eq!(digits(64 * 64 * 5 + 64 * 6 + 7), [5, 6, 7]);
    }

    #[tokio::test]
    async fn a_marked_future_answers_what_it_would_without() {
        let mark = Mark::new(span(3)).unwrap();
        let answer = mark
            .on(async {
                tokio::task::yield_now().await;
                42
            })
            .await;
        assert_eq!(answer, 42);
    }
}
