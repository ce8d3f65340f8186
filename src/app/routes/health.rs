//! `GET /health` and `GET /ready`. Asked by probes and load balancers; nothing slow may be done here.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::AppState;
use crate::app::error::{ApiError, ErrorBody};

/// A store that takes longer is unreachable for a probe.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Liveness: the process answers.
#[utoipa::path(get, path = "/health", responses((status = 200, description = "alive", body = Object)))]
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Readiness: the store answers and the service is not draining.
#[utoipa::path(get, path = "/ready", responses(
    (status = 200, description = "ready", body = Object),
    (status = 503, description = "the store is unreachable or the service is draining", body = ErrorBody),
))]
pub(crate) async fn ready(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    if !state.accepting.load(Ordering::Relaxed) {
        return Err(ApiError::NotReady("draining".to_owned()));
    }
    match tokio::time::timeout(PING_TIMEOUT, state.store.ping()).await {
        Ok(Ok(())) => Ok(Json(json!({ "status": "ready" }))),
        Ok(Err(error)) => Err(ApiError::NotReady(error.to_string())),
        Err(_) => Err(ApiError::NotReady(format!("the store did not answer within {PING_TIMEOUT:?}"))),
    }
}
