//! Pyroscope: the CPU profile of a service by its render API, which the console answers too. Called by `profile_checks`.

use serde::Deserialize;

use super::BackendError;
use super::http::Http;

/// Pyroscope's name of CPU time.
const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

/// A query API of profiles.
#[derive(Debug, Clone)]
pub(crate) struct Pyroscope {
    http: Http,
}

#[derive(Deserialize)]
struct Answer {
    flamebearer: Flamebearer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flamebearer {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    num_ticks: f64,
}

impl Pyroscope {
    /// The query API at an address.
    pub(crate) fn new(http: Http) -> Self {
        Self { http }
    }

    /// Names of the functions in the CPU profile of a service over the last quarter of an hour; empty without one.
    pub(crate) async fn frames(&self, service: &str, labels: &[(&str, &str)]) -> Result<Vec<String>, BackendError> {
        let labels = labels.iter().map(|(key, value)| format!(",{key}=\"{value}\"")).collect::<String>();
        let query = format!("{CPU}{{service_name=\"{service}\"{labels}}}");
        let query = [("query", query.as_str()), ("from", "now-15m"), ("until", "now"), ("format", "json")];
        let answer: Answer = self.http.get("/pyroscope/render", &query).await?;
        let profile = answer.flamebearer;
        Ok(if profile.num_ticks > 0.0 { profile.names } else { Vec::new() })
    }
}
