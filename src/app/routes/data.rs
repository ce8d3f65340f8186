//! `GET /api/data`: the samples that a migration seeded.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::app::error::{ApiError, ErrorBody};
use crate::app::store::Sample;

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Samples {
    /// Every sample.
    items: Vec<Sample>,
}

/// Sample data, read from the store.
#[utoipa::path(get, path = "/api/data", responses(
    (status = 200, description = "the samples", body = Samples),
    (status = 500, description = "the store failed", body = ErrorBody),
))]
pub(crate) async fn data(State(state): State<AppState>) -> Result<Json<Samples>, ApiError> {
    Ok(Json(Samples { items: state.store.samples().await? }))
}
