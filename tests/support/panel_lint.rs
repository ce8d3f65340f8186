//! Lint of dashboards as JSON: a pure function, from the files' values to what is wrong with them. Included by
//! tests/dashboards.rs; reads no file and asks nobody. There are no exclusions: one would be a row here with its reason.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Plugin of each datasource that configs/grafana provisions, by uid.
const DATASOURCES: &[(&str, &str)] =
    &[("metrics", "prometheus"), ("logs", "loki"), ("traces", "tempo"), ("profiles", "grafana-pyroscope-datasource")];
/// What Grafana itself calls a panel with several datasources.
const MIXED: &str = "-- Mixed --";
const COLUMNS: u64 = 24;

/// What is wrong with some dashboards, one line a problem; links may lead to any of them.
pub(crate) fn problems(dashboards: &[Value]) -> Vec<String> {
    let uids: BTreeSet<&str> = dashboards.iter().filter_map(|dashboard| dashboard["uid"].as_str()).collect();
    let mut problems = Vec::new();
    if uids.len() != dashboards.len() {
        problems.push("two dashboards share a uid, or one has none".to_owned());
    }
    for dashboard in dashboards {
        let name = dashboard["uid"].as_str().unwrap_or("?").to_owned();
        let mut say = |what: String| problems.push(format!("{name}: {what}"));
        whole(dashboard, &mut say);
        variables(dashboard, &mut say);
        links(dashboard, &uids, &mut say);
        places(panels(dashboard), &mut say);
        for panel in panels(dashboard).iter().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().unwrap_or_default().to_owned();
            one_panel(panel, &mut |what| say(format!("{title:?} {what}")));
        }
    }
    problems
}

pub(crate) fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn whole(dashboard: &Value, say: &mut impl FnMut(String)) {
    for key in ["title", "description"] {
        if text(dashboard, key).is_empty() {
            say(format!("has no {key}"));
        }
    }
    if !text(dashboard, "uid").starts_with("signalbox-") {
        say("its uid is not signalbox-NAME".to_owned());
    }
    if dashboard["tags"] != serde_json::json!(["signalbox"]) {
        say("the others do not find it: its tags are not [signalbox]".to_owned());
    }
    if dashboard["timezone"] != "browser" || dashboard["editable"] != false {
        say("is editable, or not in the browser's time".to_owned());
    }
    if !["5s", "10s"].contains(&text(dashboard, "refresh")) {
        say(format!("refreshes every {}, not every 5s or 10s", dashboard["refresh"]));
    }
}

fn one_panel(panel: &Value, say: &mut impl FnMut(String)) {
    if text(panel, "title").is_empty() {
        say("has no title".to_owned());
    }
    if !text(panel, "description").ends_with('.') {
        say("has no description that is a sentence".to_owned());
    }
    if text(&panel["fieldConfig"]["defaults"], "unit").is_empty() {
        say("has no unit".to_owned());
    }
    if panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().is_none_or(Vec::is_empty) {
        say("has no thresholds".to_owned());
    }
    let targets = panel["targets"].as_array().cloned().unwrap_or_default();
    let asked: BTreeSet<&str> = targets.iter().map(|target| text(&target["datasource"], "uid")).collect();
    let own = text(&panel["datasource"], "uid");
    if !(asked.len() == 1 && asked.contains(own) || asked.len() > 1 && own == MIXED) {
        say(format!("names the datasource {own:?}, its queries ask {asked:?}"));
    }
    let refs: BTreeSet<&str> = targets.iter().map(|target| text(target, "refId")).collect();
    if refs.len() != targets.len() || targets.is_empty() {
        say("asks nothing, or two of its queries share a refId".to_owned());
    }
    for target in &targets {
        if !known(&target["datasource"]) {
            say(format!("asks the unknown datasource {}", target["datasource"]));
        }
        windows(target, say);
    }
}

fn known(datasource: &Value) -> bool {
    DATASOURCES.contains(&(text(datasource, "uid"), text(datasource, "type")))
}

/// A rate over a fixed window is empty when zoomed in and misses points when zoomed out.
fn windows(target: &Value, say: &mut impl FnMut(String)) {
    let instant = target["instant"] == true || target["queryType"] == "instant";
    let allowed: &[&str] = match text(&target["datasource"], "uid") {
        // One value for the whole time; a line wants a window that follows the zoom.
        "metrics" | "logs" if instant => &["$__range"],
        "metrics" => &["$__rate_interval"],
        "logs" => &["$__auto"],
        _ => return,
    };
    let expr = text(target, "expr");
    if expr.is_empty() {
        say("has an empty query".to_owned());
    }
    for window in expr.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(window, _)| window) {
        if !allowed.contains(&window) {
            say(format!("has the window [{window}], not one of {allowed:?}, in {expr}"));
        }
    }
}

/// Names behind `$` in a text, but for Grafana's own, which begin with `__`.
fn used(text: &str) -> BTreeSet<&str> {
    text.split('$')
        .skip(1)
        .map(|rest| rest.strip_prefix('{').unwrap_or(rest))
        .map(|rest| &rest[..rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())])
        .filter(|name| !name.is_empty() && !name.starts_with("__"))
        .collect()
}

fn variables(dashboard: &Value, say: &mut impl FnMut(String)) {
    let list = dashboard["templating"]["list"].as_array().cloned().unwrap_or_default();
    let defined: BTreeMap<&str, &Value> = list.iter().map(|variable| (text(variable, "name"), variable)).collect();
    let panels = dashboard["panels"].to_string();
    let in_variables = list.iter().map(|variable| variable["query"].to_string()).collect::<String>();
    let all = format!("{panels}{in_variables}{}", dashboard["annotations"]);
    let wanted = used(&all);
    for name in defined.keys().filter(|name| !wanted.contains(*name)) {
        say(format!("defines the variable {name}, which nothing uses"));
    }
    for name in wanted.iter().filter(|name| !defined.contains_key(*name)) {
        say(format!("uses ${name}, which it does not define"));
    }
    let annotations = dashboard["annotations"]["list"].as_array().cloned().unwrap_or_default();
    for with_source in list.iter().filter(|variable| variable["type"] == "query").chain(&annotations) {
        if !known(&with_source["datasource"]) {
            say(format!("{} asks the unknown datasource {}", with_source["name"], with_source["datasource"]));
        }
    }
}

fn links(dashboard: &Value, uids: &BTreeSet<&str>, say: &mut impl FnMut(String)) {
    let everything = dashboard.to_string();
    for rest in everything.split("\"/d/").skip(1) {
        let uid = &rest[..rest.find(['?', '"', '/']).unwrap_or(rest.len())];
        if !uids.contains(uid) {
            say(format!("links to the dashboard {uid}, which is not there"));
        }
    }
}

fn places(panels: &[Value], say: &mut impl FnMut(String)) {
    let ids: BTreeSet<Option<u64>> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    if ids.len() != panels.len() || ids.contains(&None) {
        say("two panels share an id, or one has none".to_owned());
    }
    let mut taken = BTreeSet::new();
    for panel in panels {
        let side = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_default();
        let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
        if w == 0 || h == 0 || x + w > COLUMNS {
            say(format!("{} does not fit into {COLUMNS} columns", panel["title"]));
        }
        for cell in (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line))) {
            if !taken.insert(cell) {
                return say(format!("{} lies on another panel", panel["title"]));
            }
        }
    }
}
