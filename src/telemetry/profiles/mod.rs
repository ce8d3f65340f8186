//! Continuous CPU profiles of this process, pushed to a Pyroscope server or to the console. Started and ended by
//! `app::run`; off unless `PYROSCOPE_URL` is set. No flame graph and no query may live here.
//!
//! `agent` (feature `pyroscope`) samples and pushes; `marks` says which span a sample belongs to. Why so:
//! `docs/adr/0011-profiles-with-marks-on-the-stack.md`.

#[cfg(feature = "pyroscope")]
mod agent;
pub mod marks;

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

use super::config::Config;
use super::self_report;
use crate::env::{InvalidSetting, parsed, text};

/// Where profiles go: an http(s) URL. Profiling is off while unset.
pub const URL: &str = "PYROSCOPE_URL";
/// Time between two pushes, 1s to 10m. Default 10s.
pub const UPLOAD_INTERVAL: &str = "PYROSCOPE_UPLOAD_INTERVAL";
/// Samples a second of CPU time, 1 to 1000. Default 100.
pub const SAMPLE_RATE: &str = "PYROSCOPE_SAMPLE_RATE";
/// Sent as `Authorization: Bearer TOKEN`.
pub const AUTH_TOKEN: &str = "PYROSCOPE_AUTH_TOKEN";

/// What the variables say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// [`URL`].
    pub url: reqwest::Url,
    /// `service.name` of everything this process sends.
    pub service: String,
    /// [`UPLOAD_INTERVAL`].
    pub interval: Duration,
    /// [`SAMPLE_RATE`], in Hz.
    pub rate: u32,
    /// [`AUTH_TOKEN`] as a header's value; `Debug` hides it.
    pub authorization: Option<HeaderValue>,
}

impl Settings {
    /// Reads the environment; `None` while [`URL`] is unset.
    ///
    /// # Errors
    /// When a variable has a value that is not allowed.
    pub fn from_env(service: &str) -> Result<Option<Self>, InvalidSetting> {
        let interval = parsed(UPLOAD_INTERVAL, "a duration from 1s to 10m", interval)?;
        let rate = parsed(SAMPLE_RATE, "a whole number from 1 to 1000", rate)?;
        let authorization = authorization(text(AUTH_TOKEN))?;
        let Some(url) = parsed(URL, "an http:// or https:// URL", http_url)? else { return Ok(None) };
        Ok(Some(Self {
            url,
            service: Config::from_env(service)?.service_name,
            interval: interval.unwrap_or(Duration::from_secs(10)),
            rate: rate.unwrap_or(100),
            authorization,
        }))
    }
}

fn http_url(value: &str) -> Option<reqwest::Url> {
    reqwest::Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn interval(value: &str) -> Option<Duration> {
    let allowed = Duration::from_secs(1)..=Duration::from_secs(600);
    humantime::parse_duration(value).ok().filter(|interval| allowed.contains(interval))
}

fn rate(value: &str) -> Option<u32> {
    value.parse().ok().filter(|rate| (1..=1000).contains(rate))
}

/// A wrong token is still a secret: the error never shows it.
fn authorization(token: Option<String>) -> Result<Option<HeaderValue>, InvalidSetting> {
    let Some(token) = token else { return Ok(None) };
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| InvalidSetting::new(AUTH_TOKEN, "***", "visible ASCII characters"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The profiler of this process, from `start` to `shutdown`.
#[derive(Debug, Default)]
pub struct Profiler {
    #[cfg(feature = "pyroscope")]
    agent: Option<agent::Agent>,
}

/// What became of the samples over the process's life.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ProfileReport {
    /// Samples that the receiver took.
    pub pushed: u64,
    /// Samples lost.
    pub lost: u64,
}

impl fmt::Display for ProfileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profiles: samples {} pushed {} lost", self.pushed, self.lost)
    }
}

impl Profiler {
    /// Starts profiling where the environment asks for it. A profiler that cannot start is said, and no reason not to
    /// serve.
    ///
    /// # Errors
    /// When a variable has a value that is not allowed.
    pub fn start(service: &str) -> Result<Self, InvalidSetting> {
        let Some(settings) = Settings::from_env(service)? else { return Ok(Self::default()) };
        Ok(Self::with(settings))
    }

    /// Starts profiling. One profiler a process: SIGPROF has one handler.
    #[cfg(feature = "pyroscope")]
    pub fn with(settings: Settings) -> Self {
        let agent = agent::Agent::start(settings)
            .inspect_err(|error| tracing::warn!(target: self_report::TARGET, error, "profiling did not start"))
            .ok();
        Self { agent }
    }

    /// Says that this binary cannot profile.
    #[cfg(not(feature = "pyroscope"))]
    pub fn with(_: Settings) -> Self {
        tracing::warn!(target: self_report::TARGET, "{URL} is set, but this binary is built without the feature `pyroscope`");
        Self::default()
    }

    /// Pushes what was sampled since the last push, within the deadline, and stops; `None` when profiling was off.
    #[cfg(feature = "pyroscope")]
    pub async fn shutdown(self, deadline: Duration) -> Option<ProfileReport> {
        match self.agent {
            Some(agent) => Some(agent.shutdown(deadline).await),
            None => None,
        }
    }

    /// Nothing to push.
    #[cfg(not(feature = "pyroscope"))]
    pub async fn shutdown(self, _: Duration) -> Option<ProfileReport> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_range_are_refused_and_a_token_is_never_shown() {
        assert_eq!((interval("900ms"), interval("2s")), (None, Some(Duration::from_secs(2))));
        assert_eq!((rate("0"), rate("1001"), rate("99")), (None, None, Some(99)));
        assert!(http_url("localhost:4040").is_none() && http_url("https://x/base").is_some());
        let error = authorization(Some("s3c\nret".to_owned())).unwrap_err().to_string();
        assert!(!error.contains("s3c") && error.contains(AUTH_TOKEN), "{error}");
        let value = authorization(Some("s3cret".to_owned())).unwrap().unwrap();
        assert!(!format!("{value:?}").contains("s3cret"));
    }
}
