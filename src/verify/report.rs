//! Prints outcomes: a line a check, one JSON document, or `JUnit` XML. Called by `verify::run`; judges nothing.

use std::fmt::Write as _;

use serde_json::json;

use super::check::{Outcome, Verdict};

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

/// One line of text.
pub(crate) fn line(outcome: &Outcome) -> String {
    let name = &outcome.name;
    match &outcome.verdict {
        Verdict::Passed(after) => format!("ok    {name}  visible after {:.2} s", after.as_secs_f64()),
        Verdict::Failed(missing) => format!("FAIL  {name}: {missing}"),
        Verdict::Skipped(why) => format!("skip  {name}: {why}"),
    }
}

/// One JSON document.
pub(crate) fn json(outcomes: &[Outcome]) -> String {
    let summary = Summary::of(outcomes);
    let check = |outcome: &Outcome| match &outcome.verdict {
        Verdict::Passed(after) => {
            json!({"name": outcome.name, "result": "passed", "visible_after_s": after.as_secs_f64()})
        }
        Verdict::Failed(missing) => json!({"name": outcome.name, "result": "failed", "missing": missing}),
        Verdict::Skipped(why) => json!({"name": outcome.name, "result": "skipped", "why": why}),
    };
    let document = json!({
        "passed": summary.passed, "failed": summary.failed, "skipped": summary.skipped,
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
        let outcome = |number, name: &str, verdict| Outcome { number, name: name.to_owned(), verdict };
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
    fn junit_escapes_what_xml_reserves() {
        let xml = junit(&outcomes());
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("a &lt;b&gt;") && xml.contains("no &quot;log&quot; &amp; no span"), "{xml}");
    }
}
