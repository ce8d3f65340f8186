//! What an alert is, and the few PromQL idioms that several share. Used by every module of `alerts`; no alert may be
//! defined here, and no file format known.

use std::collections::BTreeMap;

use crate::dashboards::boards;
use crate::dashboards::model::Item;

/// `job` of what the collector scrapes from itself (`configs/collector/core.yaml`).
pub(super) const COLLECTOR_JOB: &str = "collector";

/// How soon somebody must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Now: users notice, or telemetry is being lost.
    Critical,
    /// In working hours.
    Warning,
}

impl Severity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// When the value alerts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// Above this.
    Above(f64),
    /// Below this.
    Below(f64),
    /// When the expression has any result: it holds its own bound.
    Any,
}

/// Where an alert's data comes from; it decides in which variants the rule can fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// What the service and the load tester push.
    Pushed,
    /// What the collector scrapes from itself.
    Collector,
    /// What the collector scrapes from the node exporter.
    NodeExporter,
    /// What Prometheus or Mimir record from `configs/prometheus/rules/slo.yaml`.
    SloRules,
}

/// Groups of rules, in both formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// What users of the service notice.
    Service,
    /// Telemetry on its way.
    Pipeline,
    /// The machine.
    Host,
    /// Error budgets; Prometheus has these from sloth.
    Slo,
}

impl Group {
    pub(super) const ALL: [Self; 4] = [Self::Service, Self::Pipeline, Self::Host, Self::Slo];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "signalbox-service",
            Self::Pipeline => "signalbox-pipeline",
            Self::Host => "signalbox-host",
            Self::Slo => "signalbox-slo",
        }
    }
}

/// One alert. Texts are Prometheus templates: `$labels.NAME`, and `$value` for the value that was compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    /// Name in `PascalCase`; its runbook is the same in kebab-case.
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) severity: Severity,
    /// `PromQL` of the value, without the bound.
    pub(super) value: String,
    pub(super) bound: Bound,
    /// How long it must hold, such as `5m`.
    pub(super) wait: &'static str,
    /// What it says in a row of a table, with the bound.
    pub(super) condition: String,
    /// One line, with the label that tells instances apart.
    pub(super) summary: String,
    /// What is measured, with the value.
    pub(super) description: String,
    /// Uid of the dashboard to open first, without `signalbox-`.
    pub(super) dashboard: &'static str,
    /// Title of the panel in it, after the title of its section and ` / ` where it has one.
    pub(super) panel: &'static str,
    pub(super) data: Data,
}

impl Alert {
    /// `error-rate-high` of `ErrorRateHigh`.
    pub(super) fn kebab(&self) -> String {
        let mut text = String::new();
        for c in self.name.chars() {
            if c.is_ascii_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.push(c.to_ascii_lowercase());
        }
        text
    }

    /// Path of its runbook from the checkout's root.
    pub(super) fn runbook(&self) -> String {
        format!("docs/runbooks/{}.md", self.kebab())
    }

    /// Uid of its dashboard.
    pub(super) fn dashboard_uid(&self) -> String {
        format!("signalbox-{}", self.dashboard)
    }

    /// Id of that panel, where the dashboard has it.
    pub(super) fn panel_id(&self) -> Option<u32> {
        let (section, title) = self.panel.split_once(" / ").map_or((None, self.panel), |(s, title)| (Some(s), title));
        let board = boards::all().into_iter().find(|board| board.name == self.dashboard)?;
        let mut heading = None;
        board.dashboard().panels.iter().find_map(|item| match item {
            Item::Heading(item) => {
                heading = Some(item.title);
                None
            }
            Item::Panel(panel) => (heading == section && panel.title == title).then_some(panel.id),
        })
    }

    /// `PromQL` whose every result is an alert.
    pub(super) fn expr(&self) -> String {
        match self.bound {
            Bound::Above(bound) => format!("{}\n> {bound}", self.value),
            Bound::Below(bound) => format!("{}\n< {bound}", self.value),
            Bound::Any => self.value.clone(),
        }
    }

    /// Annotations, with `$value` read as `value`.
    pub(super) fn annotations(&self, value: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("summary", self.summary.clone()),
            ("description", self.description.replace("$value", value)),
            ("dashboard_uid", self.dashboard_uid()),
            // Relative to Grafana: a rule file cannot know its address.
            ("dashboard_url", format!("/d/{}", self.dashboard_uid())),
            ("panel", self.panel.to_owned()),
            ("runbook", self.runbook()),
        ])
    }
}

/// A counter's growth over 5 minutes, where it grew. A counter that was born meanwhile counts whole: `increase` alone
/// never sees the first failures of a series that appears with them.
pub(super) fn grew(by: &str, series: &str) -> String {
    format!("sum by ({by}) ((increase({series}[5m]) > 0) or ({series} unless {series} offset 5m))")
}

/// The same of several counters, told apart by the label `signal`.
pub(super) fn any_grew(by: &str, counters: &[(&str, impl AsRef<str>)]) -> String {
    let each = |(signal, series): &(&str, _)| {
        let series = AsRef::<str>::as_ref(series);
        format!("label_replace({}, \"signal\", \"{signal}\", \"\", \"\")", grew(by, series))
    };
    format!("sum by ({by}, signal) (\n  {}\n)", counters.iter().map(each).collect::<Vec<_>>().join("\n  or\n  "))
}
