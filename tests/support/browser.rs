//! A real Chromium for tests of the page, and the processes whose telemetry it shows. Included by `page_in_a_real_browser`;
//! no promise of the page may be checked here. Speaks WebDriver itself: the crates for it would have every proc macro, and all
//! that needs one, compiled twice, with their features of `syn` for tests and without them for `cargo run`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs::{self, Running};

/// How long anything the page must show may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A browser with one window, driven through chromedriver.
pub(crate) struct Browser {
    /// Address of what WebDriver calls the session.
    session: String,
    _driver: Running,
    _profile: TempDir,
}

impl Browser {
    /// Starts one; `None` (after saying so) where the machine has no Chromium and none is required.
    pub(crate) async fn start() -> Option<Self> {
        let (chromium, chromedriver) = (programs::find_or_say("chromium")?, programs::find_or_say("chromedriver")?);
        let mut driver = Running(
            Command::new(chromedriver).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
        );
        let line = first_line(&mut driver.0, "started successfully on port ");
        let port: u16 = line.rsplit("port ").next().unwrap().trim_end_matches('.').parse().unwrap();
        let driver_url = format!("http://127.0.0.1:{port}");
        let profile = tempfile::tempdir().unwrap();
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": chromium, "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1440,1000",
                format!("--user-data-dir={}", profile.path().display()),
            ] },
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let session = command(client().post(format!("{driver_url}/session")).json(&wanted)).await.unwrap();
        let session = format!("{driver_url}/session/{}", session["sessionId"].as_str().unwrap());
        let browser = Self { session, _driver: driver, _profile: profile };
        let screen = json!({ "width": 1440, "height": 1000, "deviceScaleFactor": 1, "mobile": false });
        browser.devtools("Emulation.setDeviceMetricsOverride", screen).await;
        let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        browser.devtools("Emulation.setEmulatedMedia", dark).await;
        Some(browser)
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await.unwrap();
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        command(client().post(format!("{}/{path}", self.session)).json(&body)).await
    }

    /// Ends it.
    pub(crate) async fn close(&self) {
        let _ = command(client().delete(&self.session)).await;
    }

    /// Opens a page.
    pub(crate) async fn goto(&self, url: &str) {
        self.post("url", json!({ "url": url })).await.unwrap();
    }

    /// Back, as by the button.
    pub(crate) async fn back(&self) {
        self.post("back", json!({})).await.unwrap();
    }

    /// The first element, as WebDriver names it, and its id.
    async fn find(&self, css: &str) -> Result<(Value, String), String> {
        let element = self.post("element", json!({ "using": "css selector", "value": css })).await?;
        let id = element.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        Ok((element, id))
    }

    /// What the browser's console said since it was last asked, errors and warnings only.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({ "type": "browser" })).await.unwrap();
        let grave = |entry: &&Value| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
        entries
            .as_array()
            .unwrap()
            .iter()
            .filter(grave)
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await.unwrap()
    }

    /// Waits until a script returns something truthy, and returns that.
    pub(crate) async fn until(&self, what: &str, script: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.run(script).await;
            if !(value.is_null() || value == json!(false) || value == json!(0) || value == json!("")) {
                return value;
            }
            if Instant::now() > deadline {
                let seen = self.run("return document.body.innerText.slice(0, 1500)").await;
                panic!("the page never showed {what}; it shows: {}", seen.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Clicks as a user does. The page may redraw between finding and clicking, so it finds again until it worked.
    pub(crate) async fn click(&self, css: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let outcome = match self.find(css).await {
                Ok((_, id)) => self.post(&format!("element/{id}/click"), json!({})).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(_) => return,
                Err(error) if Instant::now() > deadline => panic!("{css} cannot be clicked: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Whether the document in a frame comes to hold a text.
    #[cfg(feature = "pyroscope")]
    pub(crate) async fn reads_in_frame(&self, css: &str, text: &str) -> bool {
        let (frame, _) = self.find(css).await.unwrap();
        self.post("frame", json!({ "id": frame })).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        let script = format!("return document.documentElement.textContent.includes('{text}')");
        let mut found = false;
        while !found && Instant::now() < deadline {
            found = self.run(&script).await == json!(true);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.post("frame/parent", json!({})).await.unwrap();
        found
    }

    /// Saves what the window shows where SIGNALBOX_PICTURES names a directory.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(directory) = std::env::var_os("SIGNALBOX_PICTURES") else { return };
        std::fs::create_dir_all(&directory).unwrap();
        let file = Path::new(&directory).join(name);
        let picture = command(client().get(format!("{}/screenshot", self.session))).await.unwrap();
        let encoded = file.with_extension("base64");
        std::fs::write(&encoded, picture.as_str().unwrap()).unwrap();
        let decode = Command::new("base64").arg("-d").arg(&encoded).stdout(File::create(&file).unwrap()).status();
        assert!(decode.unwrap().success(), "base64 -d {}", encoded.display());
        std::fs::remove_file(encoded).unwrap();
        println!("saved {}", file.display());
    }
}

/// One for all: it is asked ten times a second.
fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> =
        LazyLock::new(|| reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap());
    &CLIENT
}

/// Sends a command of WebDriver: its value, or what was wrong.
async fn command(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let done = answer.status().is_success();
    let value = answer.json::<Value>().await.map_err(|error| error.to_string())?["value"].take();
    if done { Ok(value) } else { Err(value["message"].as_str().unwrap_or_default().to_owned()) }
}

/// Waits for the line of a child's stdout that holds `mark`, then reads on in the background so that the child never blocks.
fn first_line(child: &mut Child, mark: &'static str) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let found = lines.by_ref().find(|line| line.contains(mark));
    std::thread::spawn(move || lines.for_each(drop));
    found.unwrap_or_else(|| panic!("the child ended without printing a line with {mark:?}"))
}

fn signalbox(directory: &Path, log: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
    for (name, _) in std::env::vars() {
        if name.starts_with("OTEL_")
            || matches!(name.as_str(), "PORT" | "DATABASE_URL" | "SIGNALBOX_BIND" | "SIGNALBOX_TOKEN")
        {
            command.env_remove(name);
        }
    }
    let errors = File::create(directory.join(format!("{log}.log"))).unwrap();
    command
        .env("SIGNALBOX_STATE", directory)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors);
    command
}

/// A console on free ports.
pub(crate) struct Console {
    /// Kill it to see what the page says.
    pub(crate) process: Running,
    /// Base address of the page.
    pub(crate) page: String,
    grpc: String,
}

/// Starts a console whose files lie in `directory`.
pub(crate) fn console(directory: &Path) -> Console {
    let mut command = signalbox(directory, "console");
    command.args(["console", "--grpc-port", "0", "--http-port", "0", "--page-port", "0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let line = first_line(&mut child, "listening page=");
    let address = |name: &str| {
        let value = line.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap();
        format!("http://{}", value.trim_start_matches("http://").trim_end_matches('/'))
    };
    Console { page: address("page="), grpc: address("grpc="), process: Running(child) }
}

/// Starts the service and waits until it is ready; returns it and its base address.
pub(crate) async fn app(console: &Console, directory: &Path) -> (Running, String) {
    let port = programs::free_port();
    let base = format!("http://127.0.0.1:{port}");
    let mut command = signalbox(directory, "app");
    command.args(["app", "--port", &port.to_string()]);
    command.env("PYROSCOPE_URL", &console.page).env("PYROSCOPE_UPLOAD_INTERVAL", "1s");
    let process = Running(exporting(&mut command, console).spawn().unwrap());
    let deadline = Instant::now() + PATIENCE;
    loop {
        if reqwest::get(format!("{base}/ready")).await.is_ok_and(|answer| answer.status().is_success()) {
            return (process, base);
        }
        assert!(Instant::now() < deadline, "the app was never ready: {}", said(directory, "app"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Starts the spike against a service.
pub(crate) fn load(console: &Console, directory: &Path, host: &str, seconds: u32) -> Running {
    let mut command = signalbox(directory, "load");
    command.args(["load", "--host", host, "--for", &format!("{seconds}s"), "--quiet"]);
    Running(exporting(&mut command, console).spawn().unwrap())
}

fn exporting<'a>(command: &'a mut Command, console: &Console) -> &'a mut Command {
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &console.grpc).env("OTEL_METRIC_EXPORT_INTERVAL", "1000")
}

/// What a child wrote on stderr.
pub(crate) fn said(directory: &Path, log: &str) -> String {
    std::fs::read_to_string(directory.join(format!("{log}.log"))).unwrap_or_default()
}
