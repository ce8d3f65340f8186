//! The service as a process: what it says at start, its exit codes, and its end on SIGTERM.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(all(feature = "app", unix))]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn app() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
    // Exporting is not what is tested here: no receiver runs.
    command.arg("app").env("PORT", "0").env("OTEL_SDK_DISABLED", "true").env("LOG_GENERATOR_RATE", "0");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn wait(child: &mut Child) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the service did not end within 20 s");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_wrong_setting_exits_64_and_names_the_variable() {
    for (variable, value) in [
        ("EXTERNAL_URL", "ftp://x"),
        ("LOG_GENERATOR_RATE", "-1"),
        ("REQUEST_TIMEOUT", "soon"),
        ("CONCURRENCY_LIMIT", "0"),
        ("DRAIN_TIMEOUT", "0s"),
        ("DATABASE_URL", "mysql://ada:s3cret@x/y"),
    ] {
        let output = app().env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{variable}: {said}");
        assert!(said.contains(variable) && said.contains("allowed is"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn it_says_where_it_listens_and_ends_well_on_sigterm() {
    let mut child = app().spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("listening on"))).unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let text = line.to_string();
    let address = text.split("http://").nth(1).unwrap().split('"').next().unwrap();
    std::net::TcpStream::connect(address).unwrap();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    // The log must have a reader until the end.
    lines.for_each(drop);
    assert_eq!(wait(&mut child), 0);
}

#[test]
fn a_taken_port_is_an_error_that_names_the_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = app().env("PORT", &port).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("listening on 127.0.0.1:{port}")));
}
