//! The checks of the contract: what each row of `telemetry::names` promises, looked for in a backend. Called by
//! `verify::run`. How a backend is asked belongs to `backends`, how load is judged to `traffic`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::telemetry::names::{
    Emitter, HTTP_SERVER_REQUEST_DURATION, METRICS, Metric, REQUESTS, Request, SERVICE_APP, attr,
};

use super::backends::{BackendError, Backends, Leg, LogQuery, MetricInfo, Span};
use super::check::{Check, Finding, Signal};
use super::marked::{Marked, Sender};

/// What every check needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof<'a> {
    /// The backends that are asked.
    pub(crate) backend: &'a Backends,
    /// Marks the requests of this run.
    pub(crate) run_id: &'a str,
    /// How long a check waits.
    pub(crate) within: Duration,
}

/// A row of the contract, sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// What was promised.
    pub(crate) row: &'static Request,
    /// What was sent.
    pub(crate) marked: Marked,
    /// Counts of the row's duration series before it was sent.
    counts_before: BTreeMap<String, f64>,
}

impl Sent {
    /// Name of a check of this row.
    pub(crate) fn named(&self, what: &str) -> String {
        let path = self.row.target.split('?').next().unwrap_or_default();
        format!("{} {path}: {what}", self.row.method)
    }

    /// The service's own span of this request: the one whose parent is the span that `verify` plays.
    fn server_span<'s>(&self, spans: &'s [Span]) -> Option<&'s Span> {
        spans.iter().find(|span| span.parent.as_deref() == Some(&self.marked.span_id))
    }

    /// What is wrong with the answer; nothing can then be looked for.
    pub(crate) fn wrong_answer(&self) -> Option<Finding> {
        match &self.marked.answer {
            Ok(answer) if answer.status == self.row.status => None,
            Ok(answer) => {
                let (is, promised) = (answer.status, self.row.status);
                Some(Finding::Never(format!("the service answered {is}, promised is {promised}")))
            }
            Err(why) => Some(Finding::Never(why.clone())),
        }
    }
}

/// Sends every row of the contract, one after the other.
pub(crate) async fn send_rows(backend: &Backends, sender: &Sender) -> Vec<Sent> {
    // All before the first is sent: each question in between would be time that the checks count.
    let counts = futures_util::future::join_all(REQUESTS.iter().map(|row| series_counts(backend, row))).await;
    let mut sent = Vec::new();
    for (row, counts) in REQUESTS.iter().zip(counts) {
        // Unknown before: the first point ever will do.
        let counts_before = counts.unwrap_or_default();
        sent.push(Sent { row, marked: sender.send_row(row).await, counts_before });
    }
    sent
}

/// Attributes of a row's series of `http.server.request.duration`.
fn series(row: &Request) -> [(&'static str, String); 3] {
    [
        (attr::HTTP_ROUTE, row.route.to_owned()),
        (attr::HTTP_REQUEST_METHOD, row.method.to_owned()),
        (attr::HTTP_RESPONSE_STATUS_CODE, row.status.to_string()),
    ]
}

async fn series_counts(backend: &Backends, row: &Request) -> Result<BTreeMap<String, f64>, BackendError> {
    let series = series(row);
    let points = backend.last_points(&HTTP_SERVER_REQUEST_DURATION, &borrowed(&series)).await?;
    let mut counts = BTreeMap::new();
    for point in points {
        *counts.entry(point.series).or_default() += point.count;
    }
    Ok(counts)
}

fn borrowed<'a>(attributes: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    attributes.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// Every check of one row.
pub(crate) fn row_checks<'a>(proof: Proof<'a>, sent: &'a Sent) -> Vec<Check<'a>> {
    let mut checks = vec![server_span(proof, sent)];
    checks.extend(sent.row.child_spans.iter().map(|name| child_span(proof, sent, name)));
    checks.extend(sent.row.log.map(|severity| log(proof, sent, severity)));
    if sent.row.exception {
        checks.push(exception(proof, sent));
        checks.push(opaque_body(proof, sent));
    }
    checks.push(metric_point(proof, sent));
    checks.push(exemplar(proof, sent));
    checks
}

/// A check of one row that looks at its trace; a wrong answer ends it at once.
fn on_trace<'a>(
    proof: Proof<'a>,
    sent: &'a Sent,
    what: &str,
    judge: impl Fn(&Span, &[Span]) -> Finding + 'a,
) -> Check<'a> {
    let (since, within) = (sent.marked.sent, proof.within);
    let check = Check::new(&[Leg::Traces], sent.named(what), since, within, async move || {
        if let Some(wrong) = sent.wrong_answer() {
            return Ok(wrong);
        }
        let spans = proof.backend.trace(&sent.marked.trace_id).await?;
        Ok(match sent.server_span(&spans) {
            Some(server) => judge(server, &spans),
            None => Finding::Missing(format!(
                "no span with parent {} in trace {} ({} has {} of its spans)",
                sent.marked.span_id,
                sent.marked.trace_id,
                proof.backend.traces_name(),
                spans.len()
            )),
        })
    });
    check.measures(Signal::Traces)
}

