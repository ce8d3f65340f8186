//! Checks of what the real stacks add to the contract: loaded rules, the collector's own metrics, and the further legs
//! of `lgtm`. Called by `verify::run`. What AWS, Grafana or Pyroscope has stands in a file of its own.

use std::time::{Instant, SystemTime};

use crate::cli::Stack;
use crate::facts;
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{SERVICE_APP, SERVICE_VERIFY, attr};

use super::backends::prometheus::Prometheus;
use super::backends::{Leg, LogQuery};
use super::check::{Check, Finding};
use super::contract::Proof;
use super::marked::{Marked, Sender};
use super::plan::Plan;
use super::traffic::TaskLife;

/// The checks of a stack.
pub(crate) fn checks<'a>(proof: Proof<'a>, plan: &'a Plan, stack: Stack, life: &'a TaskLife) -> Vec<Check<'a>> {
    let mut checks = Vec::new();
    if let Some(prometheus) = &plan.prometheus {
        checks.push(collector(proof, prometheus));
        checks.push(rules(proof, prometheus, plan.grafana.is_some()));
    }
    if stack == Stack::Lgtm {
        checks.extend(plan.prometheus.iter().flat_map(|prometheus| lgtm_metrics(proof, prometheus)));
        checks.push(postgresql(proof, life));
        checks.push(nginx(proof));
        checks.push(browser(proof));
    }
    checks
}

fn collector<'a>(proof: Proof<'a>, prometheus: &'a Prometheus) -> Check<'a> {
    let name = "collector: scrapes and sends its own metrics";
    Check::new(&[Leg::Metrics], name, Instant::now(), proof.within, async move || {
        let up = prometheus.value("max(up{job=\"collector\"})").await?;
        Ok(Finding::when(up == Some(1.0), || format!("up of job collector is {up:?}")))
    })
}

/// Every rule is loaded and can be evaluated. Where Grafana evaluates the alerts, nobody else need have rules.
fn rules<'a>(proof: Proof<'a>, prometheus: &'a Prometheus, elsewhere: bool) -> Check<'a> {
    let name = "rules: every group is loaded and evaluates";
    Check::new(&[Leg::Metrics], name, Instant::now(), proof.within, async move || {
        let rules = prometheus.rules().await?;
        if rules.is_empty() && elsewhere {
            return Ok(Finding::Pointless("no rules here; Grafana evaluates them".to_owned()));
        }
        let wrong = rules.iter().filter(|rule| rule.health == "err");
        let wrong = wrong.map(|rule| format!("{}/{}: {}", rule.group, rule.name, rule.error)).collect::<Vec<_>>();
        Ok(match (rules.is_empty(), wrong.is_empty()) {
            (true, _) => Finding::Missing("no rule is loaded".to_owned()),
            (false, true) => Finding::Found,
            (false, false) => Finding::Missing(wrong.join("; ")),
        })
    })
}

fn lgtm_metrics<'a>(proof: Proof<'a>, prometheus: &'a Prometheus) -> Vec<Check<'a>> {
    let there = move |name: &'static str, query: String| {
        Check::new(&[Leg::Metrics], name, Instant::now(), proof.within, async move || {
            let count = prometheus.value(&format!("count({query})")).await?.unwrap_or_default();
            Ok(Finding::when(count > 0.0, || format!("no series {query}")))
        })
    };
    let route = label(attr::HTTP_ROUTE);
    let node = "node exporter: its metrics arrive";
    let node = Check::new(&[Leg::Metrics], node, Instant::now(), proof.within, async move || {
        match prometheus.value("max(up{job=\"node-exporter\"})").await? {
            Some(1.0) => {}
            Some(_) => {
                let url = facts::setting("NODE_EXPORTER_URL");
                return Ok(Finding::Pointless(format!("does not run (NODE_EXPORTER_URL={url}, up is 0)")));
            }
            None => return Ok(Finding::Missing("nobody scrapes a job node-exporter".to_owned())),
        }
        let count = prometheus.value("count(node_cpu_seconds_total)").await?;
        Ok(Finding::when(count.is_some(), || "up, but no node_cpu_seconds_total".to_owned()))
    });
    vec![
        there("span metrics: calls by route", format!("traces_span_metrics_calls_total{{{route}=\"/work\"}}")),
        there("service graph: requests between services", "traces_service_graph_request_total".to_owned()),
        node,
        there("host metrics: CPU of the host", "system_cpu_time_seconds_total".to_owned()),
    ]
}

/// The tasks live in PostgreSQL; a service on `SQLite` is said.
fn postgresql<'a>(proof: Proof<'a>, life: &'a TaskLife) -> Check<'a> {
    let name = "PostgreSQL: a task's query goes there";
    Check::new(&[Leg::Traces], name, Instant::now(), proof.within, async move || {
        let trace_id = life.created_in();
        let spans = proof.backend.trace(trace_id).await?;
        let system = spans.iter().find_map(|span| span.attributes.get(attr::DB_SYSTEM_NAME));
        Ok(match system.map(String::as_str) {
            Some("postgresql") => Finding::Found,
            Some(other) => Finding::Pointless(format!("the service runs on {other} (DATABASE_URL)")),
            None => Finding::Missing(format!("no query's span in trace {trace_id}")),
        })
    })
}

