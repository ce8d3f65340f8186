//! Checks of the `aws` stack: traces in X-Ray, its daemon, and CloudWatch Logs. Called by `verify::run`.
//! X-Ray keeps a span as a segment (ids, method, status, fault); what it does not keep is not looked for.

use std::time::Instant;

use crate::facts;
use crate::telemetry::names::SERVICE_APP;

use super::backends::BackendError;
use super::backends::aws::Aws;
use super::backends::xray::{self, Segment, XRay};
use super::check::{Check, Finding, Signal};
use super::contract::{Proof, Sent};

/// Address of the X-Ray daemon, as its SDKs read it.
const DAEMON_VARIABLE: &str = "AWS_XRAY_DAEMON_ADDRESS";

/// The checks of AWS.
pub(crate) async fn checks<'a>(proof: Proof<'a>, sent: &'a [Sent]) -> Vec<Check<'a>> {
    let mut checks = Vec::new();
    match XRay::there().await {
        Ok(xray) => {
            checks.push(daemon(proof, xray.clone()));
            checks.extend(sent.iter().map(|sent| segment(proof, xray.clone(), sent)));
        }
        Err(why) => checks.push(pointless(proof, "X-Ray", why)),
    }
    checks.push(match Aws::there("logs").await {
        Ok(logs) => cloudwatch(proof, logs, sent),
        Err(why) => pointless(proof, "CloudWatch Logs", why),
    });
    checks
}

fn pointless<'a>(proof: Proof<'a>, name: &str, why: String) -> Check<'a> {
    Check::new(&[], name, Instant::now(), proof.within, async move || Ok(Finding::Pointless(why.clone())))
}

/// A segment put through the daemon is found by the API.
fn daemon(proof: Proof<'_>, xray: XRay) -> Check<'_> {
    let trace_id = format!("{:08x}{:024x}", (super::unix_ms() / 1000.0) as u32, rand::random::<u128>() >> 32);
    let segment_id = format!("{:016x}", rand::random::<u64>());
    let own = crate::env::text(DAEMON_VARIABLE);
    let given = own.is_some();
    let address = own.unwrap_or_else(|| format!("127.0.0.1:{}", facts::port("xray-daemon", "udp")));
    let name = "X-Ray: a segment sent through the daemon is stored";
    let began = Instant::now();
    let mut sent = false;
    Check::new(&[], name, began, proof.within, async move || {
        if !sent {
            if let Err(error) = xray::send_through_daemon(&address, &trace_id, &segment_id).await {
                return Ok(Finding::Never(format!("{DAEMON_VARIABLE}={address}: {error}")));
            }
            sent = true;
        }
        let found = xray.trace(&trace_id).await?.iter().any(|segment| segment.id == segment_id);
        // UDP says nothing of a daemon that does not run; only one that was asked for must be there.
        let patience = began.elapsed() > proof.within / 2;
        Ok(match (found, given) {
            (true, _) => Finding::Found,
            (false, false) if patience => Finding::Pointless(format!("no daemon takes segments at {address}")),
            (false, _) => Finding::Missing(format!("trace {} is not at {}", xray::trace_id(&trace_id), xray.address())),
        })
    })
}

/// The request's segment, with method, status and fault as they were.
fn segment<'a>(proof: Proof<'a>, xray: XRay, sent: &'a Sent) -> Check<'a> {
    let name = sent.named("segment in X-Ray");
    let check = Check::new(&[], name, sent.marked.sent, proof.within, async move || {
        if let Some(wrong) = sent.wrong_answer() {
            return Ok(wrong);
        }
        let segments = xray.trace(&sent.marked.trace_id).await?;
        let ours = |segment: &&Segment| segment.parent_id.as_deref() == Some(&sent.marked.span_id);
        let Some(segment) = segments.iter().find(ours) else {
            return Ok(Finding::Missing(format!(
                "no segment with parent {} among {} of trace {}",
                sent.marked.span_id,
                segments.len(),
                xray::trace_id(&sent.marked.trace_id)
            )));
        };
        let row = sent.row;
        let (fault, error) = (row.status >= 500, (400..500).contains(&row.status));
        let same = segment.name == SERVICE_APP
            && segment.method() == Some(row.method)
            && segment.status() == Some(row.status)
            && (segment.fault, segment.error) == (fault, error);
        Ok(Finding::when(same, || format!("{segment:?}, promised is {} {} of {SERVICE_APP}", row.method, row.status)))
    });
    check.measures(Signal::Traces)
}

/// A record of the run is in the group of CloudWatch Logs, with its trace id.
fn cloudwatch<'a>(proof: Proof<'a>, logs: Aws, sent: &'a [Sent]) -> Check<'a> {
    let logged = sent.iter().find(|sent| sent.row.log.is_some());
    let began = super::unix_ms();
    let name = "CloudWatch Logs: a record with the trace id";
    Check::new(&[], name, Instant::now(), proof.within, async move || {
        let group = facts::setting("CLOUDWATCH_LOG_GROUP");
        let Some(logged) = logged.filter(|_| !group.is_empty()) else {
            return Ok(Finding::Pointless("CLOUDWATCH_LOG_GROUP is not set".to_owned()));
        };
        let trace_id = &logged.marked.trace_id;
        match logs.log_messages(&group, trace_id, began - 600_000.0).await {
            Ok(messages) => {
                Ok(Finding::when(!messages.is_empty(), || format!("no record of trace {trace_id} in {group}")))
            }
            Err(BackendError::Status { body, .. }) if body.contains("ResourceNotFoundException") => {
                let why = format!("no group {group} at {}: this collector does not send there", logs.address());
                Ok(Finding::Pointless(why))
            }
            Err(error) => Err(error),
        }
    })
}
