//! The console's page: embedded plain files and their response headers. Merged into the page port's router by
//! the console's `mod`. No query and no telemetry may be answered here.

use axum::Router;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Only this origin, nothing inline, in nobody's frame: telemetry is written by others and must never run here.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

struct File {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

macro_rules! files {
    ($($path:literal, $content_type:ident, $file:literal;)*) => {
        [$(File { path: $path, content_type: $content_type, body: include_str!(concat!("page/", $file)) }),*]
    };
}

static FILES: [File; 13] = files! {
    "/", HTML, "index.html";
    "/page/page.css", CSS, "page.css";
    "/page/icon.svg", SVG, "icon.svg";
    "/page/page.js", SCRIPT, "page.js";
    "/page/api.js", SCRIPT, "api.js";
    "/page/chart.js", SCRIPT, "chart.js";
    "/page/dom.js", SCRIPT, "dom.js";
    "/page/explorer.js", SCRIPT, "explorer.js";
    "/page/lists.js", SCRIPT, "lists.js";
    "/page/overview.js", SCRIPT, "overview.js";
    "/page/profiles.js", SCRIPT, "profiles.js";
    "/page/state.js", SCRIPT, "state.js";
    "/page/trace.js", SCRIPT, "trace.js";
};

/// Routes of the page: `/` and the files it loads below `/page/`.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(move |headers: HeaderMap| async move { answer(file, &headers) }))
    })
}

/// FNV-1a of the file: the same bytes have the same tag in every build and process.
fn tag(body: &str) -> String {
    let hash = body
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{hash:016x}\"")
}

fn answer(file: &'static File, request: &HeaderMap) -> Response {
    let etag = tag(file.body);
    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged = known.is_some_and(|tags| tags.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    let fixed = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { file.body.into_response() };
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, known: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(etag) = known {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        routes::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn every_file_the_page_names_is_served_with_its_type_and_a_strict_policy() {
        for file in &FILES {
            let response = ask(file.path, None).await;
            assert_eq!(response.status(), StatusCode::OK, "{}", file.path);
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], file.content_type);
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body, file.body.as_bytes());
        }
    }

    #[test]
    fn every_import_and_link_of_the_files_leads_to_a_file_that_is_served() {
        let served: Vec<_> = FILES.iter().map(|file| file.path).collect();
        for file in &FILES {
            for part in file.body.split('"').filter(|part| part.starts_with("./") || part.starts_with("/page/")) {
                let path = part.replacen("./", "/page/", 1);
                assert!(served.contains(&path.as_str()), "{} names {part}, which is not served", file.path);
            }
        }
    }

    #[test]
    fn telemetry_can_inject_no_markup_because_no_script_writes_html() {
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "setAttribute(\"style",
                "DOMParser",
            ] {
                assert!(!file.body.contains(forbidden), "{} uses {forbidden}", file.path);
            }
        }
    }

    #[tokio::test]
    async fn a_browser_that_has_the_file_is_told_so_without_a_body() {
        let first = ask("/", None).await;
        let etag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let again = ask("/", Some(&etag)).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(to_bytes(again.into_body(), usize::MAX).await.unwrap().is_empty());
        assert_eq!(ask("/", Some("\"another\"")).await.status(), StatusCode::OK);
    }
}
