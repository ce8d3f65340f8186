//! `signalbox up`, whole: the real service, load tester and console, on free ports where the defaults are taken.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(all(feature = "app", feature = "load", feature = "console"))]

#[path = "support/up.rs"]
mod up;

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use up::Up;

fn is_gone(pid: Pid) -> bool {
    kill(pid, None) == Err(Errno::ESRCH)
}

/// One `up` at a time: each is a whole stack, and a spike of one would be the base of another.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn up_for_30_seconds_proves_the_contract_and_ends_by_itself() {
    let _alone = alone();
    let mut up = Up::start(&["--for", "30s", "--verify"]);
    let children = ["console", "app", "load"].map(|name| up.pid(name));
    up.line(Duration::from_secs(60), |line| line.starts_with("first signal after ").then_some(()));
    let (status, lines) = up.end(Duration::from_secs(30 + 60 + 60));
    let all = lines.join("\n");
    assert_eq!(status.code(), Some(0), "{all}");
    let last = lines.last().unwrap();
    let passed = last.strip_prefix("verify: ").and_then(|rest| rest.strip_suffix(" passed, 0 failed"));
    let passed = passed.unwrap_or_else(|| panic!("the last line is {last:?}:\n{all}")).parse::<u32>().unwrap();
    assert!(passed >= 20, "{last}");
    assert!(children.into_iter().all(is_gone), "a child is left: {children:?}");
}

#[test]
fn up_names_the_app_when_it_is_killed_and_exits_with_its_code() {
    let _alone = alone();
    let mut up = Up::start(&[]);
    let [console, app, load] = ["console", "app", "load"].map(|name| up.pid(name));
    kill(app, Signal::SIGKILL).unwrap();
    let (status, lines) = up.end(Duration::from_secs(60));
    let all = lines.join("\n");
    assert_eq!(status.code(), Some(128 + 9), "{all}");
    assert!(all.contains("app ended (killed by signal 9)"), "{all}");
    assert!([console, load].into_iter().all(is_gone), "a child is left:\n{all}");
}

#[test]
fn an_app_that_ends_cleanly_but_unasked_is_a_failure_too() {
    let _alone = alone();
    let mut up = Up::start(&[]);
    let app = up.pid("app");
    up.pid("load");
    kill(app, Signal::SIGTERM).unwrap();
    let (status, lines) = up.end(Duration::from_secs(60));
    let all = lines.join("\n");
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}: {all}");
    assert!(all.contains("app ended ("), "{all}");
}

#[test]
fn ctrl_c_stops_all_and_exits_0() {
    let _alone = alone();
    let mut up = Up::start(&[]);
    let children = ["console", "app", "load"].map(|name| up.pid(name));
    up.interrupt();
    let (status, lines) = up.end(Duration::from_secs(60));
    assert_eq!(status.code(), Some(0), "{}", lines.join("\n"));
    assert!(children.into_iter().all(is_gone), "a child is left: {children:?}");
}

#[test]
fn a_taken_port_is_replaced_and_named() {
    let _alone = alone();
    let port = signalbox::facts::port("console", "page");
    let _held = std::net::TcpListener::bind(("127.0.0.1", port));
    let mut up = Up::start(&[]);
    let notice = format!("port {port} (console page) is not free");
    up.line(Duration::from_secs(60), |line| line.starts_with(&notice).then_some(()));
    up.pid("load");
    up.interrupt();
    assert_eq!(up.end(Duration::from_secs(60)).0.code(), Some(0));
}
