//! Typed reading of environment variables. Called wherever a variable is read; imports none of ours.
//! A wrong value is one error that names the variable, the value and what is allowed; `main` exits 64 on it.

use std::fmt::Display;

/// Exit code for wrong configuration (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;

/// A variable or flag whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?} is not valid: allowed is {allowed}")]
pub struct InvalidSetting {
    /// The variable's (or flag's) name.
    pub variable: String,
    /// The value as given; `***` where it may be secret.
    pub value: String,
    /// What is allowed, in words.
    pub allowed: String,
}

impl InvalidSetting {
    /// An error for `variable`, whose `value` is not among what is `allowed`.
    pub fn new(variable: impl Display, value: impl Display, allowed: impl Display) -> Self {
        Self { variable: variable.to_string(), value: value.to_string(), allowed: allowed.to_string() }
    }
}

/// The variable's value; `None` when unset or empty (the OpenTelemetry specification treats both alike).
pub fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// The variable parsed by `parse`; `None` when unset or empty.
///
/// # Errors
/// When `parse` refuses the value.
pub fn parsed<T>(
    variable: &str,
    allowed: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, InvalidSetting> {
    match text(variable) {
        None => Ok(None),
        Some(value) => match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(InvalidSetting::new(variable, &value, allowed)),
        },
    }
}

/// `true`/`false`/`1`/`0`, any case.
pub fn parse_bool(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
