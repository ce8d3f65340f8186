//! nginx, the one public door: the configuration is valid, its ports are those of stack.json, and a real nginx routes,
//! limits and strips as promised. Says `not run: nginx` where there is none.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use regex::Regex;
use reqwest::{Client, StatusCode};
use signalbox::facts;

#[path = "support/programs.rs"]
mod programs;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/nginx")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Name, host and port of each upstream.
fn upstreams(text: &str) -> Vec<(String, String, u16)> {
    let upstream = Regex::new(r"upstream (\S+)\s*\{ server (\S+):(\d+);").unwrap();
    upstream.captures_iter(text).map(|c| (c[1].to_owned(), c[2].to_owned(), c[3].parse().unwrap())).collect()
}

#[test]
fn ports_are_those_of_stack_json_and_hosts_those_of_the_run_mode() {
    let door = facts::port("nginx", "http");
    for (name, listen) in
        [("nginx.conf", format!("listen 127.0.0.1:{door};")), ("cluster.conf", format!("listen {door};"))]
    {
        let text = read(name);
        assert!(text.contains(&listen), "{name} lacks `{listen}`");
        let expected = [("app", "http"), ("grafana", "http"), ("collector", "faro")];
        let expected = expected.map(|(program, role)| {
            let host = if name == "nginx.conf" { "127.0.0.1" } else { program };
            (program.to_owned(), host.to_owned(), facts::port(program, role))
        });
        assert_eq!(upstreams(&text), expected, "{name}");
    }
    assert_eq!(facts::program("nginx").health.as_deref(), Some("/health"));
    assert!(read("site.conf").contains("location = /health {"));
}

/// A copy whose addresses are free ones, so that nothing else on the machine is in the way.
fn copy(into: &Path, name: &str, addresses: &[(String, String)]) -> PathBuf {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in addresses {
            text = text.replace(from, to);
        }
        std::fs::write(into.join(path.file_name().unwrap()), text).unwrap();
    }
    into.join(name)
}

#[test]
fn nginx_accepts_it_on_one_machine_in_a_cluster_and_with_tls() {
    let Some(nginx) = programs::find_or_say("nginx") else { return };
    let local = [("app:8080", "grafana:3000", "collector:12347")];
    // Names of a cluster do not resolve here.
    let hosts = local.iter().flat_map(|(a, g, c)| [a, g, c]).map(|host| {
        let port = host.split(':').nth(1).unwrap();
        (format!("server {host}"), format!("server 127.0.0.1:{port}"))
    });
    let hosts = hosts.collect::<Vec<_>>();
    let accepts = |name: &str, more: &[(String, String)]| {
        let prefix = tempfile::tempdir().unwrap();
        let config = copy(prefix.path(), name, &[&hosts[..], more].concat());
        programs::check(
            Command::new(&nginx).args(["-t", "-e", "stderr", "-p"]).arg(prefix.path()).arg("-c").arg(config),
        )
    };
    for name in ["nginx.conf", "cluster.conf"] {
        let said = accepts(name, &[]).unwrap();
        assert!(!said.contains("[warn]"), "{name}: {said}");
    }
    let Some(openssl) = programs::find_or_say("openssl") else { return };
    let tls = tempfile::tempdir().unwrap();
    let mut make = Command::new(openssl);
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]);
    make.args(["-keyout", "key.pem", "-out", "certificate.pem"]).current_dir(tls.path());
    programs::check(&mut make).unwrap();
    let include = [
        ("listen 127.0.0.1:8088;".to_owned(), "include site-tls.conf;".to_owned()),
        ("/etc/signalbox/tls".to_owned(), tls.path().display().to_string()),
    ];
    let said = accepts("nginx.conf", &include).unwrap();
    assert!(!said.contains("[warn]"), "TLS: {said}");
}

struct Door {
    nginx: Child,
    url: String,
    _prefix: tempfile::TempDir,
}

