//! The embedded OTLP backend: receiver (gRPC and HTTP), bounded store, query API and page on three ports.
//! Called by `main` ([`run`]) and by tests in process ([`start`]). Must never import `crate::telemetry`: a receiver that
//! exports to itself loops.
//!
//! Data flow: `receiver` decodes -> `convert` makes records of the `model` -> `ingest` puts them into the `store` and on
//! the live stream -> `query` answers what `api` asks. `profiles` has its own way in, on the page port.

mod api;
mod convert;
mod convert_metrics;
mod guard;
mod ingest;
mod model;
mod model_metrics;
mod origins;
mod page;
mod params;
mod profiles;
mod query;
mod receiver;
mod store;
mod stream;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::ConsoleArgs;
use crate::env::InvalidSetting;
use crate::facts;

/// What the console says of its retention.
pub const RETENTION: &str = "memory only: nothing survives a restart";

/// How long open requests may take to end on stop.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// How to start a console; port 0 takes a free one.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Token of ingest and queries, where asked for.
    pub token: Option<String>,
    /// Port of OTLP over gRPC.
    pub grpc_port: u16,
    /// Port of OTLP over HTTP.
    pub http_port: u16,
    /// Port of page and query API.
    pub page_port: u16,
    /// Most spans kept.
    pub max_spans: usize,
    /// Most log records kept.
    pub max_logs: usize,
    /// Most metric points kept.
    pub max_points: usize,
    /// Most profiles kept.
    pub max_profiles: usize,
    /// Most estimated bytes kept, per signal.
    pub max_bytes: usize,
}

impl Default for Options {
    /// Loopback, free ports, no token, small limits: for tests.
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            token: None,
            grpc_port: 0,
            http_port: 0,
            page_port: 0,
            max_spans: 100_000,
            max_logs: 100_000,
            max_points: 100_000,
            max_profiles: 1_000,
            max_bytes: 64 << 20,
        }
    }
}

/// A console at work; dropping it does not stop it, [`Running::stop`] does.
#[derive(Debug)]
pub struct Running {
    /// Page and query API.
    pub page: SocketAddr,
    /// OTLP over gRPC.
    pub grpc: SocketAddr,
    /// OTLP over HTTP.
    pub http: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    /// Stops accepting, ends live streams, and waits for open requests up to two seconds.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let deadline = tokio::time::Instant::now() + STOP_DEADLINE;
        for task in &mut self.tasks {
            if tokio::time::timeout_at(deadline, &mut *task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Waits until one of the three servers ends by itself, which none should.
    async fn failed(&mut self) -> anyhow::Error {
        let ended = std::future::poll_fn(|context| {
            for task in &mut self.tasks {
                if let std::task::Poll::Ready(result) = std::future::Future::poll(std::pin::Pin::new(task), context) {
                    return std::task::Poll::Ready(result);
                }
            }
            std::task::Poll::Pending
        });
        match ended.await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => anyhow::anyhow!("a server of the console ended by itself"),
            Err(error) => anyhow::Error::from(error).context("a server of the console panicked"),
        }
    }
}

async fn listen(bind: IpAddr, port: u16, what: &str, flag: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((bind, port)).await.with_context(|| {
        format!("{what} cannot listen on {bind} port {port}; choose another with {flag} (0: a free one)")
    })?;
    let address = listener.local_addr().context("the listener has no address")?;
    Ok((listener, address))
}

/// Binds the three ports and serves in the background.
///
/// # Errors
/// When a port cannot be bound; the message names the port and its flag.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let (page_listener, page) = listen(options.bind, options.page_port, "the page", "--page-port").await?;
    let (grpc_listener, grpc) = listen(options.bind, options.grpc_port, "OTLP over gRPC", "--grpc-port").await?;
    let (http_listener, http) = listen(options.bind, options.http_port, "OTLP over HTTP", "--http-port").await?;
    let limit = |count| store::Limit { count, bytes: options.max_bytes };
    let ingest = ingest::Ingest::new(
        limit(options.max_spans),
        limit(options.max_logs),
        limit(options.max_points),
        limit(options.max_profiles),
    );
    let ingest = Arc::new(ingest);
    let guard = guard::Guard { token: options.token.map(Into::into), bind: options.bind };
    let stop = CancellationToken::new();

