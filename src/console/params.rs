//! Query parameters of the API: typed reading where every error names the parameter, the value and what is allowed.
//! Called by `api`. No filters, no store.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::guard::error;
use super::model::unhex;
use super::query::Conditions;

/// A parameter that cannot be used; a 400.
#[derive(Debug, thiserror::Error)]
#[error("{name}={value:?} is not valid: allowed is {allowed}")]
pub(crate) struct BadParameter {
    /// Which.
    pub(crate) name: String,
    /// As given.
    pub(crate) value: String,
    /// In words.
    pub(crate) allowed: String,
}

impl BadParameter {
    /// An error for `name`.
    pub(crate) fn new(name: &str, value: &str, allowed: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), allowed: allowed.into() }
    }
}

impl IntoResponse for BadParameter {
    fn into_response(self) -> Response {
        error(StatusCode::BAD_REQUEST, self.to_string())
    }
}

/// A request's query parameters; empty ones count as not given.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|e| error(StatusCode::BAD_REQUEST, format!("the query cannot be read: {e}")))?;
        Ok(Self(pairs.0.into_iter().filter(|(_, value)| !value.is_empty()).collect()))
    }
}

impl Params {
    /// Refuses names that the route does not know: a misspelt filter would silently match all.
    ///
    /// # Errors
    /// For the first unknown name.
    pub(crate) fn only(&self, allowed: &[(&str, &str)]) -> Result<(), BadParameter> {
        let known = |name: &str| allowed.iter().any(|(known, _)| *known == name);
        match self.0.iter().find(|(name, _)| !known(name)) {
            None => Ok(()),
            Some((name, value)) => {
                let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
                let names = if names.is_empty() { "no parameter".to_owned() } else { names.join(", ") };
                Err(BadParameter::new(name, value, format!("one of: {names}")))
            }
        }
    }

    /// A parameter's text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// A finite number of at least `least`.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn number(&self, name: &str, least: f64) -> Result<Option<f64>, BadParameter> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= least => Ok(Some(number)),
            _ => Err(BadParameter::new(name, &text, format!("a number of at least {least}"))),
        }
    }

    /// `limit`, 1..=1000.
    ///
    /// # Errors
    /// When it is outside.
    pub(crate) fn limit(&self, default: usize) -> Result<usize, BadParameter> {
        let Some(text) = self.text("limit") else { return Ok(default) };
        match text.parse() {
            Ok(limit) if (1..=1000).contains(&limit) => Ok(limit),
            _ => Err(BadParameter::new("limit", &text, "a whole number from 1 to 1000")),
        }
    }

    /// One of named choices, any case.
    ///
    /// # Errors
    /// When it is none of them.
    pub(crate) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, BadParameter> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                Err(BadParameter::new(name, &text, words.join(", ")))
            }
        }
    }

    /// Hex id of `N` bytes.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn id<const N: usize>(&self, name: &str) -> Result<Option<[u8; N]>, BadParameter> {
        self.text(name).map(|text| id(name, &text)).transpose()
    }

    /// All `attr=KEY=VALUE`.
    ///
    /// # Errors
    /// When one has no `=`.
    pub(crate) fn conditions(&self) -> Result<Conditions, BadParameter> {
        let split = |(_, text): &(String, String)| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(BadParameter::new("attr", text, "KEY=VALUE")),
        };
        self.0.iter().filter(|(key, _)| key == "attr").map(split).collect::<Result<_, _>>().map(Conditions)
    }
}

/// Hex id of `N` bytes.
///
/// # Errors
/// When it is none.
pub(crate) fn id<const N: usize>(name: &str, text: &str) -> Result<[u8; N], BadParameter> {
    unhex(text).ok_or_else(|| BadParameter::new(name, text, format!("{} hex digits", N * 2)))
}
