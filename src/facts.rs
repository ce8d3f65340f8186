//! Facts of the stack: names, ports and health paths from `configs/stack.json`, addresses from
//! `configs/environments/local.env`. Called by every other module; imports none of ours.
//! No port or address may be written anywhere else in `src/`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// One program of the stack, as `configs/stack.json` has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// `service.name` of what it emits, where it emits OpenTelemetry signals of ours.
    pub service_name: Option<String>,
    /// Port by role, such as `http` or `otlp-grpc`.
    pub ports: BTreeMap<String, u16>,
    /// Path of its liveness answer.
    pub health: Option<String>,
    /// Path of its readiness answer.
    pub ready: Option<String>,
}

static STACK: LazyLock<BTreeMap<String, Program>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../configs/stack.json"))
        .expect("configs/stack.json is checked by tests/facts.rs")
});

static LOCAL: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    dotenvy::from_read_iter(include_str!("../configs/environments/local.env").as_bytes())
        .collect::<Result<_, _>>()
        .expect("configs/environments/local.env is checked by tests/facts.rs")
});

/// Every program of the stack by name.
pub fn stack() -> &'static BTreeMap<String, Program> {
    &STACK
}

/// One program of the stack.
///
/// # Panics
/// When `configs/stack.json` has no such program: names are literals in our own code.
pub fn program(name: &str) -> &'static Program {
    STACK.get(name).unwrap_or_else(|| panic!("configs/stack.json has no program `{name}`"))
}

/// The port a program has for a role.
///
/// # Panics
/// When `configs/stack.json` has no such program or role.
pub fn port(name: &str, role: &str) -> u16 {
    *program(name).ports.get(role).unwrap_or_else(|| panic!("configs/stack.json: `{name}` has no port `{role}`"))
}

/// An address or switch: the environment's, else that of `configs/environments/local.env`, else empty.
pub fn setting(variable: &str) -> String {
    std::env::var(variable).ok().filter(|v| !v.is_empty()).or_else(|| LOCAL.get(variable).cloned()).unwrap_or_default()
}

/// What `configs/environments/local.env` holds, without the environment.
pub fn local_settings() -> &'static BTreeMap<String, String> {
    &LOCAL
}
