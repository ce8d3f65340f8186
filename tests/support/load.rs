//! A stand-in for the app with its routes, and a way to run the real `signalbox load` against it.
//! Used by `tests/load_*.rs`; promises about the real app must not go in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

/// What the stub saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests by method and path.
    pub(crate) requests: BTreeMap<String, u64>,
    /// The `traceparent` of each request; empty where it had none.
    pub(crate) traceparents: Vec<String>,
}

/// A stub app that listens on a free port of loopback.
#[derive(Debug, Clone)]
pub(crate) struct StubApp {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it saw so far.
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl StubApp {
    /// Starts one; `crashes` is the status of `/crash`.
    pub(crate) async fn start(crashes: StatusCode) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let ok = || async { "ok" };
        let error = |request: Request| async move {
            let status = request.uri().query().and_then(|q| q.strip_prefix("status=")?.parse().ok());
            status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        };
        let created = || async { (StatusCode::CREATED, Json(serde_json::json!({"id": 7}))) };
        let task = get(ok).put(ok).delete(|| async { StatusCode::NO_CONTENT });
        let router = Router::new()
            .route("/", get(ok))
            .route("/health", get(ok))
            .route("/api/data", get(ok))
            .route("/rolldice", get(ok))
            .route("/work", get(ok))
            .route("/external", get(ok))
            .route("/error", get(error))
            .route("/crash", get(move || async move { crashes }))
            .route("/tasks", get(ok).post(created))
            .route("/tasks/{id}", task)
            .layer(from_fn_with_state(Arc::clone(&seen), note));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }
}

async fn note(State(seen): State<Arc<Mutex<Seen>>>, request: Request, next: Next) -> Response {
    {
        let mut seen = seen.lock().unwrap();
        *seen.requests.entry(format!("{} {}", request.method(), request.uri().path())).or_default() += 1;
        let header = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        seen.traceparents.push(header.unwrap_or_default().to_owned());
    }
    next.run(request).await.into_response()
}

/// `signalbox load` with arguments, exporting to nowhere that answers.
pub(crate) fn load(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.arg("load").args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_") || name == "APP_URL") {
        command.env_remove(name);
    }
    // Port 9 (discard) is closed: exports fail at once, the load must not mind.
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env("OTEL_EXPORTER_OTLP_TIMEOUT", "500");
    command
}
