//! `/tasks` and `/tasks/{id}`: the task tracker. Validation is here, SQL is in `store`.

use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::app::error::{ApiError, ErrorBody};
use crate::app::extract::{JsonBody, Params};
use crate::app::store::{TaskInput, TaskRow};

const TITLE_LIMIT: usize = 200;
const DESCRIPTION_LIMIT: usize = 10_000;
const PAGE_DEFAULT: i64 = 20;
const PAGE_LIMIT: i64 = 100;

/// A task as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Task {
    id: i64,
    title: String,
    description: String,
    done: bool,
    /// RFC 3339, UTC.
    created_at: String,
    /// RFC 3339, UTC.
    updated_at: String,
}

/// What a client says of a task.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents the body that `validated` reads field by field")]
pub(crate) struct TaskBody {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// Up to 10000 characters; empty when absent.
    #[schema(max_length = 10000)]
    description: Option<String>,
    /// `false` when absent.
    done: Option<bool>,
}

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskPage {
    items: Vec<Task>,
    /// How many tasks there are in all.
    total: i64,
    limit: i64,
    offset: i64,
}

impl From<TaskRow> for Task {
    fn from(row: TaskRow) -> Self {
        Self {
            id: row.id,
            title: row.title,
            description: row.description,
            done: row.done,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        }
    }
}

fn rfc3339(unix_millis: i64) -> String {
    let since = Duration::from_millis(unix_millis.max(0).unsigned_abs());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// A page of tasks, oldest first.
#[utoipa::path(get, path = "/tasks",
    params(
        ("limit" = Option<i64>, Query, description = "1 to 100; 20 when absent"),
        ("offset" = Option<i64>, Query, description = "0 or more"),
    ),
    responses(
        (status = 200, description = "the page", body = TaskPage),
        (status = 422, description = "limit or offset is outside its range", body = ErrorBody),
        (status = 500, description = "the store failed", body = ErrorBody),
    ))]
pub(crate) async fn list(State(state): State<AppState>, params: Params) -> Result<Json<TaskPage>, ApiError> {
    let limit = params.number("limit", 1..=PAGE_LIMIT, PAGE_DEFAULT).map_err(|reason| invalid("limit", reason))?;
    let offset = params.number("offset", 0..=i64::MAX, 0).map_err(|reason| invalid("offset", reason))?;
    let (rows, total) = state.store.tasks(limit, offset).await?;
    Ok(Json(TaskPage { items: rows.into_iter().map(Task::from).collect(), total, limit, offset }))
}

/// Adds a task.
#[utoipa::path(post, path = "/tasks", request_body = TaskBody, responses(
    (status = 201, description = "added; Location says where it is", body = Task),
    (status = 400, description = "the body is not JSON", body = ErrorBody),
    (status = 408, description = "the body did not arrive in time", body = ErrorBody),
    (status = 413, description = "the body is above 1 MiB", body = ErrorBody),
    (status = 415, description = "the content type is not application/json", body = ErrorBody),
    (status = 422, description = "a field breaks its rule", body = ErrorBody),
    (status = 500, description = "the store failed", body = ErrorBody),
))]
pub(crate) async fn create(State(state): State<AppState>, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let task = Task::from(state.store.insert(&validated(body)?).await?);
    let location = format!("/tasks/{}", task.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(task)).into_response())
}

/// One task.
#[utoipa::path(get, path = "/tasks/{id}", params(("id" = i64, Path, description = "the task's id")), responses(
    (status = 200, description = "the task", body = Task),
    (status = 404, description = "no such task", body = ErrorBody),
    (status = 422, description = "id is not a number", body = ErrorBody),
    (status = 500, description = "the store failed", body = ErrorBody),
))]
pub(crate) async fn read(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Task>, ApiError> {
    let row = state.store.task(parse_id(&id)?).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(row.into()))
}

