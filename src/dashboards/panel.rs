//! Panels: one function a kind, one style for all. Called by the boards, which say what to ask and where it stands.
//! No query text here.

use serde_json::{Value, json};

use super::links::Link;
use super::model::{
    DataLink, FieldConfig, FieldConfigSource, GridPos, Matcher, Override, PanelJson, Property, Source, SourceRef, Step,
    Thresholds,
};
use super::needs::Needs;
use super::queries::Query;

pub(super) const GREEN: &str = "green";
pub(super) const YELLOW: &str = "yellow";
pub(super) const RED: &str = "red";
pub(super) const BLUE: &str = "blue";

/// Units, by Grafana's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is its name")]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Ratio,
    RequestsPerSecond,
    PerSecond,
    Bytes,
    BytesPerSecond,
    Count,
    /// A number with no unit, such as a burn rate or a layout shift.
    Plain,
}

impl Unit {
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Ratio => "percentunit",
            Self::RequestsPerSecond => "reqps",
            Self::PerSecond => "cps",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "Bps",
            Self::Count => "short",
            Self::Plain => "none",
        }
    }
}

/// A panel before it has a place.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    kind: &'static str,
    title: &'static str,
    description: &'static str,
    source: Source,
    pub(super) queries: Vec<Query>,
    pub(super) needs: Needs,
    pub(super) width: Option<u32>,
    field: FieldConfig,
    overrides: Vec<Override>,
    options: Value,
    transformations: Vec<Value>,
}

impl Panel {
    fn new(kind: &'static str, source: Source, text: (&'static str, &'static str), unit: Unit, options: Value) -> Self {
        let (title, description) = text;
        Self {
            kind,
            title,
            description,
            source,
            queries: Vec::new(),
            needs: Needs::Nothing,
            width: None,
            field: FieldConfig {
                color: json!({ "mode": "palette-classic" }),
                custom: json!({}),
                decimals: None,
                links: Vec::new(),
                max: None,
                min: None,
                thresholds: thresholds(&[], GREEN),
                unit: unit.id(),
            },
            overrides: Vec::new(),
            options,
            transformations: Vec::new(),
        }
    }

    /// What it asks; the first query says which datasource the panel names.
    pub(super) fn ask(mut self, query: Query) -> Self {
        if self.queries.is_empty() {
            self.source = query.source;
        }
        self.queries.push(query);
        self
    }

    /// Says that it is empty unless something runs that not every stack has.
    pub(super) fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Width in columns of 24; without one the row's panels share it evenly.
    pub(super) fn wide(mut self, columns: u32) -> Self {
        self.width = Some(columns);
        self
    }

    /// From which values on it is yellow, then red.
    pub(super) fn warn(mut self, yellow: f64, red: f64) -> Self {
        self.field.thresholds = thresholds(&[(yellow, YELLOW), (red, RED)], GREEN);
        self
    }

    /// Below which values it is yellow, then red.
    pub(super) fn warn_below(mut self, yellow: f64, red: f64) -> Self {
        self.field.thresholds = thresholds(&[(red, YELLOW), (yellow, GREEN)], RED);
        self
    }

    /// No judgement: one colour whatever the value.
    pub(super) fn neutral(mut self) -> Self {
        self.field.thresholds = thresholds(&[], BLUE);
        self
    }

    /// Marks the thresholds as dashed lines.
    pub(super) fn threshold_lines(mut self) -> Self {
        self.field.custom["thresholdsStyle"] = json!({ "mode": "dashed" });
        self
    }

    /// Top of the axis.
    pub(super) fn up_to(mut self, max: f64) -> Self {
        self.field.max = Some(max);
        self
    }

    /// Series on top of each other.
    pub(super) fn stacked(mut self) -> Self {
        self.field.custom["stacking"] = json!({ "group": "A", "mode": "normal" });
        self.field.custom["fillOpacity"] = json!(60);
        self
    }

    /// Many series: a legend with their last and highest values, the highest first.
    pub(super) fn detailed(mut self) -> Self {
        self.options["legend"] = json!({
            "calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true,
            "sortBy": "Max", "sortDesc": true,
        });
        self
    }

    /// Bars for counts of lines.
    pub(super) fn bars(mut self) -> Self {
        self.field.custom["drawStyle"] = json!("bars");
        self.field.custom["fillOpacity"] = json!(80);
        self
    }

    /// Where a click leads.
    pub(super) fn link(mut self, link: Link) -> Self {
        self.field.links.push(data_link(link));
        self
    }

    /// A fixed colour for the series whose name matches a regular expression.
    pub(super) fn colour(mut self, pattern: &str, colour: &'static str) -> Self {
        self.overrides.push(Override {
            matcher: Matcher { id: "byRegexp", options: format!("/{pattern}/") },
            properties: vec![Property { id: "color", value: json!({ "fixedColor": colour, "mode": "shades" }) }],
        });
        self
    }

    /// Name, unit and, where given, thresholds and link of a table's column.
    pub(super) fn column(
        mut self,
        field: &str,
        name: &str,
        unit: Unit,
        warn: Option<(f64, f64)>,
        link: Option<Link>,
    ) -> Self {
        let mut properties =
            vec![Property { id: "displayName", value: json!(name) }, Property { id: "unit", value: json!(unit.id()) }];
        if let Some((yellow, red)) = warn {
            let steps = thresholds(&[(yellow, YELLOW), (red, RED)], GREEN);
            properties.push(Property { id: "thresholds", value: json!(steps) });
            properties.push(Property { id: "custom.cellOptions", value: json!({ "type": "color-text" }) });
        }
        if let Some(link) = link {
            properties.push(Property { id: "links", value: json!([data_link(link)]) });
        }
        self.overrides.push(Override { matcher: Matcher { id: "byName", options: field.to_owned() }, properties });
        self
    }

