//! The load tester: goose's users walk journeys through the service while a plan says how many of them run.
//! Called by `main`. It knows the app through HTTP only.
//!
//! | module | does |
//! |---|---|
//! | [`shape`] | a plan: phases of users over time |
//! | `gate` | lets as many users through as the plan wants |
//! | `journeys`, `client` | what users do; one request as a span |
//! | `recorder`, [`report`], [`threshold`] | what was measured, how it is told, whether it is good enough |
//! | `progress` | what a person sees meanwhile |

mod client;
mod gate;
mod journeys;
mod progress;
mod recorder;
pub mod report;
pub mod shape;
pub mod threshold;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction};
use goose::{GooseAttack, GooseError};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::client::Client;
use self::gate::Gate;
use self::journeys::Turn;
use self::progress::{Progress, say};
use self::report::{Lost, Report};
use self::shape::Plan;
use self::threshold::Threshold;
use crate::cli::LoadArgs;
use crate::env::InvalidSetting;
use crate::facts;
use crate::telemetry::{Telemetry, metrics, names};

/// How often the plan is asked, and the gauge of users recorded.
const TICK: Duration = Duration::from_millis(100);
/// Deadline of the last flush.
const FLUSH: Duration = Duration::from_secs(5);
/// A request takes at most this long: longer than the app's own request timeout would let it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// At the end, requests in flight may take this long before they are abandoned, so that a run keeps to `--for`.
const GRACE: Duration = Duration::from_millis(800);

/// What all users share.
#[derive(Debug)]
struct Load {
    client: Client,
    gate: Gate,
    think: bool,
    stop: CancellationToken,
}

/// Runs the load; exit code 1 when a threshold is broken.
///
/// # Errors
/// When a flag or variable has a value that is not allowed, the load cannot start, or a report cannot be written.
pub async fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let host = resolve_host(args.host.clone(), args.allow_remote)?;
    let thresholds = args.threshold.iter().map(|text| Threshold::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let plan = match &args.test_plan {
        Some(text) => Plan::parse(text, args.for_)?,
        None => Plan::of(args.shape, args.users, args.for_)?,
    };
    let telemetry = telemetry()?;

    // The flush runs whatever became of the load.
    let outcome = attack(&args, &host, &plan).await;
    let flushed = telemetry.shutdown(FLUSH).await;
    eprintln!("signalbox load: {flushed}");
    let mut report = outcome?;
    report.telemetry_lost = Lost {
        spans: flushed.spans_lost,
        logs: flushed.logs_lost,
        points: flushed.points_lost,
        timed_out: flushed.timed_out,
    };
    report.thresholds = thresholds.iter().map(|threshold| threshold.judge(&report)).collect();
    say(&report.text());
    if let Some(path) = &args.report_json {
        write(path, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(path) = &args.report_html {
        write(path, &report.html())?;
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Standard output belongs to progress and report: log records go out over OTLP.
fn telemetry() -> Result<Telemetry, InvalidSetting> {
    Telemetry::init_quiet(names::SERVICE_LOAD)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("the report {} cannot be written", path.display()))
}

/// The service under load: the flag's, else `APP_URL`'s. A host that is not this machine needs `--allow-remote`.
fn resolve_host(flag: Option<String>, allow_remote: bool) -> Result<reqwest::Url, InvalidSetting> {
    let (variable, value) = match flag {
        Some(host) => ("--host", host),
        None => ("APP_URL", facts::setting("APP_URL")),
    };
    let url = reqwest::Url::parse(&value).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        return Err(InvalidSetting::new(variable, value, "an http:// or https:// address"));
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback || allow_remote {
        return Ok(url);
    }
    Err(InvalidSetting::new(
        variable,
        value,
        "this machine (localhost, 127.0.0.1, [::1]); --allow-remote allows any host",
    ))
}

/// Runs the plan to its end, or until SIGINT or SIGTERM.
async fn attack(args: &LoadArgs, host: &reqwest::Url, plan: &Plan) -> anyhow::Result<Report> {
    let stop = CancellationToken::new();
    let load = Arc::new(Load {
        client: Client::new(host.clone(), args.rate, stop.clone()),
        gate: Gate::new(plan.peak(), stop.clone()),
        think: args.rate == 0,
        stop,
    });
    let goose = prepare(host, plan.peak(), &load).context("goose refuses the load")?;
    let started = Instant::now();
    let started_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let goose = async {
        let result = goose.execute().await;
        load.stop.cancel();
        // goose's Ctrl-C handler outlives it; a first Ctrl-C during the flush must not count as a second.
        goose::reset_killswitch();
        result
    };
    let (result, seconds) = tokio::join!(goose, direct(plan, &load, Progress::new(args.quiet), started));
    result.context("goose failed")?;
    let seconds = seconds?;
    let summary = load.client.recorder.summary();
    Ok(Report {
        host: host.to_string(),
        shape: args.test_plan.clone().unwrap_or_else(|| format!("{:?}", args.shape).to_lowercase()),
        users: plan.peak(),
        started_unix_ms: u64::try_from(started_unix_ms).unwrap_or(u64::MAX),
        seconds,
        requests: summary.requests,
        failures: summary.failures,
        expected_errors: summary.expected,
        rate: if seconds > 0.0 { summary.requests as f64 / seconds } else { 0.0 },
        latency_ms: summary.latency_ms,
        by_phase: summary.by_phase,
        by_request: summary.by_request,
        statuses: summary.statuses,
        failure_kinds: summary.failure_kinds,
        thresholds: Vec::new(),
        telemetry_lost: Lost::default(),
    })
}

/// Opens the gate as the plan says and tells of each phase. Returns the seconds that the load lasted.
async fn direct(plan: &Plan, load: &Load, mut progress: Progress, started: Instant) -> anyhow::Result<f64> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let users = metrics::gauge(&names::ACTIVE_SIMULATED_USERS);
    let mut tick = tokio::time::interval(TICK);
    let mut current = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = load.stop.cancelled() => break,
        }
        // goose handles Ctrl-C too, and whoever registered last gets it.
        let Some(position) = plan.at(started.elapsed()).filter(|_| !goose::is_killswitch_triggered()) else { break };
        load.gate.open_for(position.users);
        if current != Some(position.ordinal) {
            current = Some(position.ordinal);
            let phase = position.phase;
            load.client.recorder.enter_phase(&phase.name, phase.to);
            tracing::info!(
                name: names::EVENT_LOAD_PHASE,
                { load.phase.name = %phase.name, users = phase.to },
                "phase {}: {} users", phase.name, phase.to
            );
            progress.phase(&phase.name, phase.to);
        }
        users.record(load.gate.active() as f64, &[]);
        progress.tick(load.gate.active(), &load.client.recorder);
    }
    let seconds = started.elapsed().as_secs_f64();
    load.client.recorder.end();
    load.stop.cancel();
    goose::trigger_killswitch("the plan is over");
    users.record(0.0, &[]);
    progress.end();
    Ok(seconds)
}

