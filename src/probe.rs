//! `signalbox probe URL`: health check for images without a shell. Called by `main`; speaks HTTP/1.1 over a plain
//! socket, so that an image needs no HTTP client for it. TLS does not belong here: a probe asks its own container.

use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::cli::ProbeArgs;
use crate::env::InvalidSetting;

/// Longest status line that is read, in bytes.
const LONGEST_LINE: u64 = 1024;

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("no answer: {0}")]
    Answer(std::io::Error),
    #[error("not an HTTP answer: {0:?}")]
    NotHttp(String),
    #[error("answered {0}")]
    Status(u16),
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
}

/// An `http://` address, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// What the `Host` header says.
    authority: String,
    /// What is connected to: host and port.
    socket: String,
    /// Path and query.
    path: String,
}

/// Exits 0 when the URL answers 2xx, else 1 with one line that says why.
///
/// # Errors
/// When the URL is none that can be asked.
pub async fn run(args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let allowed = "an address such as http://127.0.0.1:8080/health";
    let target = parse(&args.url).ok_or_else(|| InvalidSetting::new("URL", &args.url, allowed))?;
    let result = tokio::time::timeout(args.timeout, ask(&target)).await;
    match result.unwrap_or(Err(ProbeError::Timeout(args.timeout))) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("probe: {}: {error}", args.url);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn parse(url: &str) -> Option<Target> {
    let rest = url.strip_prefix("http://")?.split('#').next()?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // Blanks would end the request line, a user name would be connected to.
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if authority.is_empty() || authority.contains('@') || url.contains(odd) {
        return None;
    }
    let socket = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            port.parse::<u16>().ok()?;
            (!host.is_empty()).then(|| authority.to_owned())?
        }
        _ => format!("{authority}:80"),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(Target { authority: authority.to_owned(), socket, path })
}

async fn ask(target: &Target) -> Result<(), ProbeError> {
    let mut stream = TcpStream::connect(&target.socket).await.map_err(ProbeError::Connect)?;
    let Target { authority, path, .. } = target;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: signalbox-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(ProbeError::Answer)?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_until(b'\n', &mut line).await.map_err(ProbeError::Answer)?;
    let line = String::from_utf8_lossy(&line);
    let status = line.starts_with("HTTP/1.").then(|| line.split(' ').nth(1)?.trim().parse::<u16>().ok()).flatten();
    match status {
        Some(200..=299) => Ok(()),
        Some(status) => Err(ProbeError::Status(status)),
        None => Err(ProbeError::NotHttp(line.trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_address_is_taken_apart() {
        let socket = |url: &str| parse(url).map(|target| (target.socket, target.path));
        let parts = |socket: &str, path: &str| Some((socket.to_owned(), path.to_owned()));
        assert_eq!(socket("http://127.0.0.1:81/health?a=b#c"), parts("127.0.0.1:81", "/health?a=b"));
        assert_eq!(socket("http://localhost"), parts("localhost:80", "/"));
        assert_eq!(socket("http://[::1]:81"), parts("[::1]:81", "/"));
        assert_eq!(socket("http://[::1]/x"), parts("[::1]:80", "/x"));
        for url in [
            "https://a/",
            "a",
            "http://",
            "http://:81/",
            "http://a:b/",
            "http://a:99999/",
            "http://u@a/",
            "http://a/ b",
        ] {
            assert_eq!(socket(url), None, "{url}");
        }
    }
}
