//! A service of your own: one route, wrapped so that each request is a span, a duration and log records that name the span.
//! Replace `hello`. What is sent where: telemetry.rs.

mod telemetry;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Router, middleware, routing::get};
use tokio::signal::unix::{SignalKind, signal};

async fn hello(Path(name): Path<String>) -> Result<String, StatusCode> {
    if name == "nobody" {
        tracing::error!(name, "there is nobody to greet");
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    tracing::info!(name, "greeting");
    Ok(format!("hello {name}\n"))
}

fn router() -> Router {
    Router::new().route("/hello/{name}", get(hello)).layer(middleware::from_fn(telemetry::request))
}

#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = telemetry::start()?;
    let address = std::env::var("SERVICE_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8081".into());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}/hello/you", listener.local_addr()?);
    // Ctrl-C, and what containers and systemd send.
    let mut term = signal(SignalKind::terminate())?;
    let ended = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
    };
    axum::serve(listener, router()).with_graceful_shutdown(ended).await?;
    // Off the runtime: shutdown waits for the last batches.
    tokio::task::spawn_blocking(move || telemetry.stop()).await??;
    Ok(())
}
