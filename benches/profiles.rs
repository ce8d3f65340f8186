//! What profiling costs: CPU per request of the service with and without it, as a ratio from one run. Two services side by
//! side send spans to a console in this process, one is profiled; slices of requests go to each in turn, so that both see the
//! same machine. Run by `cargo bench --bench profiles`; no functional promise may be tested here.
//!
//! `SIGNALBOX_BENCH_ROUNDS` (default 15) and `SIGNALBOX_BENCH_REQUESTS` a slice (default 4000) change its length.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The service as a process.
struct App {
    child: Child,
    base: String,
}

impl App {
    fn start(environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
        command.arg("app").env("PORT", "0").env("LOG_GENERATOR_RATE", "0").env_remove("PYROSCOPE_URL");
        command.env("OTEL_BSP_MAX_QUEUE_SIZE", "65536").env("OTEL_BLRP_MAX_QUEUE_SIZE", "65536");
        command.envs(environment.iter().cloned()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("signalbox starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("listening on")).expect("the service listens");
        // Log lines are not needed, but a full pipe would stop the program.
        std::thread::spawn(move || lines.for_each(drop));
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
        Self { child, base: format!("http://{address}") }
    }

    /// CPU time so far, in ticks of 10 ms.
    fn ticks(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum()
    }

    /// Microseconds of CPU a request.
    async fn slice(&self, client: &reqwest::Client, requests: usize) -> f64 {
        let before = self.ticks();
        let workers = (0..8).map(|_| {
            let (client, url) = (client.clone(), format!("{}/api/data", self.base));
            tokio::spawn(async move {
                for _ in 0..requests / 8 {
                    let answer = client.get(&url).send().await.expect("the service answers");
                    let _ = answer.bytes().await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.expect("a worker ends");
        }
        (self.ticks() - before) * 10_000.0 / requests as f64
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[tokio::main]
async fn main() {
    let (rounds, requests) = (number("SIGNALBOX_BENCH_ROUNDS", 15), number("SIGNALBOX_BENCH_REQUESTS", 4_000));
    let console = signalbox::console::start(signalbox::console::Options::default()).await.expect("a console starts");
    let otlp = ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", console.grpc));
    let plain = App::start(std::slice::from_ref(&otlp));
    let profiled = App::start(&[otlp, ("PYROSCOPE_URL", format!("http://{}", console.page))]);
    let client = reqwest::Client::new();
    let (mut off, mut on, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        // Who is first changes, so that neither gains from the other's wake.
        let (a, b) = if round % 2 == 0 { (&plain, &profiled) } else { (&profiled, &plain) };
        let (first, second) = (a.slice(&client, requests).await, b.slice(&client, requests).await);
        let (without, with) = if round % 2 == 0 { (first, second) } else { (second, first) };
        // The first round warms up.
        if round > 0 {
            off.push(without);
            on.push(with);
            ratios.push(with / without);
        }
    }
    println!("rounds {rounds}, requests a slice {requests}, GET /api/data, every trace sampled, 100 samples a second");
    println!("CPU a request, median: {:.1} us without, {:.1} us with profiles", median(off), median(on));
    println!("ratio with/without, median of rounds: {:.3}", median(ratios));
}
