//! `GET /`: a small page that links every route. Plain HTML without scripts; nothing is looked up for it.

use axum::response::Html;

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>signalbox app</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  td { padding: .4rem .6rem; border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); vertical-align: top }
  td:first-child { white-space: nowrap; font-family: ui-monospace, monospace }
</style></head><body>
<h1>signalbox app</h1>
<p>An instrumented service. Each answer names its trace in the header <code>x-trace-id</code>.</p>
<table>
<tr><td><a href="/health">/health</a></td><td>alive?</td></tr>
<tr><td><a href="/ready">/ready</a></td><td>ready for traffic?</td></tr>
<tr><td><a href="/work?ms=200">/work?ms=200</a></td><td>simulated work, 0 to 10000 ms</td></tr>
<tr><td><a href="/api/data">/api/data</a></td><td>sample data from the store</td></tr>
<tr><td><a href="/external">/external</a></td><td>calls another service, context and all</td></tr>
<tr><td><a href="/error?status=503">/error?status=503</a></td><td>simulated error, 400 to 599</td></tr>
<tr><td><a href="/crash">/crash</a></td><td>a panic, caught and traced</td></tr>
<tr><td><a href="/tasks">/tasks</a></td><td>task tracker: GET, POST; GET, PUT, DELETE /tasks/{id}</td></tr>
<tr><td><a href="/rolldice?rolls=3">/rolldice?rolls=3</a></td><td>the OpenTelemetry reference application</td></tr>
<tr><td><a href="/metrics">/metrics</a></td><td>Prometheus and OpenMetrics exposition</td></tr>
<tr><td><a href="/openapi.json">/openapi.json</a></td><td>what each of these takes and answers</td></tr>
</table></body></html>
"#;

/// The page.
#[utoipa::path(get, path = "/", responses(
    (status = 200, description = "a page that links every route", body = String, content_type = "text/html"),
))]
pub(crate) async fn index() -> Html<&'static str> {
    Html(PAGE)
}