fn server_span<'a>(proof: Proof<'a>, sent: &'a Sent) -> Check<'a> {
    on_trace(proof, sent, "server span", move |span, _| {
        let has = |key: &str| span.attributes.get(key).cloned().unwrap_or_else(|| "nothing".to_owned());
        let row = sent.row;
        let status = if row.status >= 500 { "ERROR" } else { "UNSET" };
        let facts = [
            ("name", span.name.clone(), format!("{} {}", row.method, row.route)),
            ("kind", span.kind.clone(), "SERVER".to_owned()),
            ("service.name", span.service.clone(), SERVICE_APP.to_owned()),
            ("status", span.status.clone(), status.to_owned()),
            (attr::HTTP_REQUEST_METHOD, has(attr::HTTP_REQUEST_METHOD), row.method.to_owned()),
            (attr::HTTP_ROUTE, has(attr::HTTP_ROUTE), row.route.to_owned()),
            (attr::HTTP_RESPONSE_STATUS_CODE, has(attr::HTTP_RESPONSE_STATUS_CODE), row.status.to_string()),
            (attr::VERIFY_ID, has(attr::VERIFY_ID), proof.run_id.to_owned()),
        ];
        let wrong = |(what, is, promised): &(&str, String, String)| {
            (is != promised).then(|| format!("{what} is {is}, promised is {promised}"))
        };
        let wrong = facts.iter().filter_map(wrong).collect::<Vec<_>>();
        Finding::when(wrong.is_empty(), || {
            format!("span {} of trace {}: {}", span.id, sent.marked.trace_id, wrong.join("; "))
        })
    })
}

/// Whether `span` is below `ancestor`.
fn is_below(span: &Span, ancestor: &str, spans: &[Span]) -> bool {
    let mut parent = span.parent.as_deref();
    // A trace has no more levels than spans; the bound ends a cycle that a broken client sent.
    for _ in 0..=spans.len() {
        match parent {
            None => return false,
            Some(id) if id == ancestor => return true,
            Some(id) => parent = spans.iter().find(|span| span.id == id).and_then(|span| span.parent.as_deref()),
        }
    }
    false
}

fn child_span<'a>(proof: Proof<'a>, sent: &'a Sent, name: &'static str) -> Check<'a> {
    on_trace(proof, sent, &format!("child span `{name}`"), move |server, spans| {
        let Some(child) = spans.iter().find(|span| span.name == name && is_below(span, &server.id, spans)) else {
            return Finding::Missing(format!(
                "no span `{name}` below the server span in trace {}",
                sent.marked.trace_id
            ));
        };
        let is_query = name.starts_with("SELECT ");
        if is_query && !(child.kind == "CLIENT" && child.attributes.contains_key(attr::DB_SYSTEM_NAME)) {
            return Finding::Missing(format!("`{name}` is no CLIENT span with {}", attr::DB_SYSTEM_NAME));
        }
        // A call to another service: what it calls must be in the same trace, below this span.
        let crossed = || spans.iter().any(|span| span.kind == "SERVER" && span.parent.as_deref() == Some(&child.id));
        Finding::when(name != "GET" || crossed(), || "the call's own server span is not in the trace".to_owned())
    })
}