/// Replaces a task.
#[utoipa::path(put, path = "/tasks/{id}", params(("id" = i64, Path, description = "the task's id")),
    request_body = TaskBody,
    responses(
        (status = 200, description = "the task as it is now", body = Task),
        (status = 400, description = "the body is not JSON", body = ErrorBody),
        (status = 404, description = "no such task", body = ErrorBody),
        (status = 408, description = "the body did not arrive in time", body = ErrorBody),
        (status = 413, description = "the body is above 1 MiB", body = ErrorBody),
        (status = 415, description = "the content type is not application/json", body = ErrorBody),
        (status = 422, description = "a field breaks its rule", body = ErrorBody),
        (status = 500, description = "the store failed", body = ErrorBody),
    ))]
pub(crate) async fn update(
    State(state): State<AppState>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Task>, ApiError> {
    let id = parse_id(&id)?;
    let row = state.store.update(id, &validated(body)?).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(row.into()))
}

/// Removes a task.
#[utoipa::path(delete, path = "/tasks/{id}", params(("id" = i64, Path, description = "the task's id")), responses(
    (status = 204, description = "removed"),
    (status = 404, description = "no such task", body = ErrorBody),
    (status = 422, description = "id is not a number", body = ErrorBody),
    (status = 500, description = "the store failed", body = ErrorBody),
))]
pub(crate) async fn delete(State(state): State<AppState>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    if state.store.delete(parse_id(&id)?).await? { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NotFound) }
}

fn invalid(field: &str, reason: impl Into<String>) -> ApiError {
    ApiError::Validation { field: field.to_owned(), reason: reason.into() }
}

fn parse_id(text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| invalid("id", "id must be a whole number"))
}

/// The body's fields, each by its rule; an unknown field is an error, for it is a misspelt one.
fn validated(body: Value) -> Result<TaskInput, ApiError> {
    let Value::Object(mut fields) = body else { return Err(invalid("body", "the body must be an object")) };
    let title = string(&mut fields, "title", 1, TITLE_LIMIT)?;
    let description = string(&mut fields, "description", 0, DESCRIPTION_LIMIT)?;
    let done = match fields.remove("done") {
        None => false,
        Some(Value::Bool(done)) => done,
        Some(_) => return Err(invalid("done", "done must be true or false")),
    };
    match fields.into_iter().next() {
        Some((unknown, _)) => Err(invalid(&unknown, "there is no such field")),
        None => Ok(TaskInput { title, description, done }),
    }
}

fn string(fields: &mut Map<String, Value>, name: &str, min: usize, max: usize) -> Result<String, ApiError> {
    let text = match fields.remove(name) {
        None => String::new(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => return Err(invalid(name, format!("{name} must be text"))),
    };
    // PostgreSQL text cannot hold NUL; refuse it for both stores alike.
    if !(min..=max).contains(&text.chars().count()) || text.contains('\0') {
        return Err(invalid(name, format!("{name} must be {min} to {max} characters, none of them NUL")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong_field(body: Value) -> String {
        match validated(body) {
            Err(ApiError::Validation { field, .. }) => field,
            other => panic!("expected a validation error, got {other:?}"),
        }
    }

    #[test]
    fn each_rule_of_a_task_names_its_field() {
        assert_eq!(wrong_field(json!([])), "body");
        assert_eq!(wrong_field(json!({})), "title");
        assert_eq!(wrong_field(json!({ "title": "  " })), "title");
        assert_eq!(wrong_field(json!({ "title": "x".repeat(201) })), "title");
        assert_eq!(wrong_field(json!({ "title": "a\u{0}b" })), "title");
        assert_eq!(wrong_field(json!({ "title": "x", "description": 1 })), "description");
        assert_eq!(wrong_field(json!({ "title": "x", "done": "yes" })), "done");
        assert_eq!(wrong_field(json!({ "title": "x", "dnoe": true })), "dnoe");
    }

    #[test]
    fn two_hundred_characters_are_counted_not_bytes() {
        assert_eq!(validated(json!({ "title": "ß".repeat(200) })).unwrap().title.chars().count(), 200);
    }
}
