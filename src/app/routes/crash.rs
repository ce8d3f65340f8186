//! `GET /crash`: a panic a few calls deep, to show an exception with its stack trace. It must stay a real panic.

use axum::http::StatusCode;

use crate::app::error::ErrorBody;

/// Panics.
#[utoipa::path(get, path = "/crash", responses(
    (status = 500, description = "always: the handler panicked", body = ErrorBody),
))]
pub(crate) async fn crash() -> StatusCode {
    let total = checkout(&[]);
    tracing::info!(total, "unreachable: the checkout panics first");
    StatusCode::OK
}

#[inline(never)]
fn checkout(prices: &[u64]) -> u64 {
    average_price(prices) + 1
}

#[inline(never)]
fn average_price(prices: &[u64]) -> u64 {
    let count = u64::try_from(prices.len()).unwrap_or(u64::MAX);
    prices.iter().sum::<u64>().checked_div(count).expect("simulated crash: the average of an empty basket")
}
