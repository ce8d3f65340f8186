//! Finds the real programs (collector, Prometheus, nginx ..) for tests that ask them. Included by `config_*` and
//! `stack_*`; no promise of any config may be checked here.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where a program is: in `SIGNALBOX_BACKENDS` (or its `bin`), then where `just backends` puts them without it, then on
/// PATH (and in `/usr/sbin`, which a user's PATH may lack on Debian).
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let folders = |variable: &str| std::env::var_os(variable).map(|v| std::env::split_paths(&v).collect::<Vec<_>>());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let built = cache.map(|cache| cache.join("signalbox/backends/bin"));
    let given = folders("SIGNALBOX_BACKENDS").unwrap_or_default().into_iter().flat_map(|f| [f.join("bin"), f]);
    let rest = folders("PATH").unwrap_or_default().into_iter().chain([PathBuf::from("/usr/sbin")]);
    given.chain(built).chain(rest).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Like [`find`]; where there is none it prints `not run: PROGRAM`, and fails under `SIGNALBOX_REQUIRE=all`.
pub(crate) fn find_or_say(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        not_run(program);
    }
    found
}

/// Says that a test could not ask a program; fails under `SIGNALBOX_REQUIRE=all`.
pub(crate) fn not_run(program: &str) {
    println!("not run: {program}");
    assert_ne!(std::env::var("SIGNALBOX_REQUIRE").as_deref(), Ok("all"), "{program} is required and missing");
}

/// Whether this is root, whom PostgreSQL refuses to run as.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// A running program; a test that ends, however it does, leaves none behind.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end; `Err` holds the command and everything it said.
pub(crate) fn check(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(format!("{command:?}: {}\n{said}", output.status)) }
}

/// A port for a program that cannot take port 0 and say which it got. Below the kernel's range for outgoing connections, so
/// that none of those takes it before the program does.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + std::process::id().wrapping_mul(61);
        let port = u16::try_from(20_000 + step % 12_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
