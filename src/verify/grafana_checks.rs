//! Checks of Grafana: every datasource reaches its backend, every panel has data, every provisioned alert rule is
//! evaluated. Called by `verify::run` where Grafana runs. How Grafana is asked belongs to `backends::grafana`.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::cli::Stack;

use super::backends::BackendError;
use super::backends::grafana::{Found, Grafana};
use super::check::{Check, Finding};
use super::contract::Proof;

/// Datasources that a stack must have, by their stable uids.
fn promised(stack: Stack) -> &'static [&'static str] {
    match stack {
        Stack::Console => &[],
        Stack::Core => &["metrics", "logs", "traces"],
        Stack::Lgtm => &["metrics", "logs", "traces", "profiles"],
        Stack::Aws => &["metrics", "logs", "xray", "cloudwatch"],
    }
}

/// The checks of Grafana: what it has is asked first, because each datasource and dashboard is a check of its own.
pub(crate) async fn checks<'a>(proof: Proof<'a>, grafana: &'a Grafana, stack: Stack) -> Vec<Check<'a>> {
    let mut checks = Vec::new();
    match grafana.datasources().await {
        Ok(there) => {
            let mut uids = there.into_iter().map(|source| source.uid).collect::<BTreeSet<_>>();
            uids.extend(promised(stack).iter().map(|uid| (*uid).to_owned()));
            checks.extend(uids.into_iter().map(|uid| datasource(proof, grafana, uid)));
        }
        Err(error) => checks.push(broken(proof, "Grafana: datasources", &error)),
    }
    match grafana.dashboards().await {
        Ok(there) if there.is_empty() => {
            checks.push(failed(proof, "Grafana: dashboards", "no dashboard is there".to_owned()));
        }
        Ok(there) => checks.extend(there.into_iter().map(|found| dashboard(proof, grafana, found))),
        Err(error) => checks.push(broken(proof, "Grafana: dashboards", &error)),
    }
    checks.push(alert_rules(proof, grafana));
    checks
}

fn failed<'a>(proof: Proof<'a>, name: &str, why: String) -> Check<'a> {
    Check::new(&[], name, Instant::now(), proof.within, async move || Ok(Finding::Never(why.clone())))
}

fn broken<'a>(proof: Proof<'a>, name: &str, error: &BackendError) -> Check<'a> {
    let hint = match error {
        BackendError::Status { status: 401 | 403, .. } => " (GRAFANA_TOKEN or GF_SECURITY_ADMIN_PASSWORD?)",
        _ => "",
    };
    failed(proof, name, format!("{error}{hint}"))
}

fn datasource<'a>(proof: Proof<'a>, grafana: &'a Grafana, uid: String) -> Check<'a> {
    let name = format!("Grafana: datasource {uid} reaches its backend");
    Check::new(&[], name, Instant::now(), proof.within, async move || {
        match grafana.datasource_health(&uid).await {
            Ok(status) => Ok(Finding::when(status == "OK", || format!("its health is {status}"))),
            // The plugin has no health check: a 404 of a datasource that is there says so itself.
            Err(BackendError::Status { status: 404, body, .. }) if body.contains("not implemented") => {
                Ok(Finding::Pointless(format!("its plugin has no health check: {body}")))
            }
            Err(error) => Err(error),
        }
    })
}

/// Every panel has data; one that needs more than the core stack says so in its description and may be empty.
fn dashboard<'a>(proof: Proof<'a>, grafana: &'a Grafana, found: Found) -> Check<'a> {
    let name = format!("Grafana: every panel of {} has data", found.title);
    Check::new(&[], name, Instant::now(), proof.within, async move || {
        let panels = grafana.panels(&found.uid).await?;
        let (mut empty, mut excused, mut with_data) = (Vec::new(), Vec::new(), 0);
        for panel in &panels {
            let why = match grafana.has_data(panel).await? {
                Ok(true) => {
                    with_data += 1;
                    continue;
                }
                Ok(false) => "no data".to_owned(),
                Err(error) => error,
            };
            match &panel.needs {
                Some(needs) => excused.push(format!("{}: {needs}", panel.title)),
                None => empty.push(format!("{}: {why}", panel.title)),
            }
        }
        Ok(match (empty.is_empty(), with_data) {
            (false, _) => Finding::Missing(empty.join("; ")),
            (true, 0) if !excused.is_empty() => Finding::Pointless(excused.join("; ")),
            (true, 0) => Finding::Missing("it has no panel that asks for data".to_owned()),
            (true, _) => Finding::Found,
        })
    })
}

fn alert_rules<'a>(proof: Proof<'a>, grafana: &'a Grafana) -> Check<'a> {
    let name = "Grafana: every provisioned alert rule is evaluated";
    Check::new(&[], name, Instant::now(), proof.within, async move || {
        let provisioned = grafana.provisioned_rules().await?;
        let loaded = grafana.alert_rules().await?;
        if provisioned.is_empty() {
            return Ok(Finding::Missing("no alert rule is provisioned".to_owned()));
        }
        let state = |title: &String| match loaded.iter().find(|rule| rule.title == *title) {
            None => Some(format!("{title} is not loaded")),
            Some(rule) if rule.health == "error" => Some(format!("{title}: {}", rule.error)),
            Some(_) => None,
        };
        let wrong = provisioned.iter().filter_map(state).collect::<Vec<_>>();
        Ok(Finding::when(wrong.is_empty(), || wrong.join("; ")))
    })
}
