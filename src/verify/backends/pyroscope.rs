//! Profiles: CPU samples of a service, a route or a span, in Pyroscope or in the console, which takes the same pushes but
//! has a query API of its own. Called by `profile_checks`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::telemetry::names::{attr, prometheus::label};

use super::BackendError;
use super::http::Http;

/// Pyroscope's name of CPU time.
const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
/// How far back samples are looked for, in milliseconds.
const LOOK_BACK_MS: f64 = 900_000.0;

/// Whose samples.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    /// All of the service.
    Service,
    /// Those taken while it served a route.
    Route(&'a str),
    /// Those taken in one span, by its `pyroscope.profile.id`.
    Span(&'a str),
}

/// Where profiles are.
#[derive(Debug, Clone)]
pub(crate) enum Profiles {
    /// In the console.
    Console(Http),
    /// In Pyroscope.
    Pyroscope(Http),
}

impl Profiles {
    /// Whichever of the two answers at an address.
    pub(crate) async fn at(http: Http) -> Result<Self, BackendError> {
        match http.get::<Value>("/api/v1/profiles", &[]).await {
            Ok(_) => Ok(Self::Console(http)),
            Err(error @ BackendError::Send { .. }) => Err(error),
            Err(_) => {
                let profiles = Self::Pyroscope(http);
                profiles.cpu("signalbox-verify-asks-whether-you-are-there", Of::Service).await?;
                Ok(profiles)
            }
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Console(_) => "the console in Pyroscope's place",
            Self::Pyroscope(_) => "Pyroscope",
        }
    }

    /// CPU time over the last quarter of an hour, in nanoseconds; 0 without a sample.
    pub(crate) async fn cpu(&self, service: &str, of: Of<'_>) -> Result<f64, BackendError> {
        match self {
            Self::Console(http) => in_console(http, service, of).await,
            Self::Pyroscope(http) => in_pyroscope(http, service, of).await,
        }
    }
}

async fn in_console(http: &Http, service: &str, of: Of<'_>) -> Result<f64, BackendError> {
    #[derive(Deserialize)]
    struct Answer {
        total: f64,
    }
    let from = format!("{:.0}", super::super::unix_ms() - LOOK_BACK_MS);
    let filter = match of {
        Of::Service => ("", ""),
        Of::Route(route) => ("route", route),
        Of::Span(id) => ("profile_id", id),
    };
    let query = [("service", service), ("type", CPU), ("from_unix_ms", &from), ("max_nodes", "1"), filter];
    Ok(http.get::<Answer>("/api/v1/profiles/flamegraph", &query).await?.total)
}

async fn in_pyroscope(http: &Http, service: &str, of: Of<'_>) -> Result<f64, BackendError> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Answer {
        flamegraph: Flamegraph,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Flamegraph {
        /// 64-bit numbers are text in protobuf's JSON; a 0 is left out.
        total: Value,
    }
    let mut selector = format!("service_name=\"{service}\"");
    if let Of::Route(route) = of {
        selector = format!("{selector},{}=\"{route}\"", label(attr::HTTP_ROUTE));
    }
    let now = super::super::unix_ms();
    let mut body = json!({
        "profileTypeID": CPU, "labelSelector": format!("{{{selector}}}"), "maxNodes": 1,
        "start": format!("{:.0}", now - LOOK_BACK_MS), "end": format!("{now:.0}"),
    });
    let call = match of {
        Of::Span(id) => {
            body["spanSelector"] = json!([id]);
            "SelectMergeSpanProfile"
        }
        _ => "SelectMergeStacktraces",
    };
    let answer: Answer = http.post(&format!("/querier.v1.QuerierService/{call}"), &body).await?;
    let total = &answer.flamegraph.total;
    Ok(total.as_f64().or_else(|| total.as_str()?.parse().ok()).unwrap_or_default())
}
