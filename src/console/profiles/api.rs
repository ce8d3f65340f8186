//! Routes of profiles: lists, merged flame graphs as JSON and as a drawing. Their rows stand in the console's
//! `api::routes`; merging is `flame`'s business.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::flame::{Filter, merge};
use crate::console::api::{Answer, Api, Parameters, nanos};
use crate::console::guard::error;
use crate::console::params::{BadParameter, Params};

/// Most functions of a JSON tree.
const MOST_NODES: usize = 100_000;

/// Parameters of the flame graph as JSON.
pub(crate) const FLAMEGRAPH: Parameters = &[
    ("service", "service.name"),
    ("type", "measure, such as process_cpu:cpu:nanoseconds:cpu:nanoseconds; default the newest profile's last"),
    ("route", "http.route of the span"),
    ("span_name", "name of the span"),
    ("profile_id", "16 hex digits: the span's id, its attribute pyroscope.profile.id"),
    ("from_unix_ms", "profiles that end later"),
    ("to_unix_ms", "profiles that begin earlier"),
    ("max_nodes", "most functions, 1 to 100000, default 2048; the smallest become `other`"),
];
/// Parameters of the drawing.
pub(crate) const DRAWING: Parameters = &[
    FLAMEGRAPH[0],
    FLAMEGRAPH[1],
    FLAMEGRAPH[2],
    FLAMEGRAPH[3],
    FLAMEGRAPH[4],
    FLAMEGRAPH[5],
    FLAMEGRAPH[6],
    ("theme", "dark (default) or light"),
];

/// The drawing brings inline scripts (zoom, search) and is made of names that others chose: it gets an origin of its own,
/// may ask nobody, and only this console's page may frame it.
const POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    frame-ancestors 'self'";

/// `GET /api/v1/profiles`.
pub(crate) async fn list(State(api): State<Api>, params: Params) -> Answer {
    params.only(&[])?;
    let profiles = api.ingest.profiles().all();
    Ok(Json(super::list(&profiles)))
}

fn filter(params: &Params) -> Result<Filter, BadParameter> {
    let time = |name| Ok(params.number(name, 0.0)?.map(nanos));
    let filter = Filter {
        service: params.text("service"),
        measure: params.text("type"),
        span_name: params.text("span_name"),
        route: params.text("route"),
        span: params.id("profile_id")?,
        from: time("from_unix_ms")?,
        until: time("to_unix_ms")?,
    };
    match (filter.from, filter.until) {
        (Some(from), Some(until)) if from >= until => {
            let given = params.text("from_unix_ms").unwrap_or_default();
            Err(BadParameter::new("from_unix_ms", &given, "a time before to_unix_ms"))
        }
        _ => Ok(filter),
    }
}

/// `GET /api/v1/profiles/flamegraph`.
pub(crate) async fn flamegraph(State(api): State<Api>, params: Params) -> Answer {
    params.only(FLAMEGRAPH)?;
    let filter = filter(&params)?;
    let most = match params.text("max_nodes") {
        None => 2_048,
        Some(text) => match text.parse() {
            Ok(most) if (1..=MOST_NODES).contains(&most) => most,
            _ => return Err(BadParameter::new("max_nodes", &text, "a whole number from 1 to 100000")),
        },
    };
    let profiles = api.ingest.profiles().all();
    Ok(Json(merge(&profiles, &filter).json(most)))
}

/// `GET /api/v1/profiles/flamegraph.svg`.
pub(crate) async fn drawing(State(api): State<Api>, params: Params) -> Result<Response, BadParameter> {
    params.only(DRAWING)?;
    let filter = filter(&params)?;
    let dark = params.choice("theme", &[("dark", true), ("light", false)])?.unwrap_or(true);
    let profiles = api.ingest.profiles().all();
    let subject = [filter.service.clone(), filter.span_name.clone(), filter.route.clone()];
    let span = filter.span.map(|span| format!("span {}", crate::console::model::hex(&span)));
    let subject: Vec<String> = subject.into_iter().chain([span]).flatten().collect();
    let title = if subject.is_empty() { "all services".to_owned() } else { subject.join(" · ") };
    let Some(svg) = merge(&profiles, &filter).svg(&title, dark) else {
        return Ok(error(StatusCode::NOT_FOUND, "no sample meets these filters"));
    };
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    Ok((headers, svg).into_response())
}
