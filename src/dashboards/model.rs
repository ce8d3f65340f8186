//! The part of Grafana's dashboard JSON (classic model, as Grafana 13 provisions it) that the dashboards use. Filled by
//! `panel` and `board`, written by `mod`; tests/grafana-schema checks it against Grafana's own types. No queries, no style.

use serde::Serialize;
use serde_json::Value;

/// Version of the JSON schema that Grafana 13 writes.
pub(super) const SCHEMA_VERSION: u32 = 42;

/// A datasource of configs/grafana/provisioning/datasources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Prometheus, Mimir or AMP.
    Metrics,
    /// Loki.
    Logs,
    /// Tempo.
    Traces,
    /// Pyroscope.
    Profiles,
}

impl Source {
    /// Its stable uid.
    #[must_use]
    pub const fn uid(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Profiles => "profiles",
        }
    }

    /// Id of its Grafana plugin.
    #[must_use]
    pub const fn plugin(self) -> &'static str {
        match self {
            Self::Metrics => "prometheus",
            Self::Logs => "loki",
            Self::Traces => "tempo",
            Self::Profiles => "grafana-pyroscope-datasource",
        }
    }
}

/// How the JSON refers to a datasource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SourceRef {
    #[serde(rename = "type")]
    kind: &'static str,
    uid: &'static str,
}

impl SourceRef {
    /// A panel whose queries ask several datasources.
    pub(super) const MIXED: Self = Self { kind: "datasource", uid: "-- Mixed --" };
}

impl From<Source> for SourceRef {
    fn from(source: Source) -> Self {
        Self { kind: source.plugin(), uid: source.uid() }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dashboard {
    pub(super) annotations: List,
    pub(super) description: String,
    pub(super) editable: bool,
    pub(super) graph_tooltip: u8,
    pub(super) links: Vec<DashboardLink>,
    pub(super) panels: Vec<Item>,
    pub(super) refresh: &'static str,
    pub(super) schema_version: u32,
    pub(super) tags: Vec<&'static str>,
    pub(super) templating: List,
    pub(super) time: TimeRange,
    pub(super) timepicker: TimePicker,
    pub(super) timezone: &'static str,
    pub(super) title: String,
    pub(super) uid: String,
}

/// Annotations and variables are lists in an object.
#[derive(Debug, Clone, Serialize)]
pub(super) struct List {
    pub(super) list: Vec<Value>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct TimeRange {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct TimePicker {
    pub(super) refresh_intervals: Vec<&'static str>,
}

/// A link at the top of a dashboard.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DashboardLink {
    pub(super) as_dropdown: bool,
    pub(super) icon: &'static str,
    pub(super) include_vars: bool,
    pub(super) keep_time: bool,
    pub(super) tags: Vec<&'static str>,
    pub(super) target_blank: bool,
    pub(super) title: &'static str,
    pub(super) tooltip: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) url: String,
}

/// A panel, or the heading of a section.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "a few dozen live for the length of a run")]
pub(super) enum Item {
    Panel(PanelJson),
    Heading(Heading),
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heading {
    pub(super) collapsed: bool,
    pub(super) grid_pos: GridPos,
    pub(super) id: u32,
    pub(super) panels: [(); 0],
    pub(super) title: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PanelJson {
    pub(super) datasource: SourceRef,
    pub(super) description: String,
    pub(super) field_config: FieldConfigSource,
    pub(super) grid_pos: GridPos,
    pub(super) id: u32,
    pub(super) options: Value,
    pub(super) targets: Vec<Value>,
    pub(super) title: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) transformations: Vec<Value>,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

/// Place in a grid of 24 columns; a unit of height is 30 pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct GridPos {
    pub(super) h: u32,
    pub(super) w: u32,
    pub(super) x: u32,
    pub(super) y: u32,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct FieldConfigSource {
    pub(super) defaults: FieldConfig,
    pub(super) overrides: Vec<Override>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FieldConfig {
    pub(super) color: Value,
    pub(super) custom: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decimals: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) links: Vec<DataLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<f64>,
    pub(super) thresholds: Thresholds,
    pub(super) unit: &'static str,
}

/// A link on a series, a cell or a value.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataLink {
    pub(super) target_blank: bool,
    pub(super) title: &'static str,
    pub(super) url: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Thresholds {
    pub(super) mode: &'static str,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    pub(super) color: &'static str,
    pub(super) value: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Override {
    pub(super) matcher: Matcher,
    pub(super) properties: Vec<Property>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Matcher {
    pub(super) id: &'static str,
    pub(super) options: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Property {
    pub(super) id: &'static str,
    pub(super) value: Value,
}
