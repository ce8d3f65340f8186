//! `signalbox doctor`: what this machine has and lacks for each run mode. Called by `main`; it asks this machine only,
//! never a network, and changes nothing.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use serde::Serialize;

use crate::cli::DoctorArgs;
use crate::facts;

/// Longest wait for a tool to tell its version.
const VERSION_WITHIN: Duration = Duration::from_secs(3);

/// A tool: any one of `names` will do.
struct Need {
    names: &'static [&'static str],
    /// Asks for the version.
    version: &'static [&'static str],
    get: &'static str,
    /// The mode runs without it and says so.
    optional: bool,
}

const fn need(names: &'static [&'static str], version: &'static [&'static str], get: &'static str) -> Need {
    Need { names, version, get, optional: false }
}

const fn optional(names: &'static [&'static str], version: &'static [&'static str], get: &'static str) -> Need {
    Need { names, version, get, optional: true }
}

/// A way to run the stack.
struct Mode {
    name: &'static str,
    /// Whether this version of signalbox has what the mode runs.
    built: bool,
    start: &'static str,
    needs: &'static [Need],
    /// Programs whose ports it takes.
    programs: &'static [&'static str],
    /// Whether a taken port stands in the way.
    ports_are_fixed: bool,
}

const V: &[&str] = &["--version"];
const NIX: Need = need(&["nix"], V, "https://nixos.org/download, flakes enabled");
const ENGINE: Need = need(&["podman", "docker"], V, "Debian: apt-get install podman");
const TERRAFORM: Need = need(&["terraform", "tofu"], &["version"], "nix develop, or the vendor's package");

const MODES: &[Mode] = &[
    Mode {
        name: "embedded",
        built: true,
        start: "signalbox up",
        needs: &[],
        programs: &["console", "app"],
        ports_are_fixed: false,
    },
    Mode {
        name: "native processes",
        built: true,
        start: "just stack",
        needs: &[
            need(&["process-compose"], &["version"], "nix develop, or just backends"),
            need(&["otelcol-contrib", "otelcol"], V, "nix develop, or just backends"),
            need(&["prometheus"], V, "nix develop, or just backends"),
            need(&["loki"], V, "nix develop, or just backends"),
            optional(&["tempo"], V, "nix develop; without it the console takes its role"),
            optional(&["grafana", "grafana-server"], V, "nix develop, or the vendor's package"),
        ],
        programs: &["app", "collector", "prometheus", "loki", "tempo", "grafana"],
        ports_are_fixed: true,
    },
    Mode {
        name: "images",
        built: false,
        start: "nix build .#images, then compose",
        needs: &[NIX, ENGINE, need(&["skopeo"], V, "Debian: apt-get install skopeo")],
        programs: &["app", "collector", "prometheus", "loki", "tempo", "grafana"],
        ports_are_fixed: true,
    },
    Mode {
        name: "Kubernetes",
        built: false,
        start: "kubectl apply -k k8s/overlays/local",
        needs: &[
            need(&["kubectl"], &["version", "--client"], "nix develop, or the vendor's package"),
            need(&["kustomize"], &["version"], "nix develop, or go install its module"),
            need(&["kind", "k3d", "minikube"], &["version"], "nix develop; a cluster elsewhere will do too"),
        ],
        programs: &[],
        ports_are_fixed: false,
    },
    Mode {
        name: "ECS",
        built: false,
        start: "terraform apply in terraform/",
        needs: &[
            NIX,
            TERRAFORM,
            need(&["aws"], V, "Debian: apt-get install awscli"),
            need(&["skopeo"], V, "Debian: apt-get install skopeo"),
        ],
        programs: &[],
        ports_are_fixed: false,
    },
    Mode {
        name: "single host",
        built: false,
        start: "terraform apply in terraform/single-host",
        needs: &[TERRAFORM, ENGINE],
        programs: &[],
        ports_are_fixed: false,
    },
];

/// What was found, for print and JSON.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    modes: Vec<ModeReport>,
}

#[derive(Debug, Serialize)]
struct ModeReport {
    mode: &'static str,
    start: &'static str,
    built: bool,
    ready: bool,
    tools: Vec<ToolReport>,
    ports: Vec<PortReport>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ToolReport {
    /// Names of which any one will do.
    names: &'static [&'static str],
    path: Option<PathBuf>,
    version: Option<String>,
    get: &'static str,
    optional: bool,
}

#[derive(Debug, Serialize)]
struct PortReport {
    program: &'static str,
    role: String,
    port: u16,
    free: bool,
}

