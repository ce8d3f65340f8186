//! `signalbox up`: console, app and load tester as child processes of this very binary, with progress; one Ctrl-C stops
//! all. Called by `main`. It imports no sibling: what it knows of its children it knows by process and HTTP.
//!
//! | part | does |
//! |---|---|
//! | `plan` | ports, addresses and the children's environment |
//! | `child` | one child process: start, log file, end |
//! | [`progress`] | asks the console how things go |
//! | `proof` | runs `verify` |
//!
//! Nothing is restarted: when a child dies, all stop, and its code is `up`'s.

mod child;
mod plan;
pub mod progress;
mod proof;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::UpArgs;
use crate::facts;

use self::child::{Child, End};
use self::plan::Plan;
use self::progress::Asker;
use self::proof::{Stage, Verified, finished, verify};

/// Longest wait for a child to be ready. The app's first start migrates its store.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for the first signal.
const FIRST_SIGNAL_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks at something that is about to be.
const PAUSE: Duration = Duration::from_millis(20);

/// Why the main loop ended.
enum Ended {
    /// The user's wish.
    Stopped,
    /// The load lasted as long as `--for` said.
    LoadDone,
    /// A child died: its name and end.
    Died(&'static str, End),
}

/// Runs everything until `--for` is over, Ctrl-C, or a child's death.
///
/// # Errors
/// When a child cannot be started or is not ready in time.
pub async fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let plan = Plan::make()?;
    let mut family = Family::new(plan)?;
    let mut stop = Stop::new()?;
    let born = tokio::select! {
        () = stop.asked() => None,
        born = family.start(&args, started) => Some(born),
    };
    let ended = match born {
        None => Ended::Stopped,
        Some(Err(error)) => {
            family.stop().await;
            return Err(error);
        }
        Some(Ok(Some((name, end)))) => Ended::Died(name, end),
        Some(Ok(None)) => family.watch(&args, &mut stop).await,
    };
    let last = match ended {
        Ended::LoadDone if args.verify => {
            println!("\nverify, after the spike:");
            let verifying = verify(family.plan.clone(), Stage::AfterSpike);
            tokio::select! {
                () = stop.asked() => None,
                last = verifying => Some(last?),
                (name, end) = death_of(&mut family.console, &mut family.app) => {
                    return Ok(family.report_death(name, end).await);
                }
            }
        }
        Ended::Died(name, end) => return Ok(family.report_death(name, end).await),
        _ => None,
    };
    family.stop().await;
    let mut code = family.first_failure.unwrap_or(0);
    if let Some(last) = last {
        if last.code != 0 && code == 0 {
            code = last.code;
        }
        // Pinned: the very last line is the summary of `verify`.
        println!("{}", last.summary);
    }
    Ok(ExitCode::from(code))
}

/// The children, and where they are.
struct Family {
    plan: Plan,
    logs: PathBuf,
    asker: Asker,
    console: Option<Child>,
    app: Option<Child>,
    load: Option<Child>,
    /// Code of the first failure that did not end the run.
    first_failure: Option<u8>,
}

