//! `GET /metrics`: the exposition that `telemetry` renders, in the format the scraper asks for.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::app::AppState;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every instrument, in Prometheus text format or OpenMetrics with exemplars.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "the exposition; OpenMetrics when Accept asks for application/openmetrics-text",
     body = String, content_type = "text/plain"),
))]
pub(crate) async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let open_metrics = wants_open_metrics(&headers);
    let body = state.exposition.as_ref().map(|exposition| exposition.render(open_metrics)).unwrap_or_default();
    ([(header::CONTENT_TYPE, if open_metrics { OPEN_METRICS } else { TEXT }), (header::VARY, "accept")], body)
        .into_response()
}

/// OpenMetrics when it is accepted with a quality no lower than that of plain text.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut best = [0.0_f32; 2];
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let slot = match parts.next() {
            Some("application/openmetrics-text") => 0,
            Some("text/plain") => 1,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        best[slot] = best[slot].max(quality);
    }
    best[0] > 0.0 && best[0] >= best[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        wants_open_metrics(&headers)
    }

    #[test]
    fn open_metrics_is_served_to_those_who_prefer_it() {
        assert!(accepts("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"));
        assert!(!accepts("application/openmetrics-text;q=0.2, text/plain;q=0.9"));
        assert!(!accepts("application/openmetrics-text;q=0"));
        assert!(!accepts("*/*"));
    }
}