    /// One row for the same labels over all queries, without the columns named.
    pub(super) fn merged(mut self, hidden: &[&str]) -> Self {
        let hidden = hidden.iter().map(|name| ((*name).to_owned(), json!(true)));
        self.transformations = vec![
            json!({ "id": "merge", "options": {} }),
            json!({ "id": "organize", "options": {
                "excludeByName": hidden.collect::<serde_json::Map<_, _>>(), "indexByName": {}, "renameByName": {},
            } }),
        ];
        self
    }

    /// The panel in its place.
    pub(super) fn placed(&self, id: u32, grid_pos: GridPos) -> PanelJson {
        let mixed = self.queries.iter().any(|query| query.source != self.source);
        PanelJson {
            datasource: if mixed { SourceRef::MIXED } else { self.source.into() },
            description: format!("{}{}", self.description, self.needs.sentence()),
            field_config: FieldConfigSource { defaults: self.field.clone(), overrides: self.overrides.clone() },
            grid_pos,
            id,
            options: self.options.clone(),
            targets: self.queries.iter().enumerate().map(|(index, query)| query.target(index)).collect(),
            title: self.title.to_owned(),
            transformations: self.transformations.clone(),
            kind: self.kind,
        }
    }

    /// Its title.
    pub(super) fn title(&self) -> &'static str {
        self.title
    }
}

fn data_link(link: Link) -> DataLink {
    DataLink { target_blank: false, title: link.title, url: link.url }
}

fn thresholds(steps: &[(f64, &'static str)], base: &'static str) -> Thresholds {
    let first = Step { color: base, value: None };
    let rest = steps.iter().map(|(value, color)| Step { color, value: Some(*value) });
    Thresholds { mode: "absolute", steps: std::iter::once(first).chain(rest).collect() }
}

/// Lines over time.
pub(super) fn timeseries(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    let options = json!({
        "legend": { "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true },
        "tooltip": { "mode": "multi", "sort": "desc" },
    });
    let mut panel = Panel::new("timeseries", Source::Metrics, (title, description), unit, options);
    panel.field.min = Some(0.0);
    panel.field.custom = json!({
        "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 2, "fillOpacity": 10,
        "gradientMode": "opacity", "showPoints": "auto", "pointSize": 4, "spanNulls": false,
        "axisPlacement": "auto", "axisGridShow": true, "scaleDistribution": { "type": "linear" },
        "stacking": { "group": "A", "mode": "none" }, "thresholdsStyle": { "mode": "off" },
        "hideFrom": { "legend": false, "tooltip": false, "viz": false },
    });
    panel
}

/// One number with its trend.
pub(super) fn stat(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    let options = json!({
        "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto",
        "percentChangeColorMode": "standard", "showPercentChange": false, "textMode": "auto", "wideLayout": true,
        "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
    });
    let mut panel = Panel::new("stat", Source::Metrics, (title, description), unit, options);
    panel.field.color = json!({ "mode": "thresholds" });
    panel
}

/// Rows and columns.
pub(super) fn table(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    let options = json!({ "cellHeight": "sm", "frameIndex": 0, "showHeader": true });
    let mut panel = Panel::new("table", Source::Metrics, (title, description), unit, options);
    panel.field.color = json!({ "mode": "thresholds" });
    panel.field.custom =
        json!({ "align": "auto", "cellOptions": { "type": "auto" }, "inspect": false, "filterable": true });
    panel
}

/// Log lines, newest first.
pub(super) fn logs(title: &'static str, description: &'static str) -> Panel {
    let options = json!({
        "dedupStrategy": "none", "enableInfiniteScrolling": true, "enableLogDetails": true, "prettifyLogMessage": false,
        "showCommonLabels": false, "showLabels": false, "showLogContextToggle": true, "showTime": true,
        "sortOrder": "Descending", "wrapLogMessage": true,
    });
    Panel::new("logs", Source::Logs, (title, description), Unit::Plain, options)
}

/// A distribution over time.
pub(super) fn heatmap(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    let options = json!({
        "calculate": false, "cellGap": 1,
        "cellValues": { "unit": Unit::Count.id() },
        "color": { "exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": false, "scale": "exponential",
                   "scheme": "Oranges", "steps": 64 },
        "exemplars": { "color": "rgba(255,0,255,0.7)" }, "filterValues": { "le": 1e-9 },
        "legend": { "show": true }, "rowsFrame": { "layout": "auto" }, "showValue": "never",
        "tooltip": { "mode": "single", "showColorScale": false, "yHistogram": true },
        "yAxis": { "axisPlacement": "left", "reverse": false, "unit": unit.id() },
    });
    let mut panel = Panel::new("heatmap", Source::Metrics, (title, description), unit, options);
    panel.field.custom = json!({
        "hideFrom": { "legend": false, "tooltip": false, "viz": false }, "scaleDistribution": { "type": "linear" },
    });
    panel
}

/// Who calls whom.
pub(super) fn node_graph(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    let options = json!({ "layoutAlgorithm": "layered", "zoomMode": "cooperative", "nodes": {}, "edges": {} });
    Panel::new("nodeGraph", Source::Traces, (title, description), unit, options)
}

/// Where time goes.
pub(super) fn flame_graph(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    Panel::new("flamegraph", Source::Profiles, (title, description), unit, json!({}))
}
