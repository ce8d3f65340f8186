//! The task tracker on each store: SQLite in memory, SQLite in a file, PostgreSQL started for the test.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "app")]

#[path = "support/app.rs"]
mod app;
#[path = "support/programs.rs"]
mod programs;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use app::{App, attribute, config, config_with_store, span, start};
use serde_json::json;
use signalbox::telemetry::names::attr;

/// Every promise of `/tasks`, whatever the store.
async fn the_task_tracker_works(app: &App, system: &str) {
    let created = app.json("POST", "/tasks", &json!({ "title": " write tests ", "description": "all" })).await;
    assert_eq!(created.status, 201, "{created:?}");
    let task = created.json();
    let path = created.header("location").to_owned();
    assert_eq!(path, format!("/tasks/{}", task["id"]));
    assert_eq!((task["title"].as_str(), task["done"].as_bool()), (Some("write tests"), Some(false)));
    let insert = span(created.trace_id(), "INSERT tasks").await;
    assert_eq!(attribute(&insert, attr::DB_SYSTEM_NAME).as_deref(), Some(system));
    assert_eq!(attribute(&insert, attr::DB_COLLECTION_NAME).as_deref(), Some("tasks"));
    let text = attribute(&insert, attr::DB_QUERY_TEXT).unwrap();
    assert!(text.contains("$1") && !text.contains("write tests"), "{text}");

    assert_eq!(app.get(&path).await.json(), task);
    let updated = app.json("PUT", &path, &json!({ "title": "done", "done": true })).await;
    assert_eq!((updated.status, updated.json()["done"].as_bool()), (200, Some(true)));
    assert_eq!(updated.json()["description"], "", "PUT replaces the whole task");
    assert_eq!(updated.json()["created_at"], task["created_at"]);

    for n in 0..4 {
        assert_eq!(app.json("POST", "/tasks", &json!({ "title": format!("t{n}") })).await.status, 201);
    }
    let page = app.get("/tasks?limit=2&offset=1").await.json();
    assert_eq!((page["total"].as_i64(), page["limit"].as_i64(), page["offset"].as_i64()), (Some(5), Some(2), Some(1)));
    let titles: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["title"].clone()).collect();
    assert_eq!(titles, ["t0", "t1"]);

    let removed = app.send(app.client.delete(app.url(&path))).await;
    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    span(removed.trace_id(), "DELETE tasks").await;
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(app.send(app.client.delete(app.url(&path))).await.status, 404);
    assert_eq!(app.json("PUT", &path, &json!({ "title": "x" })).await.status, 404);
    assert_eq!(app.get("/api/data").await.json()["items"].as_array().unwrap().len(), 5);
    assert_eq!(app.get("/ready").await.status, 200);
}

#[tokio::test]
async fn the_task_tracker_works_on_sqlite_in_memory() {
    the_task_tracker_works(&start(config()).await, "sqlite").await;
}

#[tokio::test]
async fn tasks_in_a_sqlite_file_outlive_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("tasks.db").display());
    let app = start(config_with_store(&url)).await;
    the_task_tracker_works(&app, "sqlite").await;
    app.server.shutdown().await;
    let again = start(config_with_store(&url)).await;
    assert_eq!(again.get("/tasks").await.json()["total"], 4);
}

#[tokio::test]
async fn a_field_that_breaks_its_rule_is_422_with_its_name() {
    let app = start(config()).await;
    for (body, field) in [
        (json!({}), "title"),
        (json!({ "title": "" }), "title"),
        (json!({ "title": "x".repeat(201) }), "title"),
        (json!({ "title": "x", "done": 1 }), "done"),
        (json!({ "title": "x", "colour": "red" }), "colour"),
        (json!([1]), "body"),
    ] {
        for (method, target) in [("POST", "/tasks"), ("PUT", "/tasks/1")] {
            let answer = app.json(method, target, &body).await;
            assert_eq!((answer.status, answer.json()["field"].as_str()), (422, Some(field)), "{body}");
        }
    }
    for (target, field) in [
        ("/tasks?limit=0", "limit"),
        ("/tasks?limit=101", "limit"),
        ("/tasks?offset=-1", "offset"),
        ("/tasks/one", "id"),
    ] {
        let answer = app.get(target).await;
        assert_eq!((answer.status, answer.json()["field"].as_str()), (422, Some(field)), "{target}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_400_and_one_that_does_not_say_so_415() {
    let app = start(config()).await;
    let post = || app.client.post(app.url("/tasks"));
    let broken = app.send(post().header("content-type", "application/json").body("{")).await;
    assert_eq!(broken.status, 400);
    assert_eq!(app.send(post().body("{}")).await.status, 415);
}

/// A PostgreSQL of the test's own; gone when dropped.
struct Postgres {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown: its own children end too.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn postgres_tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        directories.splice(0..0, versions.flatten().map(|version| version.path().join("bin")));
    }
    directories.into_iter().map(|directory| directory.join(name)).find(|tool| tool.is_file())
}

/// PostgreSQL refuses to run as root: then it runs as `nobody`.
fn unprivileged(program: &Path, directory: &Path) -> Command {
    let mut command = if programs::is_root() {
        let chown = Command::new("chown").arg("65534:65534").arg(directory).status().unwrap();
        assert!(chown.success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start_postgres() -> Option<Postgres> {
    let (initdb, postgres) = (postgres_tool("initdb")?, postgres_tool("postgres")?);
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let data = directory.path().join("data");
    let made = unprivileged(&initdb, directory.path())
        .args(["--auth=trust", "--username=ada", "--no-sync", "--pgdata"])
        .arg(&data)
        .status()
        .unwrap();
    assert!(made.success(), "initdb failed");
    let port = programs::free_port();
    let child = unprivileged(&postgres, directory.path())
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
        .arg(directory.path())
        .spawn()
        .unwrap();
    let url = format!("postgres://ada:s3cret@127.0.0.1:{port}/postgres");
    Some(Postgres { child, url, _directory: directory })
}

async fn until_it_answers(postgres: &mut Postgres) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while sqlx::PgPool::connect(&postgres.url).await.is_err() {
        assert!(postgres.child.try_wait().unwrap().is_none(), "PostgreSQL ended");
        assert!(Instant::now() < deadline, "PostgreSQL does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_task_tracker_works_on_postgresql() {
    let Some(mut postgres) = start_postgres() else {
        return programs::not_run("postgresql");
    };
    until_it_answers(&mut postgres).await;
    let app = start(config_with_store(&postgres.url)).await;
    the_task_tracker_works(&app, "postgresql").await;
    app.server.shutdown().await;
}