fn log<'a>(proof: Proof<'a>, sent: &'a Sent, severity: &'static str) -> Check<'a> {
    let name = sent.named(&format!("{severity} log in the same trace"));
    let check = Check::new(&[Leg::Logs], name, sent.marked.sent, proof.within, async move || {
        if let Some(wrong) = sent.wrong_answer() {
            return Ok(wrong);
        }
        let trace_id = &sent.marked.trace_id;
        let logs = proof.backend.logs_of_trace(trace_id).await?;
        let found = logs
            .iter()
            .any(|log| log.severity == severity && log.trace_id.as_ref() == Some(trace_id) && log.span_id.is_some());
        let others = logs.iter().map(|log| log.severity.as_str()).collect::<Vec<_>>().join(", ");
        Ok(Finding::when(found, || format!("no {severity} log with trace id {trace_id} (there: [{others}])")))
    });
    check.measures(Signal::Logs)
}

fn exception<'a>(proof: Proof<'a>, sent: &'a Sent) -> Check<'a> {
    on_trace(proof, sent, "exception event", move |_, spans| {
        let events = spans.iter().flat_map(|span| &span.events);
        let Some((_, attributes)) = events.into_iter().find(|(name, _)| name == "exception") else {
            return Finding::Missing(format!("no exception event in trace {}", sent.marked.trace_id));
        };
        let keys = [attr::EXCEPTION_TYPE, attr::EXCEPTION_MESSAGE, attr::EXCEPTION_STACKTRACE];
        let lacking = keys.into_iter().filter(|key| attributes.get(*key).is_none_or(String::is_empty));
        let lacking = lacking.collect::<Vec<_>>().join(", ");
        Finding::when(lacking.is_empty(), || format!("the exception event lacks {lacking}"))
    })
}

/// The body of a crash names the trace and nothing of the inside.
fn opaque_body<'a>(proof: Proof<'a>, sent: &'a Sent) -> Check<'a> {
    let name = sent.named("body has the trace id and no inside");
    Check::new(&[], name, sent.marked.sent, proof.within, async move || {
        let body = sent.marked.answer.as_ref().map(|answer| answer.body.as_str()).unwrap_or_default();
        let inside = [".rs:", "panicked", "stack backtrace"].into_iter().find(|word| body.contains(word));
        Ok(match inside {
            Some(word) => Finding::Never(format!("the body shows `{word}`")),
            None if body.contains(&sent.marked.trace_id) => Finding::Found,
            None => Finding::Never(format!("trace id {} is not in the body: {body}", sent.marked.trace_id)),
        })
    })
}

fn metric_point<'a>(proof: Proof<'a>, sent: &'a Sent) -> Check<'a> {
    let (since, within) = (sent.marked.sent, proof.within);
    let check = Check::new(&[Leg::Metrics], sent.named("metric point"), since, within, async move || {
        if let Some(wrong) = sent.wrong_answer() {
            return Ok(wrong);
        }
        let series = series(sent.row);
        let points = proof.backend.last_points(&HTTP_SERVER_REQUEST_DURATION, &borrowed(&series)).await?;
        let mut now = BTreeMap::<&str, (f64, f64)>::new();
        for point in &points {
            let (time, count) = now.entry(&point.series).or_default();
            (*time, *count) = (time.max(point.time_unix_ms), *count + point.count);
        }
        // Series by series: one of a process that has ended must not hide that a new one counts from 0.
        let before = |series: &str| sent.counts_before.get(series).copied().unwrap_or_default();
        let counted =
            now.iter().any(|(series, (time, count))| *time >= sent.marked.sent_unix_ms && *count > before(series));
        Ok(Finding::when(counted, || {
            let counts = now.iter().map(|(series, (_, count))| format!("{count}, was {} before", before(series)));
            let counts = counts.collect::<Vec<_>>().join("; ");
            format!("{} for {series:?} counts [{counts}]", HTTP_SERVER_REQUEST_DURATION.name)
        }))
    });
    check.measures(Signal::Metrics)
}

/// An exemplar of the row's series leads to a stored trace: to ours, or (a bucket keeps one exemplar, and load may have
/// written it last) to another one of the same route.
fn exemplar<'a>(proof: Proof<'a>, sent: &'a Sent) -> Check<'a> {
    const NEEDS: &[Leg] = &[Leg::Metrics, Leg::Traces];
    let name = sent.named("exemplar leads to its trace");
    let check = Check::new(NEEDS, name, sent.marked.sent, proof.within, async move || {
        if let Some(wrong) = sent.wrong_answer() {
            return Ok(wrong);
        }
        let series = series(sent.row);
        let mut ids = proof.backend.exemplars(&HTTP_SERVER_REQUEST_DURATION, &borrowed(&series)).await?;
        ids.sort_by_key(|id| *id != sent.marked.trace_id);
        for id in ids.iter().take(5) {
            let spans = proof.backend.trace(id).await?;
            let route = Some(sent.row.route);
            if spans.iter().any(|span| span.attributes.get(attr::HTTP_ROUTE).map(String::as_str) == route) {
                return Ok(Finding::Found);
            }
        }
        Ok(Finding::Missing(format!("none of {} exemplars of {series:?} has its trace stored", ids.len())))
    });
    check.measures(Signal::Exemplars)
}