impl Family {
    fn new(plan: Plan) -> anyhow::Result<Self> {
        let logs = Path::new(&facts::setting("SIGNALBOX_STATE")).join("logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let asker = Asker::new(&plan.console_url(), plan.token.clone())?;
        Ok(Self { plan, logs, asker, console: None, app: None, load: None, first_failure: None })
    }

    /// Starts all three; `Some` when one died while the others were waited for.
    async fn start(&mut self, args: &UpArgs, started: Instant) -> anyhow::Result<Option<(&'static str, End)>> {
        let port = |flag: &str, port: u16| [flag.to_owned(), port.to_string()];
        let plan = &self.plan;
        let mut console = vec!["console".to_owned()];
        console.extend(port("--grpc-port", plan.grpc));
        console.extend(port("--http-port", plan.http));
        console.extend(port("--page-port", plan.page));
        self.console = Some(Child::spawn("console", &console, plan, &self.logs)?);
        let url = format!("{}{}", plan.console_url(), facts::program("console").health.as_deref().unwrap_or("/"));
        if let Some(end) = self.ready("console", &url).await? {
            return Ok(Some(("console", end)));
        }
        let app = [vec!["app".to_owned()], port("--port", self.plan.app).to_vec()].concat();
        self.app = Some(Child::spawn("app", &app, &self.plan, &self.logs)?);
        let url = format!("{}{}", self.plan.app_url(), facts::program("app").ready.as_deref().unwrap_or("/"));
        if let Some(end) = self.ready("app", &url).await? {
            return Ok(Some(("app", end)));
        }
        let mut load = ["load", "--host", &self.plan.app_url(), "--quiet"].map(str::to_owned).to_vec();
        if let Some(lasting) = args.for_ {
            load.extend(["--for".to_owned(), humantime::format_duration(lasting).to_string().replace(' ', "")]);
        }
        self.load = Some(Child::spawn("load", &load, &self.plan, &self.logs)?);
        self.print_table(args);
        self.first_signal(started).await;
        if args.open {
            self.open_page();
        }
        Ok(None)
    }

    /// Waits until the URL answers 2xx; `Some` when the child ended instead.
    async fn ready(&mut self, name: &'static str, url: &str) -> anyhow::Result<Option<End>> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if self.asker.answers(url).await {
                return Ok(None);
            }
            let child = if name == "app" { &mut self.app } else { &mut self.console };
            if let Some(end) = child.as_mut().and_then(Child::ended) {
                return Ok(Some(end));
            }
            if Instant::now() >= deadline {
                let tail = child.as_ref().map(Child::tail).unwrap_or_default();
                bail!("{name} is not ready after {READY_WITHIN:?}: {url} does not answer 2xx; its last lines:\n{tail}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn print_table(&self, args: &UpArgs) {
        let pid = |child: &Option<Child>| child.as_ref().map_or(0, Child::pid);
        let lasting =
            args.for_.map_or("until stopped".to_owned(), |d| format!("for {}", humantime::format_duration(d)));
        let plan = &self.plan;
        let rows = [
            ("what", "where".to_owned(), "state".to_owned()),
            ("console", plan.console_url(), format!("ready, pid {}", pid(&self.console))),
            ("  otlp", format!("grpc {}  http {}", plan.grpc, plan.http), "open".to_owned()),
            ("app", plan.app_url(), format!("ready, pid {}", pid(&self.app))),
            ("load", format!("-> {}", plan.app_url()), format!("running {lasting}, pid {}", pid(&self.load))),
            ("logs", format!("{}/{{console,app,load}}.log", self.logs.display()), "written".to_owned()),
        ];
        let width = rows.iter().map(|(_, place, _)| place.len()).max().unwrap_or_default();
        for (what, place, state) in rows {
            println!("{what:<9} {place:<width$}  {state}");
        }
        if plan.token_is_new {
            println!("token     {}", plan.token.as_deref().unwrap_or_default());
        }
    }

    async fn first_signal(&self, started: Instant) {
        while started.elapsed() < FIRST_SIGNAL_WITHIN {
            if self.asker.received().await > 0.0 {
                println!("first signal after {:.1} s", started.elapsed().as_secs_f64());
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        println!("no signal in the console yet, {FIRST_SIGNAL_WITHIN:?} after the start");
    }

    /// A browser that is missing must not fail the run.
    fn open_page(&self) {
        let mut url = self.plan.console_url();
        if let Some(token) = &self.plan.token {
            url = format!("{url}/?token={token}");
        }
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let quiet = std::process::Stdio::null;
        let opened = tokio::process::Command::new(opener).arg(&url).stdout(quiet()).stderr(quiet()).spawn();
        if let Err(error) = opened {
            println!("cannot open the page ({opener}: {error}): it is at {}", self.plan.console_url());
        }
    }

    /// Shows progress until something ends; runs `verify` while traffic flows where it is asked for.
    async fn watch(&mut self, args: &UpArgs, stop: &mut Stop) -> Ended {
        let live = std::io::stdout().is_terminal();
        let mut tick = tokio::time::interval(Duration::from_secs(if live { 1 } else { 3 }));
        let run = |plan: &Plan, stage| tokio::spawn(verify(plan.clone(), stage));
        let mut verifying = args.verify.then(|| run(&self.plan, Stage::Traffic));
        let mut second_is_due = args.verify && args.for_.is_none();
        loop {
            tokio::select! {
                () = stop.asked() => return Ended::Stopped,
                (name, end) = death_of(&mut self.console, &mut self.app) => return Ended::Died(name, end),
                Some(end) = Child::end_of(&mut self.load) => {
                    self.load = None;
                    if end.code() != 0 {
                        return Ended::Died("load", end);
                    }
                    if args.for_.is_some() {
                        if let Some(running) = verifying.take() {
                            self.note(running.await);
                        }
                        return Ended::LoadDone;
                    }
                    println!("load ended by itself; console and app run on");
                }
                done = finished(&mut verifying) => {
                    verifying = None;
                    self.note(done);
                }
                _ = tick.tick() => {
                    if let Some(line) = self.asker.progress().await {
                        if live { eprint!("\r\x1b[2K{line}") } else { println!("{line}") }
                    }
                    if second_is_due && verifying.is_none() && self.asker.spike_is_over().await {
                        second_is_due = false;
                        println!("\nverify, after the spike:");
                        verifying = Some(run(&self.plan, Stage::AfterSpike));
                    }
                }
            }
        }
    }

    /// Prints the summary of a run of `verify` that is not the last thing `up` does, and remembers its failure.
    fn note(&mut self, done: Result<anyhow::Result<Verified>, tokio::task::JoinError>) {
        match done.map_err(anyhow::Error::from).flatten() {
            Ok(verified) => {
                println!("{} ({})", verified.summary, verified.stage.words());
                self.remember(verified.code);
            }
            Err(error) => {
                println!("verify could not run: {error:#}");
                self.remember(1);
            }
        }
    }

    fn remember(&mut self, code: u8) {
        if code != 0 {
            self.first_failure.get_or_insert(code);
        }
    }

    /// Names the dead, stops the others; the dead one's code is `up`'s.
    async fn report_death(&mut self, name: &'static str, end: End) -> ExitCode {
        let log = self.logs.join(format!("{name}.log"));
        let tail = child::tail(&log);
        eprintln!("\nsignalbox: {name} ended ({end}) while it should run: stopping the others");
        eprintln!("last lines of {}:\n{tail}", log.display());
        self.stop().await;
        // A clean exit is a death too when nobody asked for it.
        ExitCode::from(end.code().max(1))
    }

    /// Load first, so that nothing asks a service that is gone; the console last, so that it gets the last signals.
    async fn stop(&mut self) {
        for child in [&mut self.load, &mut self.app, &mut self.console] {
            if let Some(child) = child.take() {
                child.stop().await;
            }
        }
    }
}

/// The death of console or app; never ends while both live.
async fn death_of(console: &mut Option<Child>, app: &mut Option<Child>) -> (&'static str, End) {
    tokio::select! {
        Some(end) = Child::end_of(console) => ("console", end),
        Some(end) = Child::end_of(app) => ("app", end),
        else => std::future::pending().await,
    }
}

/// The user's wish to end: Ctrl-C, SIGTERM, or a closed terminal.
struct Stop {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        println!("\nstopping");
    }
}