impl Drop for Door {
    fn drop(&mut self) {
        // SIGTERM: a killed master leaves its workers behind.
        let pid = nix::unistd::Pid::from_raw(self.nginx.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.nginx.wait();
    }
}

/// Answers with its name and what it was asked.
async fn stub(name: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = move |request: Request| async move {
        let headers =
            request.headers().iter().map(|(key, value)| format!("{key}: {}\n", value.to_str().unwrap_or("?")));
        format!("{name} {} {}\n{}", request.method(), request.uri(), headers.collect::<String>())
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    port
}

async fn door() -> Option<Door> {
    let nginx = programs::find_or_say("nginx")?;
    let prefix = tempfile::tempdir().unwrap();
    let mut addresses = vec![("listen 127.0.0.1:8088".to_owned(), String::new())];
    for (name, host, port) in upstreams(&read("nginx.conf")) {
        let stub = stub(match name.as_str() {
            "app" => "app",
            "grafana" => "grafana",
            _ => "collector",
        });
        addresses.push((format!("server {host}:{port}"), format!("server 127.0.0.1:{}", stub.await)));
    }
    let port = programs::free_port();
    addresses[0].1 = format!("listen 127.0.0.1:{port}");
    let config = copy(prefix.path(), "nginx.conf", &addresses);
    let mut command = Command::new(nginx);
    command.args(["-e", "stderr", "-p"]).arg(prefix.path()).arg("-c").arg(config);
    let door = Door { nginx: command.spawn().unwrap(), url: format!("http://127.0.0.1:{port}"), _prefix: prefix };
    let deadline = Instant::now() + Duration::from_secs(20);
    while reqwest::get(format!("{}/health", door.url)).await.is_err() {
        assert!(Instant::now() < deadline, "nginx never answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(door)
}

#[tokio::test]
async fn each_path_reaches_its_program_and_the_trace_goes_with_it() {
    let Some(door) = door().await else { return };
    let get = |path: &'static str| {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = Client::new().get(format!("{}{path}", door.url)).header("traceparent", traceparent);
        async move { request.header("x-forwarded-for", "6.6.6.6").send().await.unwrap() }
    };
    let app = get("/work?ms=1").await;
    assert_eq!(app.headers()["x-content-type-options"], "nosniff");
    let app = app.text().await.unwrap();
    assert!(app.starts_with("app GET /work?ms=1\n"), "{app}");
    assert!(app.contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c"), "{app}");
    assert!(app.contains("x-forwarded-for: 127.0.0.1\n"), "a client cannot say who it is: {app}");
    let grafana = get("/grafana/d/signalbox-slo").await.text().await.unwrap();
    assert!(grafana.starts_with("grafana GET /grafana/d/signalbox-slo\n"), "the sub-path stays: {grafana}");
    assert_eq!(get("/metrics").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(get("/health").await.text().await.unwrap(), "ok\n");
}

#[tokio::test]
async fn a_live_panel_gets_its_websocket() {
    let Some(door) = door().await else { return };
    let request = Client::new().get(format!("{}/grafana/api/live/ws", door.url));
    let answer = request.header("connection", "upgrade").header("upgrade", "websocket").send().await.unwrap();
    let seen = answer.text().await.unwrap();
    assert!(seen.contains("upgrade: websocket\n") && seen.contains("connection: upgrade\n"), "{seen}");
}

#[tokio::test]
async fn browser_telemetry_is_posted_without_the_sites_session() {
    let Some(door) = door().await else { return };
    let client = Client::new();
    let url = format!("{}/collect", door.url);
    let post = client.post(&url).header("cookie", "session=1").header("authorization", "Bearer 1").body("{}");
    let seen = post.send().await.unwrap().text().await.unwrap();
    assert!(seen.starts_with("collector POST /collect\n"), "{seen}");
    assert!(!seen.contains("cookie") && !seen.contains("authorization"), "{seen}");
    assert_eq!(client.get(&url).send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_too_large_or_too_often_is_refused() {
    let Some(door) = door().await else { return };
    let client = Client::new();
    let large = client.post(format!("{}/tasks", door.url)).body(vec![b'x'; (1 << 20) + 1]).send().await.unwrap();
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // 20 a second and a burst of 40: of 400 at once most are too many, however slow the machine.
    let mut refused = 0;
    for _ in 0..400 {
        let answer = client.post(format!("{}/collect", door.url)).body("{}").send().await.unwrap();
        refused += usize::from(answer.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 0, "400 posts from one address, none refused");
}
