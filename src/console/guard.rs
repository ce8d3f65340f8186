//! Who may talk to the console: the token, and the Host check that keeps other sites' pages out. Called by the receiver
//! and the API as middleware. No business answers in here.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::model::hex;

/// Name of the page's cookie.
const COOKIE: &str = "signalbox_token";

/// The token and the address that were configured.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    /// Token, where one is asked for.
    pub(crate) token: Option<Arc<str>>,
    /// Bind address.
    pub(crate) bind: IpAddr,
}

/// Compares in a time that depends on the given text's length alone.
fn equal(given: &[u8], wanted: &[u8]) -> bool {
    let mut different = given.len() ^ wanted.len();
    for (index, byte) in given.iter().enumerate() {
        let other = wanted.get(index % wanted.len().max(1)).copied().unwrap_or(0);
        different |= usize::from(byte ^ other);
    }
    different == 0
}

impl Guard {
    /// Whether an `authorization` header carries the token (or none is asked for).
    pub(crate) fn bearer(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else { return true };
        let Some((scheme, given)) = authorization.and_then(|text| text.split_at_checked(7)) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && equal(given.trim_ascii(), token.as_bytes())
    }

    fn cookie(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let wanted = hex(token.as_bytes());
        let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
        let mut given = pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        given.any(|value| equal(value.as_bytes(), wanted.as_bytes()))
    }

    /// `host` as a `Host` header has it, with or without port. With a token any name will do: a page of another site
    /// knows neither the token nor, by its own name, the cookie; and containers are reached by name.
    fn host_allowed(&self, host: &str) -> bool {
        if self.token.is_some() {
            return true;
        }
        let name = if let Some(rest) = host.strip_prefix('[') {
            rest.split(']').next().unwrap_or_default()
        } else {
            host.rsplit_once(':').map_or(host, |(name, _)| name)
        };
        match name.parse::<IpAddr>() {
            // Bound to every address, any address is the bind address; a *name* could be another site's.
            Ok(ip) => ip.is_loopback() || ip == self.bind || self.bind.is_unspecified(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

/// An answer of the API's error shape.
pub(crate) fn error(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(json!({ "error": message.into() }))).into_response()
}

/// Middleware of the page and query port: Host check, then token (header or cookie; `/?token=T` sets the cookie).
pub(crate) async fn page(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
    if !guard.host_allowed(&host) {
        return error(StatusCode::FORBIDDEN, format!("Host {host:?} is neither loopback nor the bind address"));
    }
    let path = request.uri().path();
    // Health probes carry no token and learn nothing.
    if path == "/health" || guard.token.is_none() {
        return next.run(request).await;
    }
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if guard.bearer(authorization) || guard.cookie(request.headers()) {
        return next.run(request).await;
    }
    if path == "/" && request.method() == Method::GET {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
        let given = pairs.ok().and_then(|pairs| pairs.0.into_iter().find(|(key, _)| key == "token"));
        let wanted = guard.token.as_deref().unwrap_or_default();
        if given.is_some_and(|(_, value)| equal(value.as_bytes(), wanted.as_bytes())) {
            // Hex, because a token may hold what a cookie cannot. The redirect takes the token out of the address bar.
            let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", hex(wanted.as_bytes()));
            return (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, "/".to_owned())])
                .into_response();
        }
    }
    let mut response = error(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer T, or /?token=T once");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: Option<&str>, bind: &str) -> Guard {
        Guard { token: token.map(Into::into), bind: bind.parse().unwrap() }
    }

    #[test]
    fn only_the_exact_token_passes() {
        let guard = guard(Some("secret"), "127.0.0.1");
        assert!(guard.bearer(Some(b"Bearer secret")));
        assert!(guard.bearer(Some(b"bearer secret")));
        for wrong in ["Bearer secre", "Bearer secretsecret", "Bearer ", "secret", "Basic secret", ""] {
            assert!(!guard.bearer(Some(wrong.as_bytes())), "{wrong}");
        }
        assert!(!guard.bearer(None));
    }

    #[test]
    fn loopback_and_the_bind_address_are_hosts_and_other_names_are_not() {
        let local = guard(None, "127.0.0.1");
        for host in ["localhost", "LOCALHOST:4320", "127.0.0.1:1", "[::1]:4320", "127.8.9.10"] {
            assert!(local.host_allowed(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:4320", "192.0.2.1", "", "127.0.0.1.evil.example"] {
            assert!(!local.host_allowed(host), "{host}");
        }
        assert!(guard(None, "192.0.2.1").host_allowed("192.0.2.1:4320"));
        assert!(guard(None, "0.0.0.0").host_allowed("192.0.2.7"));
        assert!(!guard(None, "0.0.0.0").host_allowed("evil.example"));
        assert!(guard(Some("secret"), "0.0.0.0").host_allowed("console:4320"));
    }
}