    let api = api::router(api::Api { ingest: Arc::clone(&ingest), stop: stop.clone() }, guard.clone());
    let otlp = receiver::http::router(Arc::clone(&ingest), guard.clone());
    let serve_http = |listener, router: axum::Router| {
        let stop = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stop).await.context("the HTTP server failed")
        })
    };
    let serve_grpc = receiver::grpc::serve(grpc_listener, ingest, guard, stop.clone());
    let tasks = vec![
        serve_http(page_listener, api),
        serve_http(http_listener, otlp),
        tokio::spawn(async move { serve_grpc.await.context("the gRPC server failed") }),
    ];
    Ok(Running { page, grpc, http, stop, tasks })
}

/// The token to ask for, and whether it was made here and must be shown.
fn token(args: &ConsoleArgs) -> Result<(Option<String>, bool), InvalidSetting> {
    match args.token.as_deref().map(str::trim) {
        Some(token) if !token.is_empty() => {
            if token.chars().all(|c| c.is_ascii_graphic()) {
                Ok((Some(token.to_owned()), false))
            } else {
                Err(InvalidSetting::new("--token", "***", "visible ASCII characters without spaces"))
            }
        }
        _ if args.bind.is_loopback() => Ok((None, false)),
        _ => Ok((Some(model::hex(&rand::random::<[u8; 16]>())), true)),
    }
}

fn options(args: &ConsoleArgs, token: Option<String>) -> Result<Options, InvalidSetting> {
    let port = |given: Option<u16>, role| given.unwrap_or_else(|| facts::port("console", role));
    let positive = |flag, number: usize| match number {
        0 => Err(InvalidSetting::new(flag, number, "a whole number of at least 1")),
        number => Ok(number),
    };
    let too_many = || InvalidSetting::new("--max-mib", args.max_mib, "what fits into memory");
    Ok(Options {
        bind: args.bind,
        token,
        grpc_port: port(args.grpc_port, "otlp-grpc"),
        http_port: port(args.http_port, "otlp-http"),
        page_port: port(args.page_port, "page"),
        max_spans: positive("--max-spans", args.max_spans)?,
        max_logs: positive("--max-logs", args.max_logs)?,
        max_points: positive("--max-points", args.max_points)?,
        max_profiles: positive("--max-profiles", args.max_profiles)?,
        max_bytes: positive("--max-mib", args.max_mib)?.checked_mul(1 << 20).ok_or_else(too_many)?,
    })
}

fn announce(running: &Running, generated: Option<&str>) -> std::io::Result<()> {
    let Running { page, grpc, http, .. } = running;
    let mut out = std::io::stdout().lock();
    writeln!(out, "console: page http://{page}  otlp grpc {grpc}  http {http}")?;
    if let Some(token) = generated {
        writeln!(out, "token: {token}  (page: http://{page}/?token={token})")?;
    }
    writeln!(out, "retention: memory only, nothing survives a restart")?;
    // Read by `up` and by tests.
    writeln!(out, "listening page={page} grpc={grpc} http={http}")?;
    out.flush()
}

/// Runs the console until SIGINT or SIGTERM.
///
/// # Errors
/// When a port is taken, a flag is wrong, or a server fails.
pub async fn run(args: ConsoleArgs) -> anyhow::Result<ExitCode> {
    let (token, generated) = token(&args)?;
    let shown = token.clone().filter(|_| generated);
    let mut running = start(options(&args, token)?).await?;
    // A closed stdout is no reason to stop.
    let _ = announce(&running, shown.as_deref());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("SIGTERM cannot be waited for")?;
    tokio::select! {
        error = running.failed() => return Err(error),
        signal = tokio::signal::ctrl_c() => signal.context("SIGINT cannot be waited for")?,
        _ = terminate.recv() => {}
    }
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}
