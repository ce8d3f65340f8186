//! `signalbox app`: the instrumented axum service. Called by `main`; tests call [`serve`] in-process.
//!
//! | file | holds |
//! |---|---|
//! | `config` | every variable the service reads |
//! | `request_telemetry` | the one layer: server span, metrics, log line |
//! | `limits`, `panics` | body, time and concurrency limits; panics become answers |
//! | `error`, `extract` | every error answer; query and body extractors |
//! | `routes`, `openapi` | one file a route; the document of them all |
//! | `store` | SQLite or PostgreSQL, each query a span |
//! | `background`, `process_metrics` | log generator; process and runtime gauges |
//!
//! No metric or span name may be written here that `telemetry::names` promises.

mod background;
pub mod config;
pub mod error;
mod extract;
mod limits;
mod openapi;
mod panics;
mod process_metrics;
pub mod request_telemetry;
mod routes;
pub mod store;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Router, middleware};
use opentelemetry::metrics::Counter;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::config::Config;
use self::error::{ApiError, BODY_LIMIT};
use self::store::Store;
use crate::cli::AppArgs;
use crate::facts;
use crate::telemetry::metrics::{Exposition, Histogram, counter};
use crate::telemetry::profiles::Profiler;
use crate::telemetry::{Telemetry, names};

/// Longest flush of telemetry at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// What handlers and layers share; a clone is cheap.
#[derive(Debug, Clone)]
pub struct AppState {
    config: Arc<Config>,
    store: Store,
    exposition: Option<Exposition>,
    external_url: reqwest::Url,
    client: reqwest::Client,
    places: Arc<Semaphore>,
    /// `false` while draining.
    accepting: Arc<AtomicBool>,
    http: request_telemetry::Instruments,
    client_duration: Histogram,
    work_duration: Histogram,
    dice_rolls: Counter<u64>,
}

impl AppState {
    /// State of a service that listens on `address`.
    ///
    /// # Errors
    /// When the store does not open or no HTTP client can be made.
    pub async fn new(config: Config, address: SocketAddr, exposition: Option<Exposition>) -> anyhow::Result<Self> {
        let external_url = match &config.external_url {
            Some(url) => url.clone(),
            None => own_data_url(address)?,
        };
        let client = reqwest::Client::builder().no_proxy().timeout(routes::external::CALL_TIMEOUT).build()?;
        Ok(Self {
            store: Store::open(&config.database_url).await?,
            exposition,
            external_url,
            client,
            places: Arc::new(Semaphore::new(config.concurrency_limit)),
            accepting: Arc::new(AtomicBool::new(true)),
            http: request_telemetry::Instruments::new(),
            client_duration: Histogram::new(&names::HTTP_CLIENT_REQUEST_DURATION),
            work_duration: Histogram::new(&names::WORK_DURATION),
            dice_rolls: counter(&names::DICE_ROLLS),
            config: Arc::new(config),
        })
    }

    /// The store, for tests that take it away.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// `/api/data` of the service itself; one that listens everywhere is reached over loopback.
fn own_data_url(address: SocketAddr) -> anyhow::Result<reqwest::Url> {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    Ok(reqwest::Url::parse(&format!("http://{reachable}/api/data"))?)
}

/// Every route, with limits inside the telemetry layer so that each refusal has its span and log.
pub fn router(state: AppState) -> Router {
    panics::install_hook();
    Router::new()
        .route("/", get(routes::index::index))
        .route("/health", get(routes::health::health))
        .route("/ready", get(routes::health::ready))
        .route("/work", get(routes::work::work))
        .route("/api/data", get(routes::data::data))
        .route("/external", get(routes::external::external))
        .route("/error", get(routes::error::error))
        .route("/crash", get(routes::crash::crash))
        .route("/rolldice", get(routes::rolldice::rolldice))
        .route("/metrics", get(routes::metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/tasks", get(routes::tasks::list).post(routes::tasks::create))
        .route("/tasks/{id}", get(routes::tasks::read).put(routes::tasks::update).delete(routes::tasks::delete))
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(state.clone(), limits::enforce))
        .layer(middleware::from_fn_with_state(state.clone(), request_telemetry::record))
        .with_state(state)
}

/// A running service.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    state: AppState,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

/// Opens the store and serves on the listener until [`Server::shutdown`].
///
/// # Errors
/// When the store does not open.
pub async fn serve(listener: TcpListener, config: Config, exposition: Option<Exposition>) -> anyhow::Result<Server> {
    let address = listener.local_addr().context("reading the listener's address")?;
    let state = AppState::new(config, address, exposition).await?;
    let stop = CancellationToken::new();
    process_metrics::register();
    tokio::spawn(background::generate_logs(state.config.log_generator_rate, stop.clone()));
    let service = router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let signal = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move { axum::serve(listener, service).with_graceful_shutdown(signal).await });
    Ok(Server { address, state, stop, task })
}

impl Server {
    /// The state, for tests.
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Fails readiness, stops accepting and waits for requests in progress; `false` when the deadline cut some off.
    pub async fn shutdown(mut self) -> bool {
        self.state.accepting.store(false, Ordering::Relaxed);
        self.stop.cancel();
        let drained = tokio::time::timeout(self.state.config.drain_timeout, &mut self.task).await.is_ok();
        if !drained {
            self.task.abort();
        }
        self.state.store.close().await;
        drained
    }
}

/// Runs the subcommand: serves until SIGTERM or SIGINT, drains, flushes telemetry whatever happened.
///
/// # Errors
/// When the configuration is wrong ([`crate::env::InvalidSetting`]) or the service cannot start.
pub async fn run(args: AppArgs) -> anyhow::Result<ExitCode> {
    let config = Config::from_env()?;
    let telemetry = Telemetry::init(names::SERVICE_APP)?;
    let profiler = Profiler::start(names::SERVICE_APP)?;
    let outcome = serve_until_signal(&args, config, telemetry.exposition()).await;
    if let Err(error) = &outcome {
        tracing::error!(error = format!("{error:#}"), "the service failed");
    }
    let (flushed, profiled) = tokio::join!(telemetry.shutdown(FLUSH_TIMEOUT), profiler.shutdown(FLUSH_TIMEOUT));
    eprintln!("signalbox app: {flushed}");
    if let Some(profiled) = profiled {
        eprintln!("signalbox app: {profiled}");
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn serve_until_signal(args: &AppArgs, config: Config, exposition: Exposition) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let port = args.port.unwrap_or_else(|| facts::port("app", "http"));
    let address = SocketAddr::new(args.bind, port);
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let database = config.database_url.redacted();
    let mut server = serve(listener, config, Some(exposition)).await?;
    let address = server.address;
    tracing::info!(address = %address, database, "listening on http://{address}");
    let signal = tokio::select! {
        signal = signals.next() => signal,
        ended = &mut server.task => {
            ended.context("the server's task ended")?.context("serving")?;
            anyhow::bail!("the server ended by itself");
        }
    };
    tracing::info!(signal, "draining");
    tokio::select! {
        drained = server.shutdown() => match drained {
            true => tracing::info!("drained"),
            false => tracing::warn!("the drain deadline cut requests off"),
        },
        signal = signals.next() => tracing::warn!(signal, "a second signal ends the drain"),
    }
    Ok(())
}

/// SIGTERM and SIGINT.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        #[cfg(unix)]
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .context("installing the SIGTERM handler")?;
        Ok(Self {
            #[cfg(unix)]
            terminate,
        })
    }

    async fn next(&mut self) -> &'static str {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            "SIGINT"
        }
    }
}
