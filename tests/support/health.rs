//! How a program is asked, inside its own container, whether it is well: the health check of its image's label and of
//! `compose.yaml`. Included by `nix_wiring` and `compose`.

use signalbox::facts;

/// The command in exec form; `None` where a program answers nothing.
pub(crate) fn check(program: &str) -> Option<Vec<String>> {
    let command = |parts: &[&str]| Some(parts.iter().map(|part| (*part).to_owned()).collect());
    if program == "postgresql" {
        // It speaks no HTTP.
        return command(&["CMD", "/bin/postgresql", "--ready", "127.0.0.1"]);
    }
    let facts = facts::program(program);
    let path = facts.ready.as_ref().or(facts.health.as_ref())?;
    let port = ["health", "page", "http"].iter().find_map(|role| facts.ports.get(*role))?;
    command(&["CMD", "/bin/signalbox", "probe", &format!("http://127.0.0.1:{port}{path}")])
}
