//! The command line: every subcommand and flag. Parsed by `main`, read by the module of each subcommand;
//! no behaviour may live here.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A complete, reproducible observability stack around an instrumented Rust service.
#[derive(Debug, Parser)]
#[command(name = "signalbox", version, about, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands this build has (features choose).
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run console, app and load tester together, with progress; one Ctrl-C stops all
    #[cfg(all(feature = "app", feature = "load", feature = "console"))]
    Up(UpArgs),
    /// Run the instrumented service
    #[cfg(feature = "app")]
    App(AppArgs),
    /// Run the load tester against the service
    #[cfg(feature = "load")]
    Load(LoadArgs),
    /// Run the embedded OTLP backend and its page alone: any OTLP program can point at it
    #[cfg(feature = "console")]
    Console(ConsoleArgs),
    /// Prove the contract: send marked requests and find their signals and correlations
    #[cfg(feature = "console")]
    Verify(VerifyArgs),
    /// Write dashboards, alert rules and what Grafana loads of them from their typed sources
    #[cfg(feature = "dashboards")]
    Dashboards(DashboardsArgs),
    /// Health check for images without a shell: exit 0 when URL answers 2xx, else 1
    Probe(ProbeArgs),
    /// Say what this machine has and lacks for each run mode
    Doctor(DoctorArgs),
    /// Print shell completions
    Completions {
        /// The shell to print them for
        shell: clap_complete::Shell,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e}; write a duration such as 30s, 2m or 1h"))
}

/// Flags of `up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// End by itself after this long, such as 30s (`--verify` may add 60 s)
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub for_: Option<Duration>,
    /// Run `verify` when traffic flows and again after a spike
    #[arg(long)]
    pub verify: bool,
    /// Open the page in a browser
    #[arg(long)]
    pub open: bool,
}

/// Flags of `app`.
#[derive(Debug, Clone, Args)]
pub struct AppArgs {
    /// Address to listen on
    #[arg(long, env = "SIGNALBOX_BIND", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// Port; 0 takes a free one (default: the app's in configs/stack.json)
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,
}

/// Shapes of load over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Constant users
    Steady,
    /// Users grow linearly to the number
    Ramp,
    /// Base, then a peak of many users, then base again
    Spike,
    /// Constant users for a long time
    Soak,
}

/// Flags of `load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// The service under load (default: APP_URL of the environment)
    #[arg(long, value_name = "URL")]
    pub host: Option<String>,
    /// How users change over time
    #[arg(long, value_enum, default_value = "spike")]
    pub shape: Shape,
    /// goose's own test plan, such as "5,10s;5,20s;0,5s"; wins over --shape
    #[arg(long, value_name = "PLAN")]
    pub test_plan: Option<String>,
    /// Users at the peak
    #[arg(long, default_value_t = 40)]
    pub users: usize,
    /// How long the load lasts; without it the shape repeats until stopped
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub for_: Option<Duration>,
    /// Upper bound of requests a second over all users (0: none)
    #[arg(long, default_value_t = 0)]
    pub rate: usize,
    /// A condition on the result, such as 'p95<500ms', 'errors<1%', 'rate>100'; exit 1 when broken
    #[arg(long, value_name = "CONDITION")]
    pub threshold: Vec<String>,
    /// Write the HTML report here
    #[arg(long, value_name = "FILE")]
    pub report_html: Option<PathBuf>,
    /// Write the JSON report here
    #[arg(long, value_name = "FILE")]
    pub report_json: Option<PathBuf>,
    /// Aim at a host that is not this machine
    #[arg(long)]
    pub allow_remote: bool,
    /// Print one line a phase instead of live progress
    #[arg(long)]
    pub quiet: bool,
}

/// Flags of `console`. Ports default to those in configs/stack.json; 0 takes a free one.
#[derive(Debug, Clone, Args)]
pub struct ConsoleArgs {
    /// Address to listen on; other than loopback needs a token
    #[arg(long, env = "SIGNALBOX_BIND", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// Token that ingest and queries must carry (generated and printed when needed and not given)
    #[arg(long, env = "SIGNALBOX_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Port of OTLP over gRPC
    #[arg(long)]
    pub grpc_port: Option<u16>,
    /// Port of OTLP over HTTP
    #[arg(long)]
    pub http_port: Option<u16>,
    /// Port of the page and the query API
    #[arg(long)]
    pub page_port: Option<u16>,
    /// Most spans kept
    #[arg(long, default_value_t = 200_000)]
    pub max_spans: usize,
    /// Most log records kept
    #[arg(long, default_value_t = 200_000)]
    pub max_logs: usize,
    /// Most metric points kept
    #[arg(long, default_value_t = 500_000)]
    pub max_points: usize,
    /// Most profiles kept
    #[arg(long, default_value_t = 2_000)]
    pub max_profiles: usize,
    /// Most bytes kept per signal, in MiB
    #[arg(long, default_value_t = 128)]
    pub max_mib: usize,
}

/// The stack that `verify` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stack {
    /// The embedded console
    Console,
    /// Prometheus, Loki, Tempo, Grafana
    Core,
    /// Mimir, Loki, Tempo, Pyroscope, Grafana
    Lgtm,
    /// X-Ray, CloudWatch Logs, Loki on S3, Prometheus
    Aws,
}

/// Flags of `dashboards`.
#[derive(Debug, Clone, Args)]
pub struct DashboardsArgs {
    /// Folder of the checkout to write into
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub into: PathBuf,
    /// Write nothing; exit 1 and name the files that differ
    #[arg(long)]
    pub check: bool,
}

/// How `verify` prints its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line a check
    Text,
    /// One JSON document
    Json,
    /// `JUnit` XML
    Junit,
}

/// Flags of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Which backends to ask
    #[arg(long, value_enum, default_value = "console")]
    pub stack: Stack,
    /// The service (default: APP_URL of the environment)
    #[arg(long, value_name = "URL")]
    pub app: Option<String>,
    /// Grafana (default: GRAFANA_URL of the environment)
    #[arg(long, value_name = "URL")]
    pub grafana: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// A skipped check fails
    #[arg(long)]
    pub require_all: bool,
}

/// Flags of `probe`.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// http:// address, such as `http://127.0.0.1:8080/health`
    pub url: String,
    /// Give up after this long
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub timeout: Duration,
}

/// Flags of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// One JSON document instead of a table
    #[arg(long)]
    pub json: bool,
}
