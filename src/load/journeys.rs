//! What simulated users do: one function a journey. Called by `load::run` through goose, once a turn.
//! How a request is sent and measured must not go in it.

use std::time::Duration;

use goose::goose::GooseUser;
use rand::RngExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::client::{Call, Client};

/// A user thinks this many milliseconds after each request: 40 users stay below 400 requests a second.
const THINK_MS: std::ops::RangeInclusive<u64> = 80..=160;
/// Statuses that `/error` is asked for.
const ERRORS: [u16; 5] = [400, 404, 500, 502, 503];

/// What a journey needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) client: &'a Client,
    pub(super) user: &'a GooseUser,
    /// `false` where a rate bounds the load: think time would keep users from reaching it.
    pub(super) think: bool,
    pub(super) stop: &'a CancellationToken,
}

/// A random journey: of 100, one crashes.
pub(super) async fn any(turn: Turn<'_>) {
    let draw = rand::rng().random_range(0..100);
    match draw {
        0..58 => browse(turn).await,
        58..78 => task_lifecycle(turn).await,
        78..90 => slow_work(turn).await,
        90..96 => errors(turn).await,
        96..99 => external(turn).await,
        _ => crash(turn).await,
    }
}

impl Turn<'_> {
    async fn send(&self, call: Call<'_>) -> Option<(u16, Vec<u8>)> {
        let answer = self.client.send(self.user, call).await;
        if self.think {
            let pause = Duration::from_millis(rand::rng().random_range(THINK_MS));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        } else if answer.is_none() {
            // A refused connection costs nothing: without this a service that is down would be hammered.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answer
    }

    async fn get(&self, journey: &'static str, name: &'static str, path: &str) {
        self.send(Call { journey, name, path, body: None, expected_error: None }).await;
    }

    fn over(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// Opens one of the light pages.
async fn browse(turn: Turn<'_>) {
    let draw = rand::rng().random_range(0..10);
    match draw {
        0..3 => turn.get("browse", "GET /", "/").await,
        3..7 => turn.get("browse", "GET /api/data", "/api/data").await,
        7..9 => turn.get("browse", "GET /rolldice", "/rolldice?rolls=2").await,
        _ => turn.get("browse", "GET /tasks", "/tasks").await,
    }
}

/// Creates a task, reads it, completes it and deletes it; what it created never outlives it.
async fn task_lifecycle(turn: Turn<'_>) {
    let call = |name, path, body| Call { journey: "tasks", name, path, body, expected_error: None };
    let task = json!({ "title": "written by the load tester" });
    let done = json!({ "title": "completed by the load tester", "done": true });
    let Some((201, body)) = turn.send(call("POST /tasks", "/tasks", Some(&task))).await else { return };
    let created = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
    let Some(id) = created.get("id").and_then(serde_json::Value::as_i64) else { return };
    let path = format!("/tasks/{id}");
    if !turn.over() {
        turn.send(call("GET /tasks/{id}", &path, None)).await;
    }
    if !turn.over() {
        turn.send(call("PUT /tasks/{id}", &path, Some(&done))).await;
    }
    turn.send(call("DELETE /tasks/{id}", &path, None)).await;
}

/// Asks for work that takes a while.
async fn slow_work(turn: Turn<'_>) {
    let ms = rand::rng().random_range(20..=300);
    turn.get("slow work", "GET /work", &format!("/work?ms={ms}")).await;
}

/// Asks for an error.
async fn errors(turn: Turn<'_>) {
    let status = ERRORS[rand::rng().random_range(0..ERRORS.len())];
    let path = format!("/error?status={status}");
    turn.send(Call { journey: "errors", name: "GET /error", path: &path, body: None, expected_error: Some(status) })
        .await;
}

/// Has the service call another.
async fn external(turn: Turn<'_>) {
    turn.get("external", "GET /external", "/external").await;
}

/// Makes a handler panic.
async fn crash(turn: Turn<'_>) {
    turn.send(Call { journey: "crash", name: "GET /crash", path: "/crash", body: None, expected_error: Some(500) })
        .await;
}
