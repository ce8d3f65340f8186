//! `signalbox verify`: proves the contract. It sends marked requests and finds their signals, and the correlations
//! between them, in a backend. Called by `main` and, as a child process, by `up`.
//!
//! | part | does |
//! |---|---|
//! | `plan` | which backends the stack has, and which of them answer |
//! | `marked` | sends requests that can be told from all others |
//! | `contract`, `traffic` | the checks that every stack must pass: what is promised, looked for with a deadline |
//! | `stack_checks`, `aws_checks`, `grafana_checks`, `profile_checks` | what only one stack or program has |
//! | `spike` | finds the spike in rates |
//! | `backends` | asks a backend; one file a kind |
//! | `report` | text, JSON, `JUnit`, and how soon each signal was visible |
//!
//! Of ours it imports `telemetry::names`, `facts`, `env` and `cli` only: what it finds must have come over the wire.

mod aws_checks;
mod backends;
mod check;
mod contract;
mod grafana_checks;
mod marked;
mod plan;
mod profile_checks;
mod report;
mod spike;
mod stack_checks;
mod traffic;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::cli::{Format, Stack, VerifyArgs};
use crate::env::{self, InvalidSetting};
use crate::facts;

use self::backends::Leg;
use self::check::{Check, Outcome, Verdict};
use self::contract::Proof;
use self::marked::Sender;
use self::plan::Plan;
use self::report::Summary;

/// How long a check waits for its signal, such as `15s`. With the SDK's own metric interval of a minute give it more.
pub const TIMEOUT_VARIABLE: &str = "SIGNALBOX_VERIFY_TIMEOUT";
/// `0`: no spike has been yet, so the checks of the spike are skipped. `up --verify` sets it for its first run.
pub const SPIKE_VARIABLE: &str = "SIGNALBOX_VERIFY_SPIKE";
/// The service's metric interval in milliseconds, as the environment (or its file) gives it to all programs.
const INTERVAL_VARIABLE: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// Default of [`TIMEOUT_VARIABLE`] for the console.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The same for real backends, which scrape and flush on their own time; two metric intervals come on top.
const REAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the checks and prints their outcomes; the last line is the summary.
///
/// # Errors
/// When a setting is wrong. A failed check is no error but exit code 1.
pub async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let within = within(args.stack)?;
    let after_spike = env::parsed(SPIKE_VARIABLE, "true or false", env::parse_bool)?.unwrap_or(true);
    let app = plan::address("--app or APP_URL", args.app.clone().unwrap_or_else(|| facts::setting("APP_URL")))?;
    let run_id = format!("{:016x}", rand::random::<u64>());
    let sender = Sender::new(&app, &run_id).context("cannot make an HTTP client")?;
    let plan = plan::plan(&args).await?;
    let proof = Proof { backend: &plan.backends, run_id: &run_id, within };
    if args.format == Format::Text {
        let asked = if plan.asked.is_empty() { "no backend answers".to_owned() } else { plan.asked.join(", ") };
        println!("verify: run {run_id}, service {app}, {asked}");
    }
    let outcomes = prove(proof, &plan, &sender, after_spike, &args).await;
    Ok(print(&outcomes, &plan, &args))
}

fn within(stack: Stack) -> Result<Duration, InvalidSetting> {
    let parse = |text: &str| humantime::parse_duration(text).ok();
    let given = env::parsed(TIMEOUT_VARIABLE, "a duration such as 15s", parse)?;
    let interval = facts::setting(INTERVAL_VARIABLE);
    let interval = match interval.parse() {
        Ok(ms) => Duration::from_millis(ms),
        Err(_) if interval.is_empty() => Duration::ZERO,
        Err(_) => return Err(InvalidSetting::new(INTERVAL_VARIABLE, interval, "milliseconds")),
    };
    Ok(given.unwrap_or(match stack {
        Stack::Console => TIMEOUT,
        _ => REAL_TIMEOUT + interval * 2,
    }))
}

