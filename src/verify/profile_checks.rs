//! Checks of profiles: the service's CPU time is there, also by route, and a span leads to its own samples. Called by
//! `verify::run`. Where profiles are asked for belongs to `backends::pyroscope`.

use std::time::Instant;

use crate::telemetry::names::{SERVICE_APP, attr};

use super::backends::Leg;
use super::backends::pyroscope::{Of, Profiles};
use super::check::{Check, Finding};
use super::contract::Proof;
use super::marked::{Marked, Sender};

/// A request that computes long enough for a sampler at 100 a second.
const BUSY: &str = "/work?ms=0&cpu_ms=400";
/// Its route.
const ROUTE: &str = "/work";

/// Sends the request whose samples are looked for.
pub(crate) async fn send(sender: &Sender) -> Marked {
    sender.send("GET", BUSY, None).await
}

/// The checks of profiles.
pub(crate) fn checks<'a>(proof: Proof<'a>, profiles: &'a Profiles, busy: &'a Marked) -> Vec<Check<'a>> {
    let cpu = move |name: &'static str, of: Of<'static>| {
        Check::new(&[], name, busy.sent, proof.within, async move || {
            let cpu = profiles.cpu(SERVICE_APP, of).await?;
            Ok(Finding::when(cpu > 0.0, || format!("no CPU time of {SERVICE_APP} ({of:?}) in {}", profiles.name())))
        })
    };
    vec![
        cpu("profiles: CPU time of the service", Of::Service),
        cpu("profiles: CPU time of a route", Of::Route(ROUTE)),
        of_span(proof, profiles, busy),
    ]
}

fn of_span<'a>(proof: Proof<'a>, profiles: &'a Profiles, busy: &'a Marked) -> Check<'a> {
    let name = "profiles: a span leads to its own samples";
    Check::new(&[Leg::Traces], name, Instant::now(), proof.within, async move || {
        match &busy.answer {
            Err(why) => return Ok(Finding::Never(why.clone())),
            Ok(answer) if answer.status != 200 => {
                return Ok(Finding::Never(format!("GET {BUSY} answered {}: {}", answer.status, answer.body)));
            }
            Ok(_) => {}
        }
        let spans = proof.backend.trace(&busy.trace_id).await?;
        let key = attr::PYROSCOPE_PROFILE_ID;
        let Some(id) = spans.iter().find_map(|span| span.attributes.get(key)) else {
            return Ok(Finding::Missing(format!("no span with {key} in trace {}", busy.trace_id)));
        };
        let cpu = profiles.cpu(SERVICE_APP, Of::Span(id)).await?;
        Ok(Finding::when(cpu > 0.0, || format!("no sample of span {id} in {}", profiles.name())))
    })
}
