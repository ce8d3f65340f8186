//! Prints outcomes: a line a check, one JSON document, or `JUnit` XML. Called by `verify::run`; judges nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::check::{Outcome, Signal, Verdict};

/// How many checks ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Found.
    pub(crate) passed: usize,
    /// Missing.
    pub(crate) failed: usize,
    /// Not made.
    pub(crate) skipped: usize,
}

impl Summary {
    /// Counts outcomes.
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let mut summary = Self::default();
        for outcome in outcomes {
            match outcome.verdict {
                Verdict::Passed(_) => summary.passed += 1,
                Verdict::Failed(_) => summary.failed += 1,
                Verdict::Skipped(_) => summary.skipped += 1,
            }
        }
        summary
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "verify: {} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(f, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

/// How soon a signal was visible, from its request to the look that found it, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Delay {
    signal: Signal,
    checks: usize,
    p95_s: f64,
    slowest_s: f64,
}

/// How soon each signal was visible.
pub(crate) fn delays(outcomes: &[Outcome]) -> Vec<Delay> {
    let mut times = BTreeMap::<Signal, Vec<f64>>::new();
    for outcome in outcomes {
        if let (Some(signal), Verdict::Passed(after)) = (outcome.signal, &outcome.verdict) {
            times.entry(signal).or_default().push(after.as_secs_f64());
        }
    }
    let delay = |(signal, mut times): (Signal, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        // Nearest rank: 19 of 20 are not later.
        let rank = (times.len() * 95).div_ceil(100).max(1);
        let at = |rank: usize| times.get(rank - 1).copied().unwrap_or_default();
        Delay { signal, checks: times.len(), p95_s: at(rank), slowest_s: at(times.len().max(1)) }
    };
    times.into_iter().map(delay).collect()
}

impl std::fmt::Display for Delay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { signal, checks, p95_s, slowest_s } = self;
        let signal = signal.name();
        write!(f, "p95   {signal} visible after {p95_s:.2} s, the slowest of {checks} after {slowest_s:.2} s")
    }
}

/// One line of text.
pub(crate) fn line(outcome: &Outcome) -> String {
    let name = &outcome.name;
    match &outcome.verdict {
        Verdict::Passed(after) => format!("ok    {name}  visible after {:.2} s", after.as_secs_f64()),
        Verdict::Failed(missing) => format!("FAIL  {name}: {missing}"),
        Verdict::Skipped(why) => format!("skip  {name}: {why}"),
    }
}

/// One JSON document; `asked` says who was asked for what.
pub(crate) fn json(outcomes: &[Outcome], asked: &[String]) -> String {
    let summary = Summary::of(outcomes);
    let check = |outcome: &Outcome| match &outcome.verdict {
        Verdict::Passed(after) => {
            json!({"name": outcome.name, "result": "passed", "visible_after_s": after.as_secs_f64()})
        }
        Verdict::Failed(missing) => json!({"name": outcome.name, "result": "failed", "missing": missing}),
        Verdict::Skipped(why) => json!({"name": outcome.name, "result": "skipped", "why": why}),
    };
    let delay = |delay: Delay| {
        let times = json!({"checks": delay.checks, "p95_s": delay.p95_s, "slowest_s": delay.slowest_s});
        (delay.signal.name().to_owned(), times)
    };
    let document = json!({
        "passed": summary.passed, "failed": summary.failed, "skipped": summary.skipped, "asked": asked,
        "visible_after": delays(outcomes).into_iter().map(delay).collect::<serde_json::Map<String, Value>>(),
        "checks": outcomes.iter().map(check).collect::<Vec<_>>(),
    });
    format!("{document:#}")
}

/// `JUnit` XML: one suite.
pub(crate) fn junit(outcomes: &[Outcome]) -> String {
    let Summary { failed, skipped, .. } = Summary::of(outcomes);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"verify\" tests=\"{}\" \
         failures=\"{failed}\" skipped=\"{skipped}\">\n",
        outcomes.len()
    );
    for outcome in outcomes {
        let (time, inner) = match &outcome.verdict {
            Verdict::Passed(after) => (after.as_secs_f64(), String::new()),
            Verdict::Failed(missing) => (0.0, format!("<failure message=\"{}\"/>", escaped(missing))),
            Verdict::Skipped(why) => (0.0, format!("<skipped message=\"{}\"/>", escaped(why))),
        };
        let name = escaped(&outcome.name);
        // Writing to a String cannot fail.
        let _ = writeln!(xml, "<testcase classname=\"verify\" name=\"{name}\" time=\"{time:.3}\">{inner}</testcase>");
    }
    xml + "</testsuite>\n</testsuites>"
}

fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '&' => xml.push_str("&amp;"),
            '"' => xml.push_str("&quot;"),
            // XML 1.0 has no control characters but these.
            c if c.is_control() && !matches!(c, '\n' | '\t') => xml.push(' '),
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcomes() -> Vec<Outcome> {
        let signal = Some(Signal::Traces);
        let outcome = |number, name: &str, verdict| Outcome { number, name: name.to_owned(), signal, verdict };
        vec![
            outcome(0, "GET /work: server span", Verdict::Passed(Duration::from_millis(420))),
            outcome(1, "a <b>", Verdict::Failed("no \"log\" & no span".to_owned())),
            outcome(2, "spike", Verdict::Skipped("no load".to_owned())),
        ]
    }

    #[test]
    fn lines_and_summary_read_as_pinned() {
        let outcomes = outcomes();
        assert_eq!(line(&outcomes[0]), "ok    GET /work: server span  visible after 0.42 s");
        assert_eq!(line(&outcomes[1]), "FAIL  a <b>: no \"log\" & no span");
        assert_eq!(Summary::of(&outcomes).to_string(), "verify: 1 passed, 1 failed, 1 skipped");
        assert_eq!(Summary::of(&outcomes[..1]).to_string(), "verify: 1 passed, 0 failed");
    }

    #[test]
    fn the_95th_of_a_hundred_times_is_said_for_each_signal_that_was_found() {
        let after = |n: u64| Verdict::Passed(Duration::from_millis(n * 10));
        let outcome = |n: u64, signal| Outcome { number: 0, name: String::new(), signal, verdict: after(n) };
        let mut outcomes = (1..=100).rev().map(|n| outcome(n, Some(Signal::Logs))).collect::<Vec<_>>();
        outcomes.push(outcome(500, None));
        let lines = delays(&outcomes).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(lines, ["p95   logs visible after 0.95 s, the slowest of 100 after 1.00 s"]);
    }

    #[test]
    fn junit_escapes_what_xml_reserves() {
        let xml = junit(&outcomes());
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("a &lt;b&gt;") && xml.contains("no &quot;log&quot; &amp; no span"), "{xml}");
    }
}
