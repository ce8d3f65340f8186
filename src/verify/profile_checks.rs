//! Checks of profiles: the service's CPU profile is in Pyroscope, or in the console in its place. Called by `verify::run`.

use std::time::Instant;

use crate::cli::Stack;
use crate::env;
use crate::facts;
use crate::telemetry::names::SERVICE_APP;

use super::backends::http::{Auth, Http};
use super::backends::pyroscope::Pyroscope;
use super::check::{Check, Finding};
use super::contract::Proof;
use super::plan::{self, Plan};

/// The checks of profiles; none where the stack promises none.
///
/// # Errors
/// When the address is none.
pub(crate) fn checks<'a>(proof: Proof<'a>, plan: &Plan, stack: Stack) -> anyhow::Result<Vec<Check<'a>>> {
    let name = "profiles: the service's CPU profile";
    let url = facts::setting("PYROSCOPE_URL");
    if url.is_empty() {
        let off = || {
            Check::new(&[], name, Instant::now(), proof.within, async || {
                Ok(Finding::Pointless("PYROSCOPE_URL is not set, so the service does not profile".to_owned()))
            })
        };
        return Ok(if stack == Stack::Lgtm { vec![off()] } else { Vec::new() });
    }
    let http = match plan.grafana.as_ref().filter(|_| plan.through_grafana) {
        Some(grafana) => grafana.behind("profiles"),
        None => Http::new(&plan::address("PYROSCOPE_URL", url)?, Auth::bearer(env::text("SIGNALBOX_TOKEN")))?,
    };
    let pyroscope = Pyroscope::new(http);
    Ok(vec![Check::new(&[], name, Instant::now(), proof.within, async move || {
        let frames = pyroscope.frames(SERVICE_APP, &[]).await?;
        Ok(Finding::when(!frames.is_empty(), || format!("no CPU profile of {SERVICE_APP}")))
    })])
}
