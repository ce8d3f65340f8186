//! The live stream (SSE): `status` each second, `log` and `trace` as they come. Called by `api`. A reader that lags
//! skips events; it never slows the receiver down.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{StreamExt, future, stream};
use tokio_stream::wrappers::{BroadcastStream, IntervalStream};

use super::api::Api;
use super::query;

/// `GET /api/v1/stream`.
pub(crate) async fn stream(State(api): State<Api>) -> impl IntoResponse {
    let live = BroadcastStream::new(api.ingest.live.subscribe())
        .filter_map(|event| future::ready(event.ok()))
        .map(|live| Event::default().event(live.event).data(&*live.data));
    let ingest = api.ingest;
    let status = IntervalStream::new(tokio::time::interval(Duration::from_secs(1))).map(move |_| {
        let status = query::status(&ingest.read(), &ingest.profiles(), ingest.started);
        Event::default().event("status").data(status.to_string())
    });
    // Ends with the console, so that an open page does not hold its shutdown.
    let events = stream::select(live, status).take_until(api.stop.cancelled_owned()).map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::default())
}
