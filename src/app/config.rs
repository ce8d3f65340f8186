//! The service's settings, one documented constant per variable. Called by `app::run`; tests make a [`Config`] by hand.
//! No other file of the service may read the environment.

use std::fmt;
use std::time::Duration;

use crate::env::{InvalidSetting, parsed, text};

/// What `GET /external` calls: an http(s) URL. Default: the service's own `/api/data`.
pub const EXTERNAL_URL: &str = "EXTERNAL_URL";
/// The store: `sqlite::memory:` (default), `sqlite://FILE`, or `postgres://USER:PASSWORD@HOST/DATABASE`.
pub const DATABASE_URL: &str = "DATABASE_URL";
/// Records a second of the background log generator: 0 (off) to 1000, fractions allowed. Default 2.
pub const LOG_GENERATOR_RATE: &str = "LOG_GENERATOR_RATE";
/// Longest a request may take before it is answered 504; half of it is what its body may take (408). Default 15s.
pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// Most requests in progress; one more is answered 503 with Retry-After. Default 512.
pub const CONCURRENCY_LIMIT: &str = "CONCURRENCY_LIMIT";
/// How long requests in progress may take to end after SIGTERM. Default 10s.
pub const DRAIN_TIMEOUT: &str = "DRAIN_TIMEOUT";

/// A database URL whose password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub String);

impl DatabaseUrl {
    /// The URL without user, password and query, fit for logs.
    pub fn redacted(&self) -> String {
        match reqwest::Url::parse(&self.0) {
            Ok(url) if url.has_host() => {
                let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
                format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
            }
            Ok(url) => format!("{}:{}", url.scheme(), url.path()),
            Err(_) => "***".to_owned(),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// The service's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// [`EXTERNAL_URL`]; `None` means the service itself.
    pub external_url: Option<reqwest::Url>,
    /// [`DATABASE_URL`].
    pub database_url: DatabaseUrl,
    /// [`LOG_GENERATOR_RATE`], in records a second.
    pub log_generator_rate: f64,
    /// [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// [`CONCURRENCY_LIMIT`].
    pub concurrency_limit: usize,
    /// [`DRAIN_TIMEOUT`].
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            external_url: None,
            database_url: DatabaseUrl("sqlite::memory:".to_owned()),
            log_generator_rate: 2.0,
            request_timeout: Duration::from_secs(15),
            concurrency_limit: 512,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a variable has a value that is not allowed.
    pub fn from_env() -> Result<Self, InvalidSetting> {
        let default = Self::default();
        Ok(Self {
            external_url: parsed(EXTERNAL_URL, "an http:// or https:// URL", http_url)?,
            database_url: database_url()?.unwrap_or(default.database_url),
            log_generator_rate: parsed(LOG_GENERATOR_RATE, "a number from 0 (off) to 1000", rate)?
                .unwrap_or(default.log_generator_rate),
            request_timeout: parsed(REQUEST_TIMEOUT, DURATION, positive_duration)?.unwrap_or(default.request_timeout),
            concurrency_limit: parsed(CONCURRENCY_LIMIT, "a whole number from 1 to 100000", limit)?
                .unwrap_or(default.concurrency_limit),
            drain_timeout: parsed(DRAIN_TIMEOUT, DURATION, positive_duration)?.unwrap_or(default.drain_timeout),
        })
    }
}

const DURATION: &str = "a duration above zero, such as 500ms, 15s or 1m";

fn http_url(value: &str) -> Option<reqwest::Url> {
    reqwest::Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn rate(value: &str) -> Option<f64> {
    value.parse().ok().filter(|rate| (0.0..=1000.0).contains(rate))
}

fn positive_duration(value: &str) -> Option<Duration> {
    humantime::parse_duration(value).ok().filter(|duration| !duration.is_zero())
}

fn limit(value: &str) -> Option<usize> {
    value.parse().ok().filter(|limit| (1..=100_000).contains(limit))
}

/// A wrong URL may hold a password: the error never shows it.
fn database_url() -> Result<Option<DatabaseUrl>, InvalidSetting> {
    let Some(url) = text(DATABASE_URL) else { return Ok(None) };
    if ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        Ok(Some(DatabaseUrl(url)))
    } else {
        Err(InvalidSetting::new(DATABASE_URL, "***", "sqlite::memory:, sqlite://FILE or postgres://..."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_never_shows_its_password() {
        let url = DatabaseUrl("postgres://ada:s3cret@db:5432/tasks?password=s3cret".to_owned());
        assert_eq!(format!("{url:?}"), "postgres://db:5432/tasks");
        assert_eq!(DatabaseUrl("sqlite::memory:".to_owned()).redacted(), "sqlite::memory:");
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        assert_eq!((rate("-1"), rate("NaN"), rate("0")), (None, None, Some(0.0)));
        assert_eq!((limit("0"), limit("512")), (None, Some(512)));
        assert_eq!((positive_duration("0s"), positive_duration("2s")), (None, Some(Duration::from_secs(2))));
        assert!(http_url("ftp://x/").is_none() && http_url("http://x/").is_some());
    }
}
