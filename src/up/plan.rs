//! Ports, addresses and environment of the children, decided once before the first starts. Called by `up`.
//! No process is started here.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

use crate::env;
use crate::facts;

/// Short intervals and long queues: `up` is for looking, and a look must miss nothing. What the user set stays.
const TELEMETRY: &[(&str, &str)] = &[
    ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ("OTEL_BSP_SCHEDULE_DELAY", "300"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "300"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "65536"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "65536"),
    ("PYROSCOPE_UPLOAD_INTERVAL", "2s"),
];

/// Where everything will be.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    bind: IpAddr,
    /// OTLP over gRPC.
    pub(super) grpc: u16,
    /// OTLP over HTTP.
    pub(super) http: u16,
    /// The page and the query API.
    pub(super) page: u16,
    /// The service.
    pub(super) app: u16,
    /// What ingest and queries must carry off loopback.
    pub(super) token: Option<String>,
    /// Whether the token was made here, so that the user must be told.
    pub(super) token_is_new: bool,
}

impl Plan {
    /// Takes the default ports where they are free, says so where they are not.
    pub(super) fn make() -> anyhow::Result<Self> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let parse = |text: &str| text.parse().ok();
        let bind = env::parsed("SIGNALBOX_BIND", "an IP address", parse)?.unwrap_or(loopback);
        // Held until all are chosen, so that no port is chosen twice.
        let mut held = Vec::new();
        let mut choose = |program, role| choose(bind, program, role, &mut held);
        let (grpc, http) = (choose("console", "otlp-grpc")?, choose("console", "otlp-http")?);
        let (page, app) = (choose("console", "page")?, choose("app", "http")?);
        let given = env::text("SIGNALBOX_TOKEN");
        let token_is_new = given.is_none() && !bind.is_loopback();
        let token = if token_is_new { Some(format!("{:032x}", rand::random::<u128>())) } else { given };
        Ok(Self { bind, grpc, http, page, app, token, token_is_new })
    }

    fn url(&self, port: u16) -> String {
        // An unspecified address is one to listen on, not one to connect to.
        let host = if self.bind.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { self.bind };
        format!("http://{}", std::net::SocketAddr::new(host, port))
    }

    /// The console's page.
    pub(super) fn console_url(&self) -> String {
        self.url(self.page)
    }

    /// The service.
    pub(super) fn app_url(&self) -> String {
        self.url(self.app)
    }

    /// This binary with arguments and the environment of all children.
    pub(super) fn command(&self, args: &[String]) -> anyhow::Result<Command> {
        let binary = std::env::current_exe().context("cannot find this binary")?;
        let mut command = Command::new(binary);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        // Its own group: Ctrl-C must reach `up` alone, which then stops them in order.
        command.process_group(0);
        let protocol = env::text("OTEL_EXPORTER_OTLP_PROTOCOL").unwrap_or_else(|| "grpc".to_owned());
        let otlp = if protocol == "grpc" { self.grpc } else { self.http };
        command
            .env("SIGNALBOX_BIND", self.bind.to_string())
            .env("APP_URL", self.app_url())
            .env("CONSOLE_URL", self.console_url())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.url(otlp))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        for (variable, value) in TELEMETRY.iter().filter(|(variable, _)| env::text(variable).is_none()) {
            command.env(variable, value);
        }
        if let Some(token) = &self.token {
            command.env("SIGNALBOX_TOKEN", token);
            if env::text("OTEL_EXPORTER_OTLP_HEADERS").is_none() {
                command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}"));
            }
        }
        // Profiles go to the console unless the user has a server; only the console may learn its token.
        if env::text("PYROSCOPE_URL").is_none() {
            command.env("PYROSCOPE_URL", self.console_url());
            if let Some(token) = &self.token {
                command.env("PYROSCOPE_AUTH_TOKEN", token);
            }
        }
        Ok(command)
    }
}

/// The program's port where it is free, else any free one.
fn choose(bind: IpAddr, program: &str, role: &str, held: &mut Vec<TcpListener>) -> anyhow::Result<u16> {
    let wanted = facts::port(program, role);
    let taken = match TcpListener::bind((bind, wanted)) {
        Ok(listener) => {
            held.push(listener);
            return Ok(wanted);
        }
        Err(error) => error,
    };
    let listener = TcpListener::bind((bind, 0)).with_context(|| format!("no free port on {bind}"))?;
    let port = listener.local_addr().context("a listener has no address")?.port();
    held.push(listener);
    println!("port {wanted} ({program} {role}) is not free ({taken}): using {port}");
    Ok(port)
}
