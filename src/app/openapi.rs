//! The OpenAPI document at `/openapi.json`. Served by `app::router`; a test checks that no route is missing.
//! Descriptions live beside the handlers.

use axum::Json;
use utoipa::OpenApi;

use super::routes::{crash, data, error, external, health, index, metrics, rolldice, tasks, work};

#[derive(OpenApi)]
#[openapi(
    info(title = "signalbox app", description = "The instrumented service"),
    paths(
        index::index,
        health::health,
        health::ready,
        work::work,
        data::data,
        external::external,
        error::error,
        crash::crash,
        rolldice::rolldice,
        metrics::metrics,
        tasks::list,
        tasks::create,
        tasks::read,
        tasks::update,
        tasks::delete,
        openapi,
    )
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "this document", body = Object)))]
pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
