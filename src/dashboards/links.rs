//! Links between dashboards, and from a series to its traces and logs in Explore. Called by the boards. A path begins with
//! `/`, so Grafana puts its own sub-path before it.

use serde_json::{Value, json};

use super::model::{DashboardLink, Source, SourceRef};
use super::queries::{JOB, SERVICE_NAME, route_label};
use crate::telemetry::names::attr;

/// Where a click on a series or a cell leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) title: &'static str,
    pub(super) url: String,
}

/// Tag of every dashboard.
pub(super) const TAG: &str = "signalbox";

/// The uid of a dashboard by its name.
pub(super) fn uid(name: &str) -> String {
    format!("signalbox-{name}")
}

/// At the top of every dashboard: the others, and the two that an incident needs next.
pub(super) fn top(own: &str) -> Vec<DashboardLink> {
    let link = |kind, title, tooltip, icon, url: String| DashboardLink {
        as_dropdown: kind == "dashboards",
        icon,
        include_vars: true,
        keep_time: true,
        tags: if kind == "dashboards" { vec![TAG] } else { Vec::new() },
        target_blank: false,
        title,
        tooltip,
        kind,
        url,
    };
    let mut links = vec![link("dashboards", "signalbox", "The other dashboards", "external link", String::new())];
    for (name, title, tooltip) in [
        ("logs", "Logs", "Logs of the same services and time"),
        ("traces", "Traces", "Traces of the same services and time"),
    ] {
        if name != own {
            links.push(link("link", title, tooltip, "dashboard", format!("/d/{}", uid(name))));
        }
    }
    links
}

/// The routes dashboard with the route of this row or series.
pub(super) fn this_route(label: &str) -> Link {
    let route = format!("${{__data.fields.{label}:percentencode}}");
    Link { title: "Only this route", url: format!("/d/{}?var-route={route}&${{__url_time_range}}", uid("routes")) }
}

/// The traces dashboard with the service of this series.
pub(super) fn this_service(name: &str, title: &'static str) -> Link {
    let service = format!("${{__field.labels.{JOB}:percentencode}}");
    Link { title, url: format!("/d/{}?var-service={service}&${{__url_time_range}}", uid(name)) }
}

/// Traces of the service and route of this series.
pub(super) fn route_traces() -> Link {
    let query = format!(
        "{{resource.{}=\"{}\" && span.{}=\"{}\"}}",
        "service.name",
        field(JOB),
        attr::HTTP_ROUTE,
        field(&route_label())
    );
    Link { title: "Traces of this route", url: explore(Source::Traces, &traceql(&query)) }
}

/// Log records of the service and route of this series.
pub(super) fn route_logs() -> Link {
    let query = format!("{{{SERVICE_NAME}=\"{}\"}} | {}=`{}`", field(JOB), route_label(), field(&route_label()));
    Link { title: "Logs of this route", url: explore(Source::Logs, &logql(&query)) }
}

/// Traces of the service of this series.
pub(super) fn service_traces() -> Link {
    let query = format!("{{resource.service.name=\"{}\"}}", field(JOB));
    Link { title: "Traces of this service", url: explore(Source::Traces, &traceql(&query)) }
}

/// Log records of the service of this series.
pub(super) fn service_logs() -> Link {
    let query = format!("{{{SERVICE_NAME}=\"{}\"}}", field(JOB));
    Link { title: "Logs of this service", url: explore(Source::Logs, &logql(&query)) }
}

fn field(label: &str) -> String {
    format!("${{__field.labels.{label}:percentencode}}")
}

fn traceql(query: &str) -> Value {
    json!({ "query": query, "queryType": "traceql" })
}

fn logql(query: &str) -> Value {
    json!({ "editorMode": "code", "expr": query, "queryType": "range" })
}

/// Explore with one query over the dashboard's time.
fn explore(source: Source, query: &Value) -> String {
    let mut query = query.clone();
    query["refId"] = json!("A");
    query["datasource"] = json!(SourceRef::from(source));
    let range = json!({ "from": "${__from}", "to": "${__to}" });
    let panes = json!({ "a": { "datasource": source.uid(), "queries": [query], "range": range } });
    format!("/explore?schemaVersion=1&panes={}", encoded(&super::sorted(panes).to_string()))
}

/// Percent-encoded but for Grafana's `${..}`, which it replaces before it follows the link.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with("${")
            && let Some(end) = rest.find('}')
        {
            out.push_str(&rest[..=end]);
            rest = &rest[end + 1..];
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        if c.is_ascii_alphanumeric() || "-_.~".contains(c) {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            out.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn a_link_is_encoded_but_for_what_grafana_replaces() {
        assert_eq!(
            encoded(r#"{a="${__field.labels.job:percentencode}"}"#),
            "%7Ba%3D%22${__field.labels.job:percentencode}%22%7D"
        );
    }
}
