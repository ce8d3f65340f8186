//! `GET /rolldice`: the reference application of the OpenTelemetry documentation, so that its exercises work here.
//! One number for `rolls` absent or 1, else an array; not a number is 400; below one is 500 without a body.

use axum::Json;
use axum::extract::State;
use rand::RngExt;
use serde_json::{Value, json};

use crate::app::AppState;
use crate::app::error::ApiError;
use crate::app::extract::Params;

/// Most rolls of one request: the specification has no bound, memory has.
const MAX_ROLLS: i64 = 10_000;

/// Rolls a die.
#[utoipa::path(get, path = "/rolldice",
    params(
        ("rolls" = Option<i64>, Query, description = "how often, 1 to 10000; once when absent"),
        ("player" = Option<String>, Query, description = "who rolls, for the log"),
    ),
    responses(
        (status = 200, description = "a number from 1 to 6, or an array of them when rolls is above 1", body = Object),
        (status = 400, description = "rolls is not a number, or above 10000", body = Object),
        (status = 500, description = "rolls is below 1; no body"),
    ))]
pub(crate) async fn rolldice(State(state): State<AppState>, params: Params) -> Result<Json<Value>, ApiError> {
    let rolls: i64 = match params.text("rolls") {
        None => 1,
        Some(text) => text.parse().map_err(|_| ApiError::RollsNotANumber)?,
    };
    if rolls < 1 {
        return Err(ApiError::RollsBelowOne(rolls));
    }
    if rolls > MAX_ROLLS {
        return Err(ApiError::BadRequest(format!("rolls must be a whole number from 1 to {MAX_ROLLS}")));
    }
    let result = roll(rolls);
    state.dice_rolls.add(rolls.unsigned_abs(), &[]);
    match params.text("player") {
        Some(player) => tracing::debug!(player, ?result, "{player} is rolling the dice"),
        None => tracing::debug!(?result, "anonymous player is rolling the dice"),
    }
    Ok(Json(if rolls == 1 { json!(result[0]) } else { json!(result) }))
}

fn roll(times: i64) -> Vec<u8> {
    let mut rng = rand::rng();
    (0..times).map(|_| rng.random_range(1..=6)).collect()
}