async fn ended((number, check): (usize, Check<'_>)) -> Outcome {
    Outcome { number, name: check.name, signal: check.signal, verdict: check.verdict.await }
}

/// Sends everything, then looks for everything at once, so that the time of each check is its own.
async fn prove(proof: Proof<'_>, plan: &Plan, sender: &Sender, after_spike: bool, args: &VerifyArgs) -> Vec<Outcome> {
    let sent = contract::send_rows(proof.backend, sender).await;
    let life = traffic::live_task(sender).await;
    let busy = match &plan.profiles {
        Some(_) => Some(profile_checks::send(sender).await),
        None => None,
    };
    let mut checks = Vec::<Check<'_>>::new();
    for sent in &sent {
        checks.extend(contract::row_checks(proof, sent));
    }
    checks.extend(contract::correlation_checks(proof, &sent));
    checks.extend(traffic::task_checks(proof, &life));
    checks.extend(contract::metric_checks(proof));
    checks.extend(traffic::load_checks(proof, after_spike));
    if args.stack != Stack::Console {
        checks.extend(stack_checks::checks(proof, plan, args.stack, &life));
    }
    if let (Some(profiles), Some(busy)) = (&plan.profiles, &busy) {
        checks.extend(profile_checks::checks(proof, profiles, busy));
    }
    if args.stack == Stack::Aws {
        checks.extend(aws_checks::checks(proof, &sent).await);
    }
    if let Some(grafana) = &plan.grafana {
        checks.extend(grafana_checks::checks(proof, grafana, args.stack).await);
    }
    let mut outcomes = settled(plan, &mut checks);
    for outcome in outcomes.iter().filter(|_| args.format == Format::Text) {
        println!("{}", report::line(outcome));
    }
    let numbered = (outcomes.len()..).zip(checks);
    let mut running = numbered.map(ended).collect::<FuturesUnordered<_>>();
    while let Some(outcome) = running.next().await {
        if args.format == Format::Text {
            println!("{}", report::line(&outcome));
        }
        outcomes.push(outcome);
    }
    outcomes.sort_by_key(|outcome| outcome.number);
    outcomes
}

/// What is known before anything is looked for; takes out the checks that lack a leg, one skipped outcome a leg.
fn settled(plan: &Plan, checks: &mut Vec<Check<'_>>) -> Vec<Outcome> {
    let mut not_made = BTreeMap::<Leg, usize>::new();
    checks.retain(|check| {
        let lacking = check.needs.iter().find(|leg| !plan.backends.has(**leg));
        lacking.into_iter().for_each(|leg| *not_made.entry(*leg).or_default() += 1);
        lacking.is_none()
    });
    let not_made = not_made.into_iter().map(|(leg, count)| {
        (leg.name().to_owned(), Verdict::Skipped(format!("{count} checks not made: nobody has {}", leg.name())))
    });
    let all = plan.settled.iter().cloned().chain(not_made).enumerate();
    all.map(|(number, (name, verdict))| Outcome { number, name, signal: None, verdict }).collect()
}

/// Prints what is not printed yet; the summary comes last, on stderr where stdout is a document.
fn print(outcomes: &[Outcome], plan: &Plan, args: &VerifyArgs) -> ExitCode {
    let summary = Summary::of(outcomes);
    match args.format {
        Format::Text => {
            for delay in report::delays(outcomes) {
                println!("{delay}");
            }
            println!("{summary}");
        }
        Format::Json => println!("{}", report::json(outcomes, &plan.asked)),
        Format::Junit => println!("{}", report::junit(outcomes)),
    }
    if args.format != Format::Text {
        eprintln!("{summary}");
    }
    let short = args.require_all && summary.skipped > 0;
    if summary.failed > 0 || short { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Now, in Unix milliseconds.
pub(crate) fn unix_ms() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}
