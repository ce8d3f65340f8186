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
const MAX_CPU_MS: i64 = 5_000;
/// How long it computes before other requests have their turn on the thread.
const TURN: Duration = Duration::from_millis(5);

/// Works for `ms` milliseconds (waits), then spends `cpu_ms` of CPU time: something for a profile to show.
#[utoipa::path(get, path = "/work",
    params(("ms" = Option<i64>, Query, description = "0 to 10000 milliseconds; 200 when absent"),
        ("cpu_ms" = Option<i64>, Query, description = "0 to 5000 milliseconds of CPU time to spend after that; 0 when absent")),
    responses(
        (status = 200, description = "done", body = Object),
        (status = 400, description = "ms or cpu_ms is outside its range", body = ErrorBody),
        (status = 503, description = "too many requests in progress", body = ErrorBody),
        (status = 504, description = "longer than the request timeout", body = ErrorBody),
    ))]
pub(crate) async fn work(State(state): State<AppState>, params: Params) -> Result<Json<Value>, ApiError> {
    let ms = params.number("ms", 0..=MAX_MS, DEFAULT_MS).map_err(ApiError::BadRequest)?;
    let cpu_ms = params.number("cpu_ms", 0..=MAX_CPU_MS, 0).map_err(ApiError::BadRequest)?;
    let start = Instant::now();
    async {
        tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
        compute(Duration::from_millis(cpu_ms.unsigned_abs())).await;
        state.work_duration.record_in(&tracing::Span::current().context(), start.elapsed().as_secs_f64(), &[]);
    }
    .instrument(tracing::info_span!("simulate work", "work.ms" = ms, "work.cpu_ms" = cpu_ms))
    .await;
    Ok(Json(json!({ "worked_ms": ms + cpu_ms })))
}

/// Computes until the given CPU time is spent, however long that takes on a busy machine.
async fn compute(length: Duration) {
    let (mut spent, mut number) = (Duration::ZERO, 0);
    while spent < length {
        let (turn, begin) = (Instant::now(), on_cpu());
        while turn.elapsed() < TURN {
            number = stir(number);
        }
        // The task stays on its thread until it yields.
        let used = on_cpu().zip(begin).map(|(end, begin)| end.saturating_sub(begin));
        spent += used.unwrap_or_else(|| turn.elapsed());
        tokio::task::yield_now().await;
    }
    std::hint::black_box(number);
}

/// CPU time of this thread so far, where the system tells it (Linux).
fn on_cpu() -> Option<Duration> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    times.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// A few microseconds of arithmetic, under a name of its own in the flame graph.
#[inline(never)]
fn stir(number: u64) -> u64 {
    (0..1_000)
        .fold(number, |number, i| std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i)))
}
