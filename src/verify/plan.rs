//! Which backends a stack has and which of them answer. Called by `verify::run` before anything is sent: what should be
//! there and is not is said at once, with its address and variable. No check of a signal may live here.

use std::time::{Duration, Instant};

use crate::cli::{Stack, VerifyArgs};
use crate::env::{self, InvalidSetting};
use crate::facts;

use super::backends::console::Console;
use super::backends::grafana::Grafana;
use super::backends::http::{Auth, Http};
use super::backends::loki::Loki;
use super::backends::prometheus::Prometheus;
use super::backends::pyroscope::Profiles;
use super::backends::tempo::Tempo;
use super::backends::{BackendError, Backends, Logs, Metrics, Traces};
use super::check::Verdict;

/// Longest wait for a backend that answers, but not yet with data.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(250);

/// What is asked, and what was settled before anything was sent.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Where the signals are.
    pub(crate) backends: Backends,
    /// Prometheus or Mimir, for what only it knows: rules, series of other programs.
    pub(crate) prometheus: Option<Prometheus>,
    /// Grafana, where it runs.
    pub(crate) grafana: Option<Grafana>,
    /// Where profiles are, where the service profiles.
    pub(crate) profiles: Option<Profiles>,
    /// Who is asked for what, for the heading.
    pub(crate) asked: Vec<String>,
    /// Programs that are missing: failed where the stack must have them, else skipped.
    pub(crate) settled: Vec<(String, Verdict)>,
}

/// An `http://` or `https://` address of the setting.
pub(crate) fn address(setting: &str, url: String) -> Result<String, InvalidSetting> {
    match reqwest::Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(url),
        _ => Err(InvalidSetting::new(setting, url, "an http:// or https:// address")),
    }
}

/// The address in a variable, from the environment or the environment file.
pub(crate) fn variable(name: &str) -> Result<String, InvalidSetting> {
    address(name, facts::setting(name))
}

/// The plan for a stack.
///
/// # Errors
/// When an address is none.
pub(crate) async fn plan(args: &VerifyArgs) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    if args.stack == Stack::Console {
        let url = variable("CONSOLE_URL")?;
        plan.backends = Backends::console(&console(&url)?);
        plan.asked.push(format!("console {url}"));
        return Ok(plan);
    }
    plan.grafana(args).await?;
    // Where Grafana is given by hand it is the way in: a load balancer shows it and nothing behind it.
    let through = plan.grafana.clone().filter(|_| args.grafana.is_some());
    plan.metrics(args.stack, through.as_ref()).await?;
    plan.logs(through.as_ref()).await?;
    plan.traces(args.stack, through.as_ref()).await?;
    plan.profiles(args.stack, through.as_ref()).await?;
    Ok(plan)
}

/// The console at an address.
pub(crate) fn console(url: &str) -> Result<Console, BackendError> {
    Ok(Console::new(Http::new(url, Auth::bearer(env::text("SIGNALBOX_TOKEN")))?))
}

