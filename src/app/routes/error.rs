//! `GET /error`: a simulated error of a chosen status. Its log line is the layer's, at the status's severity.

use axum::http::StatusCode;

use crate::app::error::{ApiError, ErrorBody};
use crate::app::extract::Params;

/// Answers with an error status.
#[utoipa::path(get, path = "/error",
    params(("status" = Option<i64>, Query, description = "400 to 599; 500 when absent")),
    responses(
        (status = 400, description = "status is outside its range, or was asked for", body = ErrorBody),
        (status = "4XX", description = "as asked", body = ErrorBody),
        (status = "5XX", description = "as asked", body = ErrorBody),
    ))]
pub(crate) async fn error(params: Params) -> ApiError {
    match params.number("status", 400..=599, 500) {
        Ok(number) => u16::try_from(number)
            .ok()
            .and_then(|number| StatusCode::from_u16(number).ok())
            .map_or_else(|| ApiError::BadRequest(format!("no such status: {number}")), ApiError::Simulated),
        Err(reason) => ApiError::BadRequest(reason),
    }
}
