//! Starts the real stack through `backends/stack` with a state folder of its own, and asks its programs. Used by
//! `tests/stack_*.rs`; promises must not go in it. The ports are fixed: one stack at a time.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use signalbox::facts;

use super::programs;

/// What no variant runs without.
const NEEDED: &[&str] = &["process-compose", "prometheus", "loki", "otelcol"];

/// A running stack.
pub(crate) struct Stack {
    variant: String,
    child: Child,
    folder: PathBuf,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
    client: reqwest::Client,
    present: OnceLock<BTreeSet<String>>,
}

/// Whether this machine has what a test needs beside what no variant runs without; says what it lacks.
pub(crate) fn can_run(also: &[&str]) -> bool {
    NEEDED.iter().chain(also).all(|program| programs::find_or_say(program).is_some())
}

/// A folder for a stack with PostgreSQL. Not in TMPDIR: as root, its user must be able to enter it, and the one of
/// `nix develop` is root's alone.
pub(crate) fn state() -> tempfile::TempDir {
    tempfile::tempdir_in("/tmp").unwrap()
}

impl Stack {
    /// Starts `backends/stack` with its data in `folder`; what it prints is kept and shown.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("backends/stack"));
        command.args(args).env("SIGNALBOX_STATE", folder).env("SIGNALBOX_PROGRAM", env!("CARGO_BIN_EXE_signalbox"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            read(child.stdout.take().unwrap(), Arc::clone(&lines)),
            read(child.stderr.take().unwrap(), Arc::clone(&lines)),
        ];
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let variant = args.first().copied().unwrap_or("core").to_owned();
        Self { variant, child, folder: folder.to_owned(), lines, readers, client, present: OnceLock::new() }
    }

    /// Starts a stack and waits until it says that everything is ready.
    pub(crate) fn ready(folder: &Path, args: &[&str]) -> Self {
        let mut stack = Self::start(folder, args);
        stack.line(Duration::from_secs(250), |line| line.contains(": ready in ").then_some(()));
        stack
    }

    /// Everything printed so far.
    pub(crate) fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line that `wanted` accepts and returns what it makes of it.
    pub(crate) fn line<T>(&mut self, within: Duration, wanted: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = self.lines.lock().unwrap().iter().find_map(|line| wanted(line)) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {}\n{}", self.output(), self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the end by itself: how it ended and all lines.
    pub(crate) fn end(mut self, within: Duration) -> (ExitStatus, String) {
        let deadline = Instant::now() + within;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the stack still runs:\n{}\n{}", self.output(), self.logs());
            std::thread::sleep(Duration::from_millis(100));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.output())
    }

    /// Asks it to stop as Ctrl-C does, and waits: nothing of it may be left.
    pub(crate) fn stop(self) -> String {
        let pids: Vec<Pid> = self.processes().iter().filter_map(pid_of).collect();
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let (_, output) = self.end(Duration::from_secs(120));
        assert!(pids.iter().all(|pid| kill(*pid, None).is_err()), "a process is left: {pids:?}\n{output}");
        output
    }

    /// process-compose's own command line, against this stack.
    pub(crate) fn compose(&self, args: &[&str]) -> String {
        let program = programs::find("process-compose").unwrap();
        let mut command = Command::new(program);
        command.args(["-U", "-u"]).arg(self.folder.join("stack.sock")).args(args);
        let output = command.env("PC_LOG_FILE", self.folder.join("logs/client.log")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every process with its state.
    pub(crate) fn processes(&self) -> Vec<Value> {
        serde_json::from_str(&self.compose(&["list", "-o", "json"])).unwrap_or_default()
    }

    /// One process' state.
    pub(crate) fn process(&self, name: &str) -> Value {
        self.processes().into_iter().find(|process| process["name"] == name).unwrap_or_else(|| panic!("no `{name}`"))
    }

    /// Whether a process runs here at all: decided before the stack starts, and asked by every poll of some tests, so
    /// process-compose is asked once.
    pub(crate) fn has(&self, name: &str) -> bool {
        let present = self.present.get_or_init(|| {
            let present = self.processes().into_iter().filter(|process| process["status"] != "Disabled");
            let names: BTreeSet<_> = present.map(|process| process["name"].as_str().unwrap().to_owned()).collect();
            assert!(!names.is_empty(), "process-compose does not answer\n{}", self.logs());
            names
        });
        present.contains(name)
    }

    /// Sends a signal to a process and waits until process-compose has it running and ready again, as another one.
    /// Returns how long that took.
    pub(crate) async fn signal_and_wait(&self, name: &str, signal: Signal) -> Duration {
        let before = self.process(name);
        let started = Instant::now();
        kill(pid_of(&before).unwrap(), signal).unwrap();
        let restarts = before["restarts"].as_u64();
        self.eventually(&format!("{name} is back"), Duration::from_secs(90), async || {
            let now = self.process(name);
            (now["restarts"].as_u64() > restarts && now["is_ready"] == "Ready" && now["is_running"] == true)
                .then_some(())
        })
        .await;
        started.elapsed()
    }

    /// Where Prometheus' query API is: Mimir's, or that of the Prometheus in its place, below a prefix like Mimir's.
    pub(crate) fn query_api(&self) -> String {
        let base = if self.has("mimir") { facts::setting("MIMIR_URL") } else { facts::setting("PROMETHEUS_URL") };
        if self.variant == "lgtm" { base + "/prometheus/api/v1" } else { base + "/api/v1" }
    }

    /// The result of an instant query of that API.
    pub(crate) async fn query(&self, query: &str) -> Option<Value> {
        let mut answer = self.get(&format!("{}/query", self.query_api()), &[("query", query)]).await?;
        Some(answer["data"]["result"].take())
    }

    /// The JSON answer of a program, or nothing where it does not answer 2xx.
    pub(crate) async fn get(&self, url: &str, query: &[(&str, &str)]) -> Option<Value> {
        let answer = self.client.get(url).query(query).send().await.ok()?;
        if answer.status().is_success() { answer.json().await.ok() } else { None }
    }

    /// The client, for what `get` does not do.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Polls until `probe` has an answer.
    pub(crate) async fn eventually<T>(
        &self,
        what: &str,
        within: Duration,
        mut probe: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            assert!(Instant::now() < deadline, "not within {within:?}: {what}\n{}\n{}", self.output(), self.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The whole log of a process.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("logs/{name}.log"))).unwrap_or_default()
    }

    /// The last lines of every log, for the message of a failure.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for name in ["process-compose", "collector", "loki", "prometheus", "console", "app", "load"] {
            let log = self.log(name);
            let lines = log.lines().collect::<Vec<_>>();
            text += &format!("--- {name}.log\n{}\n", lines[lines.len().saturating_sub(8)..].join("\n"));
        }
        text
    }
}

impl Drop for Stack {
    /// A failed test must leave no process: the runner stops everything on SIGTERM.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

fn pid_of(process: &Value) -> Option<Pid> {
    let pid = process["is_running"].as_bool()?.then(|| process["pid"].as_i64()).flatten()?;
    (pid > 0).then(|| Pid::from_raw(pid.try_into().unwrap()))
}

fn read(stream: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            println!("  | {line}");
            lines.lock().unwrap().push(line);
        }
    })
}

/// A value that 95 % of the values do not exceed.
pub(crate) fn p95(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[(values.len() * 95).div_ceil(100) - 1]
}