/// goose with `users` users, each taking turns behind the gate; nothing printed, nothing listening.
fn prepare(host: &reqwest::Url, users: usize, load: &Arc<Load>) -> Result<GooseAttack, GooseError> {
    // Field by field: the struct has private fields, and parsing would read our own arguments.
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(host.to_string());
    configuration.users = Some(users);
    // All users start at once and wait at the gate.
    configuration.increase_rate = Some("100000".to_owned());
    configuration.quiet = 2;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_telnet = true;
    let load = Arc::clone(load);
    let turn: TransactionFunction = Arc::new(move |user: &mut GooseUser| {
        let load = Arc::clone(&load);
        Box::pin(async move {
            take_turn(&load, user).await;
            Ok(())
        })
    });
    let client = GooseClientBuilder::new()
        .without_cookies()
        .timeout(REQUEST_TIMEOUT)
        .user_agent(concat!("signalbox-load/", env!("CARGO_PKG_VERSION")));
    GooseAttack::initialize_with_config(configuration)?
        .register_scenario(Scenario::new("user").register_transaction(Transaction::new(turn).set_name("turn")))
        .set_client_builder_without_cookies(client)
}

async fn take_turn(load: &Load, user: &GooseUser) {
    if !load.gate.pass(user.weighted_users_index).await {
        // goose takes up to half a second to dismiss its users: do not spin meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        return;
    }
    let turn = Turn { client: &load.client, user, think: load.think, stop: &load.stop };
    let abandon = async {
        load.stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = journeys::any(turn) => {}
        () = abandon => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_needs_no_flag() {
        for host in ["http://127.0.0.1:1", "http://localhost:8080", "http://[::1]:8080/", "https://127.9.9.9"] {
            assert!(resolve_host(Some(host.to_owned()), false).is_ok(), "{host}");
        }
    }

    #[test]
    fn another_machine_is_refused_naming_host_and_flag() {
        for host in ["http://example.com", "http://10.0.0.1:80", "http://0.0.0.0", "http://127.0.0.1.example.com"] {
            let text = resolve_host(Some(host.to_owned()), false).unwrap_err().to_string();
            assert!(text.contains(host) && text.contains("--allow-remote"), "{text}");
            assert!(resolve_host(Some(host.to_owned()), true).is_ok(), "{host}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for host in ["", "example", "ftp://127.0.0.1", "127.0.0.1:8080"] {
            assert!(resolve_host(Some(host.to_owned()), true).is_err(), "{host:?}");
        }
    }
}
