//! HTTP to one backend: a base address, who asks, and how many questions at once. Used by every file of this folder;
//! what is asked belongs to them.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::BackendError;

/// Longest wait for one answer; a check asks again until its own deadline.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Most questions under way at once: sixty checks poll, and the backend has other work.
const AT_ONCE: usize = 6;
/// Most characters of an unexpected answer that are shown.
const SHOWN: usize = 300;

/// Who asks.
#[derive(Clone)]
pub(crate) enum Auth {
    /// Nobody in particular.
    None,
    /// A token.
    Bearer(String),
    /// User and password.
    Basic(String, String),
}

impl Auth {
    /// A bearer token where there is one.
    pub(crate) fn bearer(token: Option<String>) -> Self {
        token.map_or(Self::None, Self::Bearer)
    }
}

// Derived, it would print the secret.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Bearer(_) => "bearer",
            Self::Basic(..) => "basic",
        })
    }
}

/// One backend over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    base: String,
    auth: Auth,
    client: Client,
    places: Arc<Semaphore>,
}

impl Http {
    /// The backend at `base`.
    pub(crate) fn new(base: &str, auth: Auth) -> Result<Self, BackendError> {
        // Addresses are this machine's own: a proxy of the environment must not see them.
        let client = Client::builder().timeout(ANSWER_WITHIN).no_proxy().build();
        let base = base.trim_end_matches('/').to_owned();
        let client = client.map_err(|source| BackendError::Send { url: base.clone(), source })?;
        Ok(Self { base, auth, client, places: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// The same client for a path below.
    pub(crate) fn below(&self, path: &str) -> Self {
        Self { base: format!("{}{path}", self.base), ..self.clone() }
    }

    /// The address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A JSON answer to GET; empty values of the query are left out.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, BackendError> {
        self.get_or(path, query, None).await
    }

    /// Like `get`; a 404 is `absent` where one is given.
    pub(crate) async fn get_or<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        absent: Option<T>,
    ) -> Result<T, BackendError> {
        let url = format!("{}{path}", self.base);
        let set: Vec<_> = query.iter().filter(|(_, value)| !value.is_empty()).collect();
        let (status, body) = self.answer(&url, self.client.get(&url).query(&set)).await?;
        if let (StatusCode::NOT_FOUND, Some(absent)) = (status, absent) {
            return Ok(absent);
        }
        json(url, status, &body)
    }

    /// Bytes of the type in answer to GET; `None` for 404.
    pub(crate) async fn get_bytes(&self, path: &str, accept: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let url = format!("{}{path}", self.base);
        let (status, body) = self.answer(&url, self.client.get(&url).header(ACCEPT, accept)).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(body)),
            status => Err(refused(url, status, &body)),
        }
    }

    /// A JSON answer to a POST of JSON.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, BackendError> {
        let url = format!("{}{path}", self.base);
        let (status, body) = self.answer(&url, self.client.post(&url).json(body)).await?;
        json(url, status, &body)
    }

    /// A JSON answer to a POST of bytes with headers of the caller's making.
    pub(crate) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: String,
    ) -> Result<T, BackendError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.post(&url).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let (status, body) = self.answer(&url, request).await?;
        json(url, status, &body)
    }

    async fn answer(&self, url: &str, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), BackendError> {
        let request = match &self.auth {
            Auth::None => request,
            Auth::Bearer(token) => request.bearer_auth(token),
            Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
        };
        let failed = |source| BackendError::Send { url: url.to_owned(), source };
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        Ok((status, response.bytes().await.map_err(failed)?.into()))
    }
}

fn refused(url: String, status: StatusCode, body: &[u8]) -> BackendError {
    let body = String::from_utf8_lossy(body).trim().chars().take(SHOWN).collect();
    BackendError::Status { url, status: status.as_u16(), body }
}

fn json<T: DeserializeOwned>(url: String, status: StatusCode, body: &[u8]) -> Result<T, BackendError> {
    if !status.is_success() {
        return Err(refused(url, status, body));
    }
    serde_json::from_slice(body).map_err(|source| BackendError::Shape { url, source })
}