/// Prints the report. Exits 0 unless the embedded mode, which needs nothing, is impossible.
///
/// # Errors
/// When the report cannot be written.
pub async fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut modes = Vec::new();
    for mode in MODES {
        modes.push(examine(mode).await);
    }
    let possible = modes.iter().any(|mode| mode.mode == "embedded" && mode.ready);
    let report = Report { version: env!("CARGO_PKG_VERSION"), modes };
    let text = if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { table(&report) };
    // A reader that has seen enough, such as `head`, is no error.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if possible { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(mode: &Mode) -> ModeReport {
    let mut tools = Vec::new();
    for need in mode.needs {
        tools.push(look_for(need).await);
    }
    let ports = mode.programs.iter().flat_map(|program| ports_of(program)).collect::<Vec<_>>();
    let mut notes = Vec::new();
    let mut ready = mode.built && tools.iter().all(|tool| tool.optional || tool.path.is_some());
    if mode.ports_are_fixed {
        ready &= ports.iter().all(|port| port.free);
    } else if ports.iter().any(|port| !port.free) {
        notes.push("`up` takes a free port in place of each taken one".to_owned());
    }
    if mode.name == "embedded" {
        let obstacles = embedded_obstacles();
        ready &= obstacles.is_empty();
        notes.extend(obstacles);
    }
    ModeReport { mode: mode.name, start: mode.start, built: mode.built, ready, tools, ports, notes }
}

/// What makes `up` impossible.
fn embedded_obstacles() -> Vec<String> {
    let mut obstacles = Vec::new();
    if !cfg!(all(feature = "app", feature = "load", feature = "console")) {
        obstacles.push("this build has no `up`: build it with the features app, load and console".to_owned());
    }
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        obstacles.push(format!("loopback has no port to listen on: {error}"));
    }
    let state = facts::setting("SIGNALBOX_STATE");
    let state = Path::new(&state);
    // The directory itself, or the nearest one above in which it can be made.
    let existing = state.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    if existing.metadata().is_ok_and(|data| data.permissions().readonly() || !data.is_dir()) {
        obstacles.push(format!("SIGNALBOX_STATE={} cannot be written", state.display()));
    }
    obstacles
}

fn ports_of(program: &'static str) -> Vec<PortReport> {
    let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let ports = facts::program(program).ports.iter();
    ports.map(|(role, port)| PortReport { program, role: role.clone(), port: *port, free: free(*port) }).collect()
}

async fn look_for(need: &Need) -> ToolReport {
    let path = need.names.iter().find_map(|name| on_path(name));
    let version = match &path {
        Some(path) => version_of(path, need.version).await,
        None => None,
    };
    ToolReport { names: need.names, path, version, get: need.get, optional: need.optional }
}

/// Where `just backends` puts what it builds (backends/get).
fn backends() -> Option<PathBuf> {
    let cache = || {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).map(|cache| cache.join("signalbox/backends"))
    };
    std::env::var_os("SIGNALBOX_BACKENDS").map(PathBuf::from).or_else(cache).map(|folder| folder.join("bin"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(backends())
        .map(|folder| folder.join(name))
        .find(|file| file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0))
}

/// First line that a tool prints about its version.
async fn version_of(path: &Path, args: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new(path);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(VERSION_WITHIN, command.output()).await.ok()?.ok()?;
    // Some print it on stderr.
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().map(str::trim).find(|line| !line.is_empty())?.to_owned();
    Some(line.chars().take(60).collect())
}

fn table(report: &Report) -> String {
    let mut lines = vec![format!("signalbox {}: what this machine has for each run mode\n", report.version)];
    for mode in &report.modes {
        let state = match mode {
            ModeReport { built: false, .. } => "not built yet",
            ModeReport { ready: true, .. } => "ready",
            _ => "lacks something",
        };
        lines.push(format!("{:<17} {state:<16} {}", mode.mode, mode.start));
        for tool in &mode.tools {
            let names = tool.names.join(" or ");
            match (&tool.path, &tool.version) {
                (Some(path), version) => {
                    lines.push(format!(
                        "  has    {names:<28} {} ({})",
                        version.as_deref().unwrap_or("?"),
                        path.display()
                    ));
                }
                (None, _) => lines.push(format!("  lacks  {names:<28} get it: {}", tool.get)),
            }
        }
        for port in &mode.ports {
            let state = if port.free { "free " } else { "taken" };
            lines.push(format!("  {state}  port {:<5} {} {}", port.port, port.program, port.role));
        }
        for note in &mode.notes {
            lines.push(format!("  note   {note}"));
        }
        lines.push(String::new());
    }
    lines.join("\n") + "\n"
}
