//! Loss and memory under load, release build: console, app and load tester as processes, 60 s at 2,000 requests/s with
//! every trace sampled. Prints one table and fails unless sent = received = stored + evicted for spans and logs, nothing
//! was lost, and the console's memory stays under its stated bound. Run by `cargo bench --bench accounting`; no
//! functional promise may be tested here (those are in tests/).
//!
//! `SIGNALBOX_BENCH_SECONDS` and `SIGNALBOX_BENCH_RATE` change length and rate.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const BIN: &str = env!("CARGO_BIN_EXE_signalbox");

/// Ends a child that is still running when the bench returns early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(arguments: &[&str], environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(BIN);
        command.args(arguments).envs(environment.iter().cloned()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("signalbox starts"))
    }

    /// Asks it to end and waits.
    fn terminate(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }

    /// All that it says on stderr until it ends, read beside.
    fn output(&mut self) -> std::thread::JoinHandle<String> {
        let mut log = self.0.stderr.take().expect("piped");
        let mut out = self.0.stdout.take().expect("piped");
        // Log lines are not needed, but a full pipe would stop the program.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = log.read_to_string(&mut text);
            text
        })
    }

    /// Peak resident memory in MiB.
    fn peak_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }

    /// CPU seconds in user and kernel mode.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|v| v.parse::<f64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) / 100.0
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn get(address: &str, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.get(text.find('{')?..=text.rfind('}')?)?).ok()
}

/// What app or load says at the end of its life: exported and lost, of spans, logs and points.
fn flushed(log: &str) -> [u64; 6] {
    let line = log.lines().rev().find(|l| l.contains("telemetry: spans ")).unwrap_or_default();
    let mut numbers = line.split([' ', ',', ';']).filter_map(|word| word.parse().ok());
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

fn main() -> ExitCode {
    let seconds = setting("SIGNALBOX_BENCH_SECONDS", 60);
    let rate = setting("SIGNALBOX_BENCH_RATE", 2000).to_string();
    let report = concat!(env!("CARGO_TARGET_TMPDIR"), "/accounting.json");

    let mut console = Running::start(&["console", "--grpc-port", "0", "--http-port", "0", "--page-port", "0"], &[]);
    let mut lines = BufReader::new(console.0.stdout.take().expect("piped")).lines();
    let listening =
        lines.find_map(|l| l.ok().filter(|l| l.contains("listening page="))).expect("console says where it listens");
    let address = |key: &str| {
        let at = listening.find(key).expect("named") + key.len();
        listening[at..].split_whitespace().next().expect("an address").to_owned()
    };
    let (page, grpc) = (address("page="), address("grpc="));
    std::thread::spawn(move || lines.for_each(drop));

    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{grpc}")),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "65536".to_owned()),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "65536".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "500".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "500".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ];
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let app_address = format!("127.0.0.1:{port}");
    let mut app = Running::start(&["app", "--port", &port.to_string()], &environment);
    let app_output = app.output();
    let deadline = Instant::now() + Duration::from_secs(10);
    while get(&app_address, "/health").is_none() {
        assert!(Instant::now() < deadline, "the app does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (host, length) = (format!("http://{app_address}"), format!("{seconds}s"));
    let mut load = Running::start(
        &[
            "load",
            "--quiet",
            "--shape",
            "steady",
            "--users",
            "64",
            "--rate",
            &rate,
            "--host",
            &host,
            "--for",
            &length,
            "--report-json",
            report,
        ],
        &environment,
    );
    let load_log = load.output().join().expect("load's output");
    let _ = load.0.wait();
    let app_cpu = app.cpu_seconds();
    app.terminate();
    let app_log = app_output.join().expect("app's output");
    let status = get(&page, "/api/v1/status").expect("console answers");
    let (memory, console_cpu) = (console.peak_mib(), console.cpu_seconds());
    console.terminate();

    let (app, load) = (flushed(&app_log), flushed(&load_log));
    let requests = std::fs::read_to_string(report).ok().and_then(|t| serde_json::from_str::<Value>(&t).ok());
    let requests = requests.map(|v| v["requests"].clone()).unwrap_or_default();
    println!("load: {requests} requests in {seconds} s; CPU: app {app_cpu:.1} s, console {console_cpu:.1} s");
    println!("{:<7} {:>10} {:>10} {:>10} {:>10} {:>8}", "signal", "sent", "received", "stored", "evicted", "lost");
    let mut ok = true;
    for (signal, at) in [("spans", 0), ("logs", 2)] {
        let kept = |field: &str| status["signals"][signal][field].as_u64().unwrap_or_default();
        let (sent, lost) = (app[at] + load[at], app[at + 1] + load[at + 1]);
        let (received, stored, evicted) = (kept("received"), kept("stored"), kept("evicted"));
        println!("{signal:<7} {sent:>10} {received:>10} {stored:>10} {evicted:>10} {lost:>8}");
        ok &= sent > 0 && sent == received && received == stored + evicted && lost == 0;
    }
    let bound = status["memory_bound_bytes"].as_f64().unwrap_or_default() / 1024.0 / 1024.0;
    println!("console memory at its peak: {memory:.0} MiB; its stated bound: {bound:.0} MiB");
    ok &= memory < bound;
    println!("accounting: {}", if ok { "exact" } else { "BROKEN" });
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
