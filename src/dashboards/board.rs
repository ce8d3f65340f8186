//! A dashboard before it is JSON: rows of panels, laid out and numbered in reading order; variables follow from the
//! queries. Called by the boards and by `mod`. No panel and no query here.

use serde_json::{Value, json};

use super::foreign::slo;
use super::links;
use super::model::{Dashboard, GridPos, Heading, Item, List, SCHEMA_VERSION, Source, SourceRef, TimePicker, TimeRange};
use super::panel::Panel;
use super::queries::{JOB, SERVICE_NAME, of, of_service, route_label, series};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{HTTP_SERVER_REQUEST_DURATION, SDK_EXPORTER_METRIC_EXPORTED, SERVICE_LOAD, attr};

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

/// Where the choice of services comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Services {
    /// Those that serve HTTP.
    Servers,
    /// Everything that sends metrics.
    All,
    /// Everything that sends logs.
    Loggers,
    /// Those with an SLO.
    WithSlo,
}

enum Row {
    Heading(&'static str),
    Panels(u32, Vec<Panel>),
}

/// A dashboard.
pub(super) struct Board {
    pub(super) name: &'static str,
    title: &'static str,
    description: &'static str,
    services: Services,
    refresh: &'static str,
    phases: bool,
    rows: Vec<Row>,
}

impl Board {
    pub(super) fn new(name: &'static str, title: &'static str, description: &'static str) -> Self {
        Self { name, title, description, services: Services::Servers, refresh: "10s", phases: false, rows: Vec::new() }
    }

    pub(super) fn services(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    /// How often it asks again, such as `5s`.
    pub(super) fn refresh(mut self, every: &'static str) -> Self {
        self.refresh = every;
        self
    }

    /// Marks the phases of the load on every chart.
    pub(super) fn load_phases(mut self) -> Self {
        self.phases = true;
        self
    }

    pub(super) fn heading(mut self, title: &'static str) -> Self {
        self.rows.push(Row::Heading(title));
        self
    }

    /// Panels side by side, all of one height.
    pub(super) fn row(mut self, height: u32, panels: impl Into<Vec<Panel>>) -> Self {
        self.rows.push(Row::Panels(height, panels.into()));
        self
    }

    pub(super) fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| match row {
            Row::Heading(_) => [].iter(),
            Row::Panels(_, panels) => panels.iter(),
        })
    }

    pub(super) fn dashboard(&self) -> Dashboard {
        let panels = self.laid_out();
        let annotations = if self.phases { vec![load_phases()] } else { Vec::new() };
        let text = json!(panels).to_string();
        Dashboard {
            annotations: List { list: annotations },
            description: self.description.to_owned(),
            editable: false,
            graph_tooltip: 1,
            links: links::top(self.name),
            panels,
            refresh: self.refresh,
            schema_version: SCHEMA_VERSION,
            tags: vec![links::TAG],
            templating: List { list: self.variables(&text) },
            time: TimeRange { from: "now-15m", to: "now" },
            timepicker: TimePicker { refresh_intervals: vec!["5s", "10s", "30s", "1m", "5m", "15m", "1h"] },
            timezone: "browser",
            title: self.title.to_owned(),
            uid: links::uid(self.name),
        }
    }

    fn laid_out(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut y = 0;
        let mut next = 0..;
        for row in &self.rows {
            let mut id = || next.next().map_or(0, |index: u32| index + 1);
            match row {
                Row::Heading(title) => {
                    let grid_pos = GridPos { h: 1, w: COLUMNS, x: 0, y };
                    items.push(Item::Heading(Heading {
                        collapsed: false,
                        grid_pos,
                        id: id(),
                        panels: [],
                        title,
                        kind: "row",
                    }));
                    y += 1;
                }
                Row::Panels(h, panels) => {
                    let fixed: u32 = panels.iter().filter_map(|panel| panel.width).sum();
                    let sharing = panels.iter().filter(|panel| panel.width.is_none()).count();
                    let share = (COLUMNS - fixed.min(COLUMNS)) / u32::try_from(sharing.max(1)).unwrap_or(1);
                    let mut x = 0;
                    for panel in panels {
                        let w = panel.width.unwrap_or(share);
                        items.push(Item::Panel(panel.placed(id(), GridPos { h: *h, w, x, y })));
                        x += w;
                    }
                    y += h;
                }
            }
        }
        items
    }

