//! What a panel needs beyond the core stack, so that an empty panel says why. Called by `panel` and by the test that asks
//! every panel's query. No panel here.

/// What must run, or have happened, before a panel has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The core stack and some load.
    Nothing,
    /// The node exporter or the collector's host metrics: variant `lgtm`.
    HostMetrics,
    /// Tempo.
    Tempo,
    /// Metrics made of spans by the collector: variant `lgtm`.
    SpanMetrics,
    /// A service graph, which Tempo's metrics generator or the collector makes of spans: variant `lgtm`.
    ServiceGraph,
    /// A browser that sends Faro data: variant `lgtm`.
    Browser,
    /// Pyroscope: variant `lgtm`.
    Pyroscope,
    /// An alert that fires.
    FiringAlert,
    /// The collector scrapes the backends: variant `lgtm`.
    BackendMetrics,
}

impl Needs {
    /// The last sentence of the panel's description; empty where the core stack is enough. `verify` reads "Needs".
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::HostMetrics => " Needs the node exporter or host metrics (lgtm).",
            Self::Tempo => " Needs Tempo.",
            Self::SpanMetrics => " Needs span metrics (lgtm).",
            Self::ServiceGraph => " Needs a service graph (lgtm).",
            Self::Browser => " Needs Faro data of a browser (lgtm).",
            Self::Pyroscope => " Needs Pyroscope (lgtm).",
            Self::FiringAlert => " Needs an alert that fires.",
            Self::BackendMetrics => " Needs scraped backends (lgtm).",
        }
    }
}
