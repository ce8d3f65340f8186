//! Grafana: its datasources, dashboards and alert rules by its HTTP API, and the way through it to the backends behind.
//! Called by `plan` and `grafana_checks`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::env;

use super::BackendError;
use super::http::{Auth, Http};

/// Name of Grafana's first user when nothing else is said.
const ADMIN: &str = "admin";
/// What the variables of a dashboard stand for where all values are chosen.
const ANY: &str = ".*";
/// Points of a panel's query: more than any panel here needs to be non-empty.
const MOST_POINTS: u32 = 300;

/// A Grafana.
#[derive(Debug, Clone)]
pub(crate) struct Grafana {
    http: Http,
}

/// One datasource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Datasource {
    /// Its stable id.
    pub(crate) uid: String,
}

/// Where a dashboard is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Found {
    /// Its stable id.
    pub(crate) uid: String,
    /// Its title.
    #[serde(default)]
    pub(crate) title: String,
}

/// A panel with its queries, variables filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panel {
    /// Its title.
    pub(crate) title: String,
    /// What it needs beyond the core stack, as its description says it.
    pub(crate) needs: Option<String>,
    /// Queries for `/api/ds/query`.
    pub(crate) queries: Vec<Value>,
}

/// One alert rule as its evaluation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlertRule {
    /// Its title.
    pub(crate) title: String,
    /// `ok`, `nodata`, `error`, ..
    pub(crate) health: String,
    /// Why it could not be evaluated.
    pub(crate) error: String,
}

impl Grafana {
    /// Grafana at an address, asked with `GRAFANA_TOKEN`, else as the administrator.
    pub(crate) fn from_env(base: &str) -> Result<Self, BackendError> {
        let password = env::text("GF_SECURITY_ADMIN_PASSWORD");
        let user = env::text("GF_SECURITY_ADMIN_USER").unwrap_or_else(|| ADMIN.to_owned());
        let auth = match (env::text("GRAFANA_TOKEN"), password) {
            (Some(token), _) => Auth::Bearer(token),
            (None, Some(password)) => Auth::Basic(user, password),
            (None, None) => Auth::None,
        };
        Ok(Self { http: Http::new(base, auth)? })
    }

    /// Whether it answers; this path asks for no rights.
    pub(crate) async fn ready(&self) -> Result<(), BackendError> {
        self.http.get::<Value>("/api/health", &[]).await.map(drop)
    }

    /// The backend behind a datasource: Grafana passes questions on and adds its own credentials.
    pub(crate) fn behind(&self, uid: &str) -> Http {
        self.http.below(&format!("/api/datasources/proxy/uid/{uid}"))
    }

    /// Every datasource.
    pub(crate) async fn datasources(&self) -> Result<Vec<Datasource>, BackendError> {
        self.http.get("/api/datasources", &[]).await
    }

    /// Whether a datasource reaches its backend; the error says why not.
    pub(crate) async fn datasource_health(&self, uid: &str) -> Result<String, BackendError> {
        #[derive(Deserialize)]
        struct Health {
            status: String,
        }
        let health: Health = self.http.get(&format!("/api/datasources/uid/{uid}/health"), &[]).await?;
        Ok(health.status)
    }

    /// Every dashboard.
    pub(crate) async fn dashboards(&self) -> Result<Vec<Found>, BackendError> {
        self.http.get("/api/search", &[("type", "dash-db"), ("limit", "1000")]).await
    }

    /// The panels of a dashboard that ask for data.
    pub(crate) async fn panels(&self, uid: &str) -> Result<Vec<Panel>, BackendError> {
        #[derive(Deserialize)]
        struct Answer {
            dashboard: Value,
        }
        let answer: Answer = self.http.get(&format!("/api/dashboards/uid/{uid}"), &[]).await?;
        Ok(panels(&answer.dashboard))
    }

    /// Whether any query of a panel has data over the last quarter of an hour; what went wrong is an error in words.
    pub(crate) async fn has_data(&self, panel: &Panel) -> Result<Result<bool, String>, BackendError> {
        let body = json!({ "queries": panel.queries, "from": "now-15m", "to": "now" });
        // A refused query is an answer of its own, with the reason inside.
        let answer: Value = match self.http.post("/api/ds/query", &body).await {
            Err(BackendError::Status { status: 400, body, .. }) => return Ok(Err(body)),
            other => other?,
        };
        let results = answer.get("results").and_then(Value::as_object);
        let results = results.into_iter().flat_map(|results| results.values()).collect::<Vec<_>>();
        let error = results.iter().find_map(|result| result.get("error")).and_then(Value::as_str);
        Ok(match error {
            Some(error) => Err(error.to_owned()),
            None => Ok(results.into_iter().any(has_values)),
        })
    }

    /// Titles of the alert rules that were provisioned.
    pub(crate) async fn provisioned_rules(&self) -> Result<Vec<String>, BackendError> {
        #[derive(Deserialize)]
        struct Rule {
            title: String,
        }
        let rules: Vec<Rule> = self.http.get("/api/v1/provisioning/alert-rules", &[]).await?;
        Ok(rules.into_iter().map(|rule| rule.title).collect())
    }

    /// Every alert rule that Grafana evaluates.
    pub(crate) async fn alert_rules(&self) -> Result<Vec<AlertRule>, BackendError> {
        let answer: Value = self.http.get("/api/prometheus/grafana/api/v1/rules", &[]).await?;
        let groups = answer.pointer("/data/groups").and_then(Value::as_array).into_iter().flatten();
        let rules = groups.filter_map(|group| group.get("rules")?.as_array()).flatten();
        let text = |rule: &Value, key| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let rule = |rule: &Value| AlertRule {
            title: text(rule, "name"),
            health: text(rule, "health"),
            error: text(rule, "lastError"),
        };
        Ok(rules.map(rule).collect())
    }
}

