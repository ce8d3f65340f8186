//! Extractors whose refusals are [`ApiError`]s: query parameters and JSON bodies. Used by the routes; no rule of a
//! single route may live here.

use std::collections::HashMap;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde_json::Value;

use super::AppState;
use super::error::{ApiError, BODY_LIMIT};

/// The query's parameters; of one given twice the last counts.
pub(super) struct Params(HashMap<String, String>);

impl Params {
    /// The parameter's text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number within a range; `default` when absent; `Err` says the range.
    pub(super) fn number(&self, name: &str, range: std::ops::RangeInclusive<i64>, default: i64) -> Result<i64, String> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("{name} must be a whole number from {} to {}", range.start(), range.end()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(map)| Self(map))
            .map_err(|rejection| ApiError::BadRequest(rejection.body_text()))
    }
}

/// A JSON body, not yet validated.
pub(super) struct JsonBody(pub(super) Value);

impl FromRequest<AppState> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json")) {
            return Err(ApiError::NotJson);
        }
        // Half of the request's time, so that a slow sender is told apart (408) from a slow handler (504).
        let limit = state.config.request_timeout / 2;
        let bytes = tokio::time::timeout(limit, to_bytes(request.into_body(), BODY_LIMIT))
            .await
            .map_err(|_| ApiError::BodyTimeout)?
            .map_err(|error| {
                let text = format!("{error:?}");
                if text.contains("LengthLimitError") {
                    ApiError::BodyTooLarge
                } else {
                    ApiError::BadRequest("the request body could not be read".to_owned())
                }
            })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::BadRequest(format!("the body is not JSON: {error}")))
    }
}
