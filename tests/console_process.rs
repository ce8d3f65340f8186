//! The console as a process: what it prints, how it stops, what it refuses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

fn console(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
    command.args(["console", "--grpc-port", "0", "--http-port", "0", "--page-port", "0"]).args(arguments);
    command.env_remove("SIGNALBOX_TOKEN").env_remove("SIGNALBOX_BIND");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn lines_until_listening(child: &mut Child) -> Vec<String> {
    let mut reader = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    loop {
        let line = tokio::time::timeout(Duration::from_secs(20), reader.next_line()).await.unwrap().unwrap().unwrap();
        lines.push(line);
        if lines.last().is_some_and(|line| line.starts_with("listening ")) {
            return lines;
        }
    }
}

#[tokio::test]
async fn it_prints_its_addresses_and_retention_and_ends_with_0_on_sigterm() {
    let mut child = console(&[]).spawn().unwrap();
    let lines = lines_until_listening(&mut child).await;
    assert!(lines[0].starts_with("console: page http://127.0.0.1:"), "{lines:?}");
    assert!(lines.contains(&"retention: memory only, nothing survives a restart".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("token")), "{lines:?}");
    let page = lines.last().unwrap().split_whitespace().find_map(|word| word.strip_prefix("page=")).unwrap();
    // An open live stream must not hold the stop.
    let _stream = reqwest::get(format!("http://{page}/api/v1/stream")).await.unwrap();
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let status = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_wrong_limit_or_token_exits_64_without_showing_the_token() {
    let output = console(&["--max-spans", "0"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--max-spans"));
    let output = console(&["--token", "two words"]).output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(64) && !error.contains("two words"), "{error}");
}
