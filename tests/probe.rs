//! `signalbox probe`: the health check of images answers by exit code alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

/// A server that answers one request with `answer`; `None` keeps silent.
fn server(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /health?deep=1 HTTP/1.1\r\n"));
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
            // Ends when the probe gives up.
            None => drop(stream.read(&mut request)),
        }
    });
    format!("http://{address}/health?deep=1")
}

fn probe(url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signalbox")).args(["probe", url, "--timeout", "1s"]).output().unwrap()
}

#[track_caller]
fn fails(url: &str, code: i32, why: &str) {
    let output = probe(url);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(why) && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_2xx_answer_exits_0() {
    let output = probe(&server(Some("HTTP/1.1 204 No Content\r\n\r\n")));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn another_answer_exits_1_and_says_which() {
    fails(&server(Some("HTTP/1.1 503 Service Unavailable\r\n\r\n")), 1, "answered 503");
}

#[test]
fn what_is_not_http_exits_1() {
    fails(&server(Some("SSH-2.0-OpenSSH\r\n")), 1, "not an HTTP answer");
}

#[test]
fn nobody_listening_exits_1() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&format!("http://{free}/"), 1, "cannot connect");
}

#[test]
fn silence_exits_1_after_the_timeout() {
    fails(&server(None), 1, "no answer within 1s");
}

#[test]
fn an_address_that_cannot_be_asked_exits_64_and_names_what_is_allowed() {
    fails("https://127.0.0.1/health", 64, "allowed is an address such as http://");
}