/// Asks until it answers, it cannot be reached at all, or the patience is over.
async fn ready<A>(mut ask: A) -> Result<(), BackendError>
where
    A: AsyncFnMut() -> Result<(), BackendError>,
{
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match ask().await {
            Err(BackendError::Status { status: 500.., .. }) if Instant::now() < deadline => {}
            other => return other,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Plan {
    fn skip(&mut self, program: &str, why: String) {
        self.settled.push((program.to_owned(), Verdict::Skipped(why)));
    }

    fn fail(&mut self, program: &str, why: String) {
        self.settled.push((program.to_owned(), Verdict::Failed(why)));
    }

    async fn grafana(&mut self, args: &VerifyArgs) -> anyhow::Result<()> {
        let given = args.grafana.is_some();
        let setting = if given { "--grafana" } else { "GRAFANA_URL" };
        let url = args.grafana.clone().unwrap_or_else(|| facts::setting("GRAFANA_URL"));
        if url.is_empty() {
            self.skip("Grafana", "GRAFANA_URL is not set".to_owned());
            return Ok(());
        }
        let grafana = Grafana::from_env(&address(setting, url.clone())?)?;
        match ready(async || grafana.ready().await).await {
            Ok(()) => {
                self.asked.push(format!("Grafana {url}"));
                self.grafana = Some(grafana);
            }
            Err(error) if given => self.fail("Grafana", format!("does not answer ({setting}={url}: {error})")),
            Err(error) => self.skip("Grafana", format!("does not run ({setting}={url}: {error})")),
        }
        Ok(())
    }

    async fn metrics(&mut self, stack: Stack, through: Option<&Grafana>) -> anyhow::Result<()> {
        let mimir = |url: &str| Http::new(url, Auth::None).map(|http| http.below("/prometheus"));
        let prometheus = |url: &str| Http::new(url, Auth::None);
        if let Some(grafana) = through {
            self.take_metrics("metrics", "Grafana's datasource", grafana.behind("metrics")).await;
            return Ok(());
        }
        if stack == Stack::Lgtm {
            let url = variable("MIMIR_URL")?;
            let candidate = Prometheus::new(mimir(&url)?);
            match ready(async || candidate.ready().await).await {
                Ok(()) => {
                    if candidate.is_mimir().await {
                        self.asked.push(format!("metrics: Mimir {url}"));
                    } else {
                        self.asked.push(format!("metrics: Prometheus {url} in Mimir's place"));
                        self.skip("Mimir", format!("does not run; Prometheus answers in its place (MIMIR_URL={url})"));
                    }
                    self.prometheus = Some(candidate.clone());
                    self.backends.metrics = Some(Metrics::Prometheus(candidate));
                    return Ok(());
                }
                Err(error) => {
                    self.skip("Mimir", format!("does not run (MIMIR_URL={url}: {error}); Prometheus in its place"));
                }
            }
        }
        let url = variable("PROMETHEUS_URL")?;
        self.take_metrics("Prometheus", &format!("PROMETHEUS_URL={url}"), prometheus(&url)?).await;
        Ok(())
    }

    async fn take_metrics(&mut self, program: &str, setting: &str, http: Http) {
        let base = http.base().to_owned();
        let candidate = Prometheus::new(http);
        match ready(async || candidate.ready().await).await {
            Ok(()) => {
                self.asked.push(format!("metrics: {program} {base}"));
                self.prometheus = Some(candidate.clone());
                self.backends.metrics = Some(Metrics::Prometheus(candidate));
            }
            Err(error) => self.fail(program, format!("does not answer ({setting}: {error})")),
        }
    }

    async fn logs(&mut self, through: Option<&Grafana>) -> anyhow::Result<()> {
        let (program, setting, http) = match through {
            Some(grafana) => ("logs", "Grafana's datasource".to_owned(), grafana.behind("logs")),
            None => {
                let url = variable("LOKI_URL")?;
                ("Loki", format!("LOKI_URL={url}"), Http::new(&url, Auth::None)?)
            }
        };
        let base = http.base().to_owned();
        let candidate = Loki::new(http);
        match ready(async || candidate.ready().await).await {
            Ok(()) => {
                self.asked.push(format!("logs: {program} {base}"));
                self.backends.logs = Some(Logs::Loki(candidate));
            }
            Err(error) => self.fail(program, format!("does not answer ({setting}: {error})")),
        }
        Ok(())
    }

    async fn traces(&mut self, stack: Stack, through: Option<&Grafana>) -> anyhow::Result<()> {
        if let Some(grafana) = through {
            let candidate = Tempo::new(grafana.behind("traces"));
            match ready(async || candidate.ready().await).await {
                Ok(()) => {
                    self.asked.push("traces: Tempo behind Grafana".to_owned());
                    self.backends.traces = Some(Traces::Tempo(candidate));
                }
                // X-Ray is no datasource that passes questions on; its own checks look there.
                Err(_) if stack == Stack::Aws => {}
                Err(error) => self.fail("Tempo", format!("does not answer (Grafana's datasource traces: {error})")),
            }
            return Ok(());
        }
        let url = variable("TEMPO_URL")?;
        let candidate = Tempo::new(Http::new(&url, Auth::None)?);
        let lacking = match ready(async || candidate.ready().await).await {
            Ok(()) => {
                self.asked.push(format!("traces: Tempo {url}"));
                self.backends.traces = Some(Traces::Tempo(candidate));
                return Ok(());
            }
            Err(error) => format!("TEMPO_URL={url}: {error}"),
        };
        let url = variable("CONSOLE_URL")?;
        let candidate = console(&url)?;
        match candidate.ready().await {
            Ok(()) => {
                self.asked.push(format!("traces: the console {url} in Tempo's place"));
                self.backends.traces = Some(Traces::Console(candidate));
                self.skip("Tempo", format!("does not run ({lacking}); the console in its place"));
            }
            // On AWS itself there is neither: X-Ray's own checks look for the traces.
            Err(_) if stack == Stack::Aws => {}
            Err(error) => {
                let console = format!("nor the console in its place (CONSOLE_URL={url}: {error})");
                self.fail("Tempo", format!("does not answer ({lacking}), {console}"));
            }
        }
        Ok(())
    }

    /// Only `lgtm` promises profiles; any stack may have them.
    async fn profiles(&mut self, stack: Stack, through: Option<&Grafana>) -> anyhow::Result<()> {
        let url = facts::setting("PYROSCOPE_URL");
        let token = env::text("PYROSCOPE_AUTH_TOKEN").or_else(|| env::text("SIGNALBOX_TOKEN"));
        let (setting, http) = match through {
            Some(grafana) if stack == Stack::Lgtm => ("Grafana's datasource".to_owned(), grafana.behind("profiles")),
            _ if url.is_empty() => {
                if stack == Stack::Lgtm {
                    self.skip("Pyroscope", "PYROSCOPE_URL is not set, so the service does not profile".to_owned());
                }
                return Ok(());
            }
            _ => {
                let url = address("PYROSCOPE_URL", url)?;
                (format!("PYROSCOPE_URL={url}"), Http::new(&url, Auth::bearer(token))?)
            }
        };
        match Profiles::at(http).await {
            Ok(profiles) => {
                self.asked.push(format!("profiles: {}", profiles.name()));
                self.profiles = Some(profiles);
            }
            Err(error) => self.fail("Pyroscope", format!("does not answer ({setting}: {error})")),
        }
        Ok(())
    }
}
