//! `GET /work`: simulated work of a chosen length, in a child span.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::app::AppState;
use crate::app::error::{ApiError, ErrorBody};
use crate::app::extract::Params;

const DEFAULT_MS: i64 = 200;
const MAX_MS: i64 = 10_000;

/// Works (waits) for `ms` milliseconds.
#[utoipa::path(get, path = "/work",
    params(("ms" = Option<i64>, Query, description = "0 to 10000 milliseconds; 200 when absent")),
    responses(
        (status = 200, description = "done", body = Object),
        (status = 400, description = "ms is outside its range", body = ErrorBody),
        (status = 503, description = "too many requests in progress", body = ErrorBody),
        (status = 504, description = "longer than the request timeout", body = ErrorBody),
    ))]
pub(crate) async fn work(State(state): State<AppState>, params: Params) -> Result<Json<Value>, ApiError> {
    let ms = params.number("ms", 0..=MAX_MS, DEFAULT_MS).map_err(ApiError::BadRequest)?;
    let start = Instant::now();
    async {
        tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
        state.work_duration.record_in(&tracing::Span::current().context(), start.elapsed().as_secs_f64(), &[]);
    }
    .instrument(tracing::info_span!("simulate work", "work.ms" = ms))
    .await;
    Ok(Json(json!({ "worked_ms": ms })))
}
