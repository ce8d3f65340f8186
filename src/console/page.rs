//! Placeholder of the page.

/// The page's routes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    let page = async || axum::response::Html("<!doctype html><title>signalbox</title>");
    axum::Router::new().route("/", axum::routing::get(page))
}
