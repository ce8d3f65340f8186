//! `signalbox verify`: proves the contract. It sends marked requests and finds their signals, and the correlations
//! between them, in a backend. Called by `main` and, as a child process, by `up`.
//!
//! | part | does |
//! |---|---|
//! | `marked` | sends requests that can be told from all others |
//! | `contract`, `traffic` | the checks: what is promised, looked for with a deadline |
//! | `spike` | finds the spike in rates |
//! | `backends` | asks a backend; one file a kind |
//! | `report` | text, JSON, `JUnit` |
//!
//! Of ours it imports `telemetry::names`, `facts`, `env` and `cli` only: what it finds must have come over the wire.

mod backends;
mod check;
mod contract;
mod marked;
mod report;
mod spike;
mod traffic;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::cli::{Format, Stack, VerifyArgs};
use crate::env::{self, InvalidSetting};
use crate::facts;

use self::backends::Backend;
use self::backends::console::Console;
use self::check::{Check, Outcome};
use self::contract::Proof;
use self::marked::Sender;
use self::report::Summary;

/// How long a check waits for its signal, such as `15s`. With the SDK's own metric interval of a minute give it more.
pub const TIMEOUT_VARIABLE: &str = "SIGNALBOX_VERIFY_TIMEOUT";
/// `0`: no spike has been yet, so the checks of the spike are skipped. `up --verify` sets it for its first run.
pub const SPIKE_VARIABLE: &str = "SIGNALBOX_VERIFY_SPIKE";
/// Default of [`TIMEOUT_VARIABLE`].
const TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the checks and prints their outcomes; the last line is the summary.
///
/// # Errors
/// When a setting is wrong. A failed check is no error but exit code 1.
pub async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    if args.stack != Stack::Console {
        let name = format!("{:?}", args.stack).to_lowercase();
        return Err(InvalidSetting::new("--stack", name, "console (the only stack that works today)").into());
    }
    let parse = |text: &str| humantime::parse_duration(text).ok();
    let within = env::parsed(TIMEOUT_VARIABLE, "a duration such as 15s", parse)?.unwrap_or(TIMEOUT);
    let after_spike = env::parsed(SPIKE_VARIABLE, "true or false", env::parse_bool)?.unwrap_or(true);
    let app = address("--app or APP_URL", args.app.clone().unwrap_or_else(|| facts::setting("APP_URL")))?;
    let console = address("CONSOLE_URL", facts::setting("CONSOLE_URL"))?;
    let run_id = format!("{:016x}", rand::random::<u64>());
    let backend = Console::new(&console, env::text("SIGNALBOX_TOKEN")).context("cannot make an HTTP client")?;
    let sender = Sender::new(&app, &run_id).context("cannot make an HTTP client")?;
    if args.format == Format::Text {
        println!("verify: run {run_id}, service {app}, {} {console}", backend.name());
    }
    let proof = Proof { backend: &backend, run_id: &run_id, within };
    let outcomes = prove(proof, &sender, after_spike, args.format).await;
    Ok(print(&outcomes, &args))
}

/// An `http://` or `https://` address of the setting.
fn address(setting: &str, url: String) -> Result<String, InvalidSetting> {
    match reqwest::Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(url),
        _ => Err(InvalidSetting::new(setting, url, "an http:// or https:// address")),
    }
}

async fn ended((number, check): (usize, Check<'_>)) -> Outcome {
    let Check { name, verdict } = check;
    Outcome { number, name, verdict: verdict.await }
}

/// Sends everything, then looks for everything at once, so that the time of each check is its own.
async fn prove<B: Backend>(proof: Proof<'_, B>, sender: &Sender, after_spike: bool, format: Format) -> Vec<Outcome> {
    let sent = contract::send_rows(proof.backend, sender).await;
    let life = traffic::live_task(sender).await;
    let mut checks = Vec::<Check<'_>>::new();
    for sent in &sent {
        checks.extend(contract::row_checks(proof, sent));
    }
    checks.extend(contract::correlation_checks(proof, &sent));
    checks.extend(traffic::task_checks(proof, &life));
    checks.extend(contract::metric_checks(proof));
    checks.extend(traffic::load_checks(proof, after_spike));
    let mut running = FuturesUnordered::new();
    for numbered in checks.into_iter().enumerate() {
        running.push(ended(numbered));
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.next().await {
        if format == Format::Text {
            println!("{}", report::line(&outcome));
        }
        outcomes.push(outcome);
    }
    outcomes.sort_by_key(|outcome| outcome.number);
    outcomes
}

/// Prints what is not printed yet; the summary comes last, on stderr where stdout is a document.
fn print(outcomes: &[Outcome], args: &VerifyArgs) -> ExitCode {
    let summary = Summary::of(outcomes);
    match args.format {
        Format::Text => println!("{summary}"),
        Format::Json => println!("{}", report::json(outcomes)),
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
