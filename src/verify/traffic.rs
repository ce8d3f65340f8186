//! Checks that need more than one request: the life of a task, redaction, and the load tester's traffic with its spike.
//! Called by `verify::run`. The rows of the contract belong to `contract`, arithmetic of the spike to `spike`.

use std::time::Instant;

use serde_json::{Value, json};

use crate::telemetry::names::{
    ACTIVE_SIMULATED_USERS, EVENT_LOAD_PHASE, REQUEST_COUNT, SERVICE_APP, SERVICE_LOAD, attr,
};

use super::backends::{BackendError, Backends, Function, LOOK_BACK_S, Leg, Log, LogQuery};
use super::check::{Check, Finding};
use super::contract::Proof;
use super::marked::{Marked, Sender};
use super::spike::{self, LEAST_RATIO};

/// An address that no log may show.
const SECRET_ADDRESS: &str = "verify.probe@example.com";

/// One task created, read, changed, deleted and missed, and a task that is refused.
pub(crate) struct TaskLife {
    refused: Marked,
    /// Method, status that is promised, and what was sent.
    steps: Vec<(&'static str, u16, Marked)>,
}

impl TaskLife {
    /// Trace id of the request that created the task.
    pub(crate) fn created_in(&self) -> &str {
        &self.steps[0].2.trace_id
    }
}

/// Lives one task's life.
pub(crate) async fn live_task(sender: &Sender) -> TaskLife {
    let refused = sender.send("POST", "/tasks", Some(&json!({ "title": "" }))).await;
    let title = format!("proof for {SECRET_ADDRESS}");
    let created = sender.send("POST", "/tasks", Some(&json!({ "title": title }))).await;
    let body = created.answer.as_ref().ok().and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
    let mut steps = vec![("POST", 201, created)];
    // Without an id the first step has failed, and says so.
    if let Some(id) = body.and_then(|body| body.get("id").cloned()) {
        let path = format!("/tasks/{}", id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        steps.push(("GET", 200, sender.send("GET", &path, None).await));
        let change = json!({ "title": "proof", "done": true });
        steps.push(("PUT", 200, sender.send("PUT", &path, Some(&change)).await));
        steps.push(("DELETE", 204, sender.send("DELETE", &path, None).await));
        steps.push(("GET", 404, sender.send("GET", &path, None).await));
    }
    TaskLife { refused, steps }
}

/// What is wrong with an answer.
fn wrong_status(method: &str, marked: &Marked, promised: u16) -> Option<String> {
    match &marked.answer {
        Ok(answer) if answer.status == promised => None,
        Ok(answer) => Some(format!("{method} answered {}, promised is {promised}: {}", answer.status, answer.body)),
        Err(why) => Some(format!("{method}: {why}")),
    }
}

/// Checks of the task's life.
pub(crate) fn task_checks<'a>(proof: Proof<'a>, life: &'a TaskLife) -> Vec<Check<'a>> {
    let first = &life.steps[0].2;
    let lived = Check::new(
        &[Leg::Traces],
        "tasks: created, read, changed, deleted, each with its query's span",
        first.sent,
        proof.within,
        async move || {
            let mut wrong = life.steps.iter().filter_map(|(method, status, sent)| wrong_status(method, sent, *status));
            if let Some(wrong) = wrong.next() {
                return Ok(Finding::Never(wrong));
            }
            if life.steps.len() < 2 {
                return Ok(Finding::Never("the answer to POST has no `id`".to_owned()));
            }
            for (method, _, sent) in &life.steps {
                let spans = proof.backend.trace(&sent.trace_id).await?;
                if !spans.iter().any(|span| span.attributes.contains_key(attr::DB_SYSTEM_NAME)) {
                    return Ok(Finding::Missing(format!("no query's span in trace {} of {method}", sent.trace_id)));
                }
            }
            Ok(Finding::Found)
        },
    );
    let refused = Check::new(
        &[],
        "tasks: an empty title is 422 and names the field",
        life.refused.sent,
        proof.within,
        async move || {
            if let Some(wrong) = wrong_status("POST", &life.refused, 422) {
                return Ok(Finding::Never(wrong));
            }
            let body = life.refused.answer.as_ref().map(|answer| answer.body.as_str()).unwrap_or_default();
            Ok(if body.contains("title") {
                Finding::Found
            } else {
                Finding::Never(format!("the body does not name `title`: {body}"))
            })
        },
    );
    vec![lived, refused, redaction(proof, life)]
}

/// No log body and nothing in the traces of the task's life holds an e-mail address.
fn redaction<'a>(proof: Proof<'a>, life: &'a TaskLife) -> Check<'a> {
    const NEEDS: &[Leg] = &[Leg::Logs, Leg::Traces];
    let name = "redaction: no e-mail address left the service";
    Check::new(NEEDS, name, life.steps[0].2.sent, proof.within, async move || {
        // The record of the request that brought an address must be among what is searched.
        let mut logs = proof.backend.logs_of_trace(&life.steps[0].2.trace_id).await?;
        if logs.is_empty() {
            return Ok(Finding::Missing(format!("no log of trace {}", life.steps[0].2.trace_id)));
        }
        logs.extend(proof.backend.logs(LogQuery { service: SERVICE_APP, ..Default::default() }).await?);
        let texts = logs.iter().flat_map(|log| std::iter::once(&log.body).chain(log.attributes.values()));
        if let Some(text) = texts.into_iter().find(|text| has_address(text)) {
            return Ok(Finding::Never(format!("a log shows an address: {text}")));
        }
        for (method, _, sent) in &life.steps {
            let spans = proof.backend.trace(&sent.trace_id).await?;
            let shown = spans.iter().flat_map(|span| span.attributes.values()).find(|text| has_address(text));
            if let Some(text) = shown {
                return Ok(Finding::Never(format!("a span of {method} shows an address: {text}")));
            }
        }
        Ok(Finding::Found)
    })
}

/// Whether a text holds something like `name@host.tld`.
fn has_address(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
    text.match_indices('@').any(|(at, _)| {
        let host = text[at + 1..].split(|c| !part(c)).next().unwrap_or_default();
        let (name, tld) = (text[..at].chars().next_back().is_some_and(part), host.rsplit_once('.'));
        // A version such as `crate@1.2` is no host: a top-level domain has letters only.
        name && tld.is_some_and(|(host, tld)| {
            !host.is_empty() && tld.len() >= 2 && tld.chars().all(|c| c.is_ascii_alphabetic())
        })
    })
}

/// `Pointless` when no load tester has sent anything: `verify` may run against a service that nobody loads.
async fn without_load(backend: &Backends) -> Result<Option<Finding>, BackendError> {
    let has_load = backend.services().await?.iter().any(|service| service == SERVICE_LOAD);
    Ok((!has_load).then(|| Finding::Pointless(format!("no {SERVICE_LOAD} has sent anything"))))
}

async fn phases(backend: &Backends) -> Result<Vec<(f64, String)>, BackendError> {
    let query = LogQuery { service: SERVICE_LOAD, event: EVENT_LOAD_PHASE, ..Default::default() };
    let logs = backend.logs(query).await?;
    let phase = |log: &Log| Some((log.time_unix_ms, log.attribute(attr::LOAD_PHASE_NAME)?.clone()));
    let mut phases = logs.iter().filter_map(phase).collect::<Vec<_>>();
    phases.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(phases)
}

/// Checks of the load tester's traffic. `after_spike`: whether a spike must have been; before it, what only a spike can
/// show is skipped.
pub(crate) fn load_checks(proof: Proof<'_>, after_spike: bool) -> Vec<Check<'_>> {
    vec![idle_users(proof), moving_users(proof, after_spike), phase_events(proof), spike_check(proof, after_spike)]
}

fn idle_users(proof: Proof<'_>) -> Check<'_> {
    let users = ACTIVE_SIMULATED_USERS.name;
    let name = format!("{users} of the service");
    Check::new(&[Leg::Metrics], name, Instant::now(), proof.within, async move || {
        let values = proof.backend.range(&ACTIVE_SIMULATED_USERS, SERVICE_APP, Function::Last, LOOK_BACK_S).await?;
        Ok(Finding::when(!values.is_empty(), || format!("{SERVICE_APP} has sent no {users}")))
    })
}

fn moving_users(proof: Proof<'_>, after_spike: bool) -> Check<'_> {
    let name = format!("{} of the load tester moves", ACTIVE_SIMULATED_USERS.name);
    Check::new(&[Leg::Metrics], name, Instant::now(), proof.within, async move || {
        if !after_spike {
            return Ok(Finding::Pointless("the spike is still to come".to_owned()));
        }
        if let Some(pointless) = without_load(proof.backend).await? {
            return Ok(pointless);
        }
        let values = proof.backend.range(&ACTIVE_SIMULATED_USERS, SERVICE_LOAD, Function::Last, LOOK_BACK_S).await?;
        let least = values.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        let most = values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        Ok(Finding::when(most > least, || format!("{} values, from {least} to {most}", values.len())))
    })
}

fn phase_events(proof: Proof<'_>) -> Check<'_> {
    let name = format!("{EVENT_LOAD_PHASE} events of the load tester");
    Check::new(&[Leg::Logs], name, Instant::now(), proof.within, async move || {
        if let Some(pointless) = without_load(proof.backend).await? {
            return Ok(pointless);
        }
        let phases = phases(proof.backend).await?;
        Ok(Finding::when(!phases.is_empty(), || {
            format!("no {EVENT_LOAD_PHASE} event with {} from {SERVICE_LOAD}", attr::LOAD_PHASE_NAME)
        }))
    })
}

fn spike_check(proof: Proof<'_>, after_spike: bool) -> Check<'_> {
    let name = format!("spike: peak rate at least {LEAST_RATIO} times the base");
    Check::new(&[Leg::Metrics], name, Instant::now(), proof.within, async move || {
        if !after_spike {
            return Ok(Finding::Pointless("the spike is still to come".to_owned()));
        }
        if let Some(pointless) = without_load(proof.backend).await? {
            return Ok(pointless);
        }
        let rates = proof.backend.range(&REQUEST_COUNT, SERVICE_APP, Function::Rate, LOOK_BACK_S).await?;
        // Without names of phases the base is guessed from the rates.
        let phases = if proof.backend.has(Leg::Logs) { phases(proof.backend).await? } else { Vec::new() };
        let Some(spike) = spike::find(&rates, &phases) else {
            return Ok(Finding::Missing(format!("{} rates of {} say nothing yet", rates.len(), REQUEST_COUNT.name)));
        };
        let (base, peak) = (spike.base, spike.peak);
        Ok(Finding::when(spike.stands_out(), || format!("base {base:.1}/s, peak {peak:.1}/s")))
    })
}

#[cfg(test)]
mod tests {
    use super::has_address;

    #[test]
    fn an_address_is_told_from_other_uses_of_the_sign() {
        assert!(has_address("mail ops.team@example.com now"));
        assert!(has_address("\"a@b.co\""));
        for text in ["@", "a @ b.com", "pkg@1.2.3", "[redacted]@", "user@localhost", "x@.com"] {
            assert!(!has_address(text), "{text}");
        }
    }
}
