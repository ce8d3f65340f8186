//! The table of the runbooks: every alert, its condition, and the variants it has data in. Called by `alerts`;
//! the runbooks themselves are written by hand.

use super::rule::{Alert, Data, Group};

const HEAD: &str = "# Runbooks

One page an alert: what it means, where to look first, likely causes, what to do. `signalbox dashboards` writes this
table from `src/dashboards/alerts`; the pages are written by hand.

Everything is pushed, so \"down\" is a heartbeat that is absent, or `up` of what the collector scrapes. A rule without
data in a variant loads there and never fires.

| alert | severity | fires when | for | core | lgtm | aws | its data |
|---|---|---|---|---|---|---|---|
";

const TAIL: &str = r#"
Prometheus, Mimir and AMP evaluate `configs/prometheus/rules/{alerts,slo}.yaml` (send them to an Alertmanager, in AWS
to AMP's). Where there is none, Grafana evaluates the same list from `configs/grafana/provisioning/alerting/rules.yaml`
and notifies through its contact point; the SLO alerts there read the series that `slo.yaml` records. Use one of the two.

## What the pages' commands need

```sh
set -a; . configs/environments/local.env; set +a
P=$PROMETHEUS_URL                      # lgtm: P=$MIMIR_URL/prometheus
q() { curl -fsSG "$P/api/v1/query" --data-urlencode "query=$1"; echo; }
logs() { curl -fsSG "$LOKI_URL/loki/api/v1/query_range" --data-urlencode "query=$1" --data-urlencode limit=20; echo; }
```

In AWS the same queries go through Grafana's Explore: AMP wants signed requests. Logs of the programs themselves are
`$SIGNALBOX_STATE/logs/NAME.log` under `just stack`, else the container's. Dashboards are at `$GRAFANA_URL/d/UID`.

To silence: under Grafana, Alerting > Silences, by `alertname`, with an end; with an Alertmanager,
`amtool silence add alertname=NAME --duration=2h --comment=WHY`.
"#;

/// `docs/runbooks/README.md`.
pub(super) fn table(alerts: &[Alert]) -> String {
    let rows: String = alerts.iter().map(row).collect();
    format!("{HEAD}{rows}{TAIL}")
}

fn row(alert: &Alert) -> String {
    let [core, lgtm, aws] = variants(alert.data).map(|has| if has { "yes" } else { "-" });
    let Alert { name, wait, condition, .. } = alert;
    let (page, severity, source) = (alert.kebab(), alert.severity.as_str(), source(alert.data));
    // Those of sloth have no `for`.
    let wait = if alert.group == Group::Slo { "-" } else { wait };
    format!("| [{name}]({page}.md) | {severity} | {condition} | {wait} | {core} | {lgtm} | {aws} | {source} |\n")
}

/// Whether the variants `core`, `lgtm` and `aws` have the data.
fn variants(data: Data) -> [bool; 3] {
    match data {
        Data::Pushed | Data::Collector | Data::SloRules => [true, true, true],
        Data::NodeExporter => [false, true, false],
    }
}

fn source(data: Data) -> &'static str {
    match data {
        Data::Pushed => "pushed by the service and the load tester",
        Data::Collector => "scraped by the collector (itself, and what else it scrapes)",
        Data::NodeExporter => "node exporter, scraped by the collector",
        Data::SloRules => "recorded from the service's metrics by `slo.yaml`",
    }
}