/// Whether a result has a frame with a value in it.
fn has_values(result: &Value) -> bool {
    let frames = result.get("frames").and_then(Value::as_array).into_iter().flatten();
    frames
        .filter_map(|frame| frame.pointer("/data/values")?.as_array())
        .flatten()
        .any(|column| column.as_array().is_some_and(|values| values.iter().any(|value| !value.is_null())))
}

/// Panels with queries, those inside collapsed rows too.
fn panels(dashboard: &Value) -> Vec<Panel> {
    let variables = variables(dashboard);
    let mut found = Vec::new();
    let mut rest = dashboard.get("panels").and_then(Value::as_array).cloned().unwrap_or_default();
    while let Some(panel) = rest.pop() {
        rest.extend(panel.get("panels").and_then(Value::as_array).cloned().unwrap_or_default());
        let targets = panel.get("targets").and_then(Value::as_array).into_iter().flatten();
        let queries = targets.map(|target| query(target, &panel, &variables)).collect::<Vec<_>>();
        if !queries.is_empty() {
            let text = |key| panel.get(key).and_then(Value::as_str).unwrap_or_default();
            let needs = text("description").rfind("Needs ").map(|at| text("description")[at..].to_owned());
            found.push(Panel { title: text("title").to_owned(), needs, queries });
        }
    }
    found
}

/// Names of the dashboard's variables and what they stand for now.
fn variables(dashboard: &Value) -> Vec<(String, String)> {
    let list = dashboard.pointer("/templating/list").and_then(Value::as_array).into_iter().flatten();
    let value = |variable: &Value| {
        let current = variable.pointer("/current/value");
        let first = current.and_then(|value| value.as_str().or_else(|| value.as_array()?.first()?.as_str()));
        let all = variable.get("allValue").and_then(Value::as_str).filter(|value| !value.is_empty());
        match first {
            None | Some("" | "$__all") => all.unwrap_or(ANY).to_owned(),
            Some(value) => value.to_owned(),
        }
    };
    list.filter_map(|variable| Some((variable.get("name")?.as_str()?.to_owned(), value(variable)))).collect()
}

/// A target as a query: the panel's datasource where it has none, the variables filled in.
fn query(target: &Value, panel: &Value, variables: &[(String, String)]) -> Value {
    let mut query = filled(target, variables);
    if let Some(query) = query.as_object_mut() {
        if query.get("datasource").is_none_or(Value::is_null) {
            query.insert("datasource".to_owned(), filled(panel.get("datasource").unwrap_or(&Value::Null), variables));
        }
        query.entry("refId").or_insert_with(|| json!("A"));
        query.insert("intervalMs".to_owned(), json!(15_000));
        query.insert("maxDataPoints".to_owned(), json!(MOST_POINTS));
    }
    query
}

/// The same with `$name`, `${name}` and `${name:format}` replaced in every text; Grafana's own `$__` stay.
fn filled(value: &Value, variables: &[(String, String)]) -> Value {
    match value {
        Value::String(text) => Value::String(filled_text(text, variables)),
        Value::Array(values) => values.iter().map(|value| filled(value, variables)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), filled(value, variables))).collect(),
        other => other.clone(),
    }
}

fn filled_text(text: &str, variables: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, length) = reference(rest);
        match variables.iter().find(|(variable, _)| variable == name) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out + rest
}

/// Name of the variable that a text beginning with `$` refers to, and the length of the reference.
fn reference(text: &str) -> (&str, usize) {
    if let Some(inner) = text.strip_prefix("${")
        && let Some(end) = inner.find('}')
    {
        return (inner[..end].split(':').next().unwrap_or_default(), end + 3);
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let end = text[1..].find(|c| !word(c)).map_or(text.len(), |end| end + 1);
    (&text[1..end], end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_grafanas_own_stay() {
        let variables = [("service".to_owned(), "signalbox-app".to_owned()), ("route".to_owned(), ".*".to_owned())];
        let text = r#"rate(x{job="$service",r=~"${route:regex}"}[$__rate_interval]) $"#;
        let filled = filled_text(text, &variables);
        assert_eq!(filled, r#"rate(x{job="signalbox-app",r=~".*"}[$__rate_interval]) $"#);
    }

    #[test]
    fn panels_in_rows_are_found_with_what_they_need() {
        let dashboard = json!({
            "templating": {"list": [{"name": "service", "current": {"value": ["$__all"]}}]},
            "panels": [
                {"type": "text", "title": "about"},
                {"type": "row", "panels": [{
                    "title": "Vitals", "description": "How fast. Needs Faro data of a browser (lgtm).",
                    "datasource": {"uid": "logs", "type": "loki"}, "targets": [{"expr": "{a=~\"$service\"}"}],
                }]},
            ],
        });
        let panels = panels(&dashboard);
        assert_eq!(panels.len(), 1);
        assert_eq!(panels[0].needs.as_deref(), Some("Needs Faro data of a browser (lgtm)."));
        assert_eq!(panels[0].queries[0]["datasource"]["uid"], "logs");
        assert_eq!(panels[0].queries[0]["expr"], "{a=~\".*\"}");
    }

    #[test]
    fn a_frame_without_rows_is_no_data() {
        assert!(has_values(&json!({"frames": [{"data": {"values": [[1], [2.5]]}}]})));
        assert!(!has_values(&json!({"frames": [{"data": {"values": [[], []]}}, {"schema": {}}]})));
        assert!(!has_values(&json!({"frames": [{"data": {"values": [[null]]}}]})));
    }
}