    /// The variables that the panels use, in the order in which one chooses.
    fn variables(&self, text: &str) -> Vec<Value> {
        let used = |name: &str| text.contains(&format!("${name}")) || text.contains(&format!("${{{name}"));
        let mut variables = Vec::new();
        let route = used("route");
        if used("service") || route {
            variables.push(self.service_variable());
        }
        if route {
            let routes = of(&HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB)]);
            let query = label_values(&routes, &route_label());
            variables.push(choice("route", "Route", "Which routes", ".*", Source::Metrics, &query));
        }
        if used("slo") {
            let query = label_values(&series(slo::INFO, &[&of_service(slo::SERVICE)]), slo::NAME);
            variables.push(choice("slo", "SLO", "Which objectives", ".+", Source::Metrics, &query));
        }
        if used("severity") {
            variables.push(severities());
        }
        if used("search") {
            variables.push(json!({
                "name": "search", "label": "Search", "description": "Lines that match this regular expression, in either case",
                "type": "textbox", "query": "", "current": { "text": "", "value": "" },
                "options": [{ "selected": true, "text": "", "value": "" }],
            }));
        }
        variables
    }

    fn service_variable(&self) -> Value {
        let (source, query) = match self.services {
            Services::Servers => (Source::Metrics, label_values(&of(&HTTP_SERVER_REQUEST_DURATION, &[]), JOB)),
            Services::All => (Source::Metrics, label_values(&of(&SDK_EXPORTER_METRIC_EXPORTED, &[]), JOB)),
            Services::WithSlo => (Source::Metrics, label_values(slo::INFO, slo::SERVICE)),
            Services::Loggers => {
                let query = json!({ "label": SERVICE_NAME, "refId": "service", "stream": "", "type": 1 });
                (Source::Logs, query)
            }
        };
        choice("service", "Service", "Which services", ".+", source, &query)
    }
}

/// A query variable of Prometheus: the values of a label.
fn label_values(series: &str, label: &str) -> Value {
    json!({ "qryType": 1, "query": format!("label_values({series}, {label})"), "refId": "values" })
}

/// Several values or all. `all` is what "All" becomes: Loki refuses a stream selector that matches the empty string.
fn choice(name: &str, label: &str, description: &str, all: &str, source: Source, query: &Value) -> Value {
    json!({
        "name": name, "label": label, "description": description, "type": "query",
        "datasource": SourceRef::from(source), "query": query, "refresh": 2, "sort": 1,
        "multi": true, "includeAll": true, "allValue": all, "current": { "text": ["All"], "value": ["$__all"] },
        "options": [],
    })
}

fn severities() -> Value {
    let levels = ["DEBUG", "INFO", "WARN", "ERROR"];
    let options = levels.map(|level| json!({ "selected": false, "text": level, "value": level }));
    json!({
        "name": "severity", "label": "Severity", "description": "Which severities", "type": "custom",
        "query": levels.join(","), "options": options,
        "multi": true, "includeAll": true, "allValue": ".*", "current": { "text": ["All"], "value": ["$__all"] },
    })
}

/// Marks of the load tester's phases.
fn load_phases() -> Value {
    let phase = label(attr::LOAD_PHASE_NAME);
    json!({
        "name": "Load phases", "enable": true, "hide": false, "iconColor": "purple",
        "datasource": SourceRef::from(Source::Logs),
        "expr": format!("{{{SERVICE_NAME}=\"{SERVICE_LOAD}\"}} | {phase}!=\"\""),
        "titleFormat": format!("{{{{{phase}}}}}"), "tagKeys": phase, "textFormat": "",
    })
}