/// Checks over all rows: correlation, search by attribute.
pub(crate) fn correlation_checks<'a>(proof: Proof<'a>, sent: &'a [Sent]) -> Vec<Check<'a>> {
    let since = sent.last().map_or_else(Instant::now, |sent| sent.marked.sent);
    let name = "search: this run's traces by attribute";
    let search = Check::new(&[Leg::Traces], name, since, proof.within, async move || {
        let ids = proof.backend.traces_with(SERVICE_APP, (attr::VERIFY_ID, proof.run_id)).await?;
        let found = sent.iter().filter(|sent| ids.contains(&sent.marked.trace_id)).count();
        let (all, key, id) = (sent.len(), attr::VERIFY_ID, proof.run_id);
        Ok(Finding::when(found == all, || format!("{found} of {all} traces found by {key}={id}")))
    });
    let logged = sent.iter().find(|sent| sent.row.log.is_some());
    let followed = logged.map(|sent| {
        const NEEDS: &[Leg] = &[Leg::Logs, Leg::Traces];
        let name = "correlation: log -> span -> the trace's logs";
        Check::new(NEEDS, name, since, proof.within, async move || {
            let trace_id = &sent.marked.trace_id;
            let query = LogQuery { service: SERVICE_APP, trace_id, ..Default::default() };
            let logs = proof.backend.logs(query).await?;
            let Some(log) = logs.first() else {
                return Ok(Finding::Missing(format!("a search of logs by trace id {trace_id} finds none")));
            };
            let spans = proof.backend.trace(trace_id).await?;
            if !spans.iter().any(|span| Some(&span.id) == log.span_id.as_ref()) {
                return Ok(Finding::Missing(format!("span {:?} of the log is not in trace {trace_id}", log.span_id)));
            }
            let back = proof.backend.logs_of_trace(trace_id).await?;
            Ok(Finding::when(back.contains(log), || format!("the logs of trace {trace_id} lack the log")))
        })
    });
    std::iter::once(search).chain(followed).collect()
}

/// One check a group of metrics that the service promises: each exists with its unit and kind.
pub(crate) fn metric_checks(proof: Proof<'_>) -> Vec<Check<'_>> {
    let mut groups = BTreeMap::<&str, Vec<&Metric>>::new();
    for metric in METRICS.iter().filter(|metric| metric.emitted_by.contains(&Emitter::App)) {
        groups.entry(metric.name.split('.').next().unwrap_or_default()).or_default().push(metric);
    }
    let check = |(group, metrics): (&str, Vec<&'static Metric>)| {
        let name = format!("metrics of the service: {group} ({} of them, unit and kind)", metrics.len());
        Check::new(&[Leg::Metrics], name, Instant::now(), proof.within, async move || {
            let known = proof.backend.metrics(SERVICE_APP).await?;
            let wrong = metrics.iter().filter_map(|metric| wrong_metric(metric, &known)).collect::<Vec<_>>();
            Ok(Finding::when(wrong.is_empty(), || wrong.join("; ")))
        })
    };
    groups.into_iter().map(check).collect()
}

fn wrong_metric(metric: &Metric, known: &[MetricInfo]) -> Option<String> {
    let Some(info) = known.iter().find(|info| info.name == metric.name) else {
        return Some(format!("{} from {SERVICE_APP} is missing", metric.name));
    };
    if !info.kinds.is_empty() && !info.kinds.contains(&metric.kind) {
        return Some(format!("{} is a {:?}, not a {:?}", metric.name, info.kinds, metric.kind));
    }
    let unit = info.unit.as_ref().filter(|unit| *unit != metric.unit)?;
    Some(format!("{} has unit `{unit}`, not `{}`", metric.name, metric.unit))
}