/// nginx' address and who sends through it, or what a check finds where there is none.
fn public_door(proof: Proof<'_>) -> Result<(String, Sender), Finding> {
    let url = facts::setting("PUBLIC_URL");
    if url.is_empty() {
        return Err(Finding::Pointless("PUBLIC_URL is not set".to_owned()));
    }
    let sender = Sender::new(&url, proof.run_id);
    sender.map(|sender| (url, sender)).map_err(|_| Finding::Never("cannot make an HTTP client".to_owned()))
}

/// A request through nginx has its span in the same trace.
fn nginx(proof: Proof<'_>) -> Check<'_> {
    let door = public_door(proof);
    let mut sent = None;
    let since = Instant::now();
    Check::new(&[Leg::Traces], "nginx: a request through it has its span", since, proof.within, async move || {
        let (url, sender) = match &door {
            Ok(door) => door,
            Err(finding) => return Ok(finding.clone()),
        };
        let sent = match &mut sent {
            Some(sent) => sent,
            none => none.insert(sender.send("GET", "/rolldice", None).await),
        };
        match &sent.answer {
            Err(why) => return Ok(Finding::Pointless(format!("does not run (PUBLIC_URL={url}: {why})"))),
            Ok(answer) if answer.status != 200 => {
                return Ok(Finding::Never(format!("PUBLIC_URL={url}/rolldice answered {}", answer.status)));
            }
            Ok(_) => {}
        }
        let spans = proof.backend.trace(&sent.trace_id).await?;
        let there = spans.iter().any(|span| span.service == SERVICE_APP);
        Ok(Finding::when(there, || format!("no span of {SERVICE_APP} in trace {}", sent.trace_id)))
    })
}

/// A page's request through nginx, and what the Faro SDK in that page tells of it: one trace, the service below the
/// browser, the browser's log in it.
fn browser(proof: Proof<'_>) -> Check<'_> {
    let name = "browser: its span, its log and the service's span in one trace";
    let door = public_door(proof);
    let mut sent = None;
    Check::new(&[Leg::Traces, Leg::Logs], name, Instant::now(), proof.within, async move || {
        let (url, sender) = match &door {
            Ok(door) => door,
            Err(finding) => return Ok(finding.clone()),
        };
        let (page, told) = match &mut sent {
            Some(sent) => sent,
            none => {
                let page = sender.send("GET", "/rolldice", None).await;
                let told = sender.send("POST", "/collect", Some(&faro(&page, proof.run_id))).await;
                none.insert((page, told))
            }
        };
        match &told.answer {
            Err(why) if page.answer.is_err() => {
                return Ok(Finding::Pointless(format!("nginx does not run (PUBLIC_URL={url}: {why})")));
            }
            Err(why) => return Ok(Finding::Never(format!("PUBLIC_URL={url}/collect: {why}"))),
            Ok(answer) if !(200..300).contains(&answer.status) => {
                return Ok(Finding::Never(format!("PUBLIC_URL={url}/collect answered {}", answer.status)));
            }
            Ok(_) => {}
        }
        let trace_id = &page.trace_id;
        let spans = proof.backend.trace(trace_id).await?;
        if !spans.iter().any(|span| span.service == SERVICE_VERIFY && span.id == page.span_id) {
            return Ok(Finding::Missing(format!("no span of the browser in trace {trace_id}")));
        }
        if !spans.iter().any(|span| span.service == SERVICE_APP && span.parent.as_ref() == Some(&page.span_id)) {
            return Ok(Finding::Missing(format!("no span of {SERVICE_APP} below the browser's in trace {trace_id}")));
        }
        let logs = proof.backend.logs(LogQuery { service: SERVICE_VERIFY, trace_id, ..LogQuery::default() }).await?;
        Ok(Finding::when(!logs.is_empty(), || format!("no log of the browser in trace {trace_id}")))
    })
}

/// What the Faro web SDK posts after a page's request: its span and a line of the console, as
/// `receiver/faroreceiver` of opentelemetry-collector-contrib reads it.
fn faro(page: &Marked, run_id: &str) -> serde_json::Value {
    let nanoseconds = |unix_ms: f64| format!("{unix_ms:.0}000000");
    serde_json::json!({
        "meta": { "app": { "name": SERVICE_VERIFY }, "session": { "id": run_id } },
        "logs": [{
            "level": "info",
            "message": format!("verify {run_id}"),
            "timestamp": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            "trace": { "trace_id": page.trace_id, "span_id": page.span_id },
        }],
        "traces": { "resourceSpans": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": SERVICE_VERIFY } }] },
            "scopeSpans": [{ "scope": { "name": SERVICE_VERIFY }, "spans": [{
                "traceId": page.trace_id,
                "spanId": page.span_id,
                "name": "GET",
                "kind": 3,
                "startTimeUnixNano": nanoseconds(page.sent_unix_ms),
                "endTimeUnixNano": nanoseconds(super::unix_ms()),
                "attributes": [{ "key": attr::VERIFY_ID, "value": { "stringValue": run_id } }],
            }] }],
        }] },
    })
}
