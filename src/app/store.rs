//! Tasks and samples in SQLite or PostgreSQL. Called by the routes; each query is one CLIENT span and one duration.
//! No HTTP may be known here, and no SQL anywhere else.

use std::future::Future;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use utoipa::ToSchema;

use super::config::DatabaseUrl;
use crate::telemetry::metrics::Histogram;
use crate::telemetry::names::{self, attr};

/// Longest wait for a connection, to open or from the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 8;

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL cannot be used or nobody answers there.
    #[error("connecting to the store failed: {0}")]
    Connect(#[source] sqlx::Error),
    /// A migration failed.
    #[error("migrating the store failed: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A query failed.
    #[error("the query failed: {0}")]
    Query(#[source] sqlx::Error),
}

impl StoreError {
    /// `error.type`: few values.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Migrate(_) => "migration",
            Self::Connect(error) | Self::Query(error) => match error {
                sqlx::Error::PoolTimedOut => "pool_timeout",
                sqlx::Error::PoolClosed => "pool_closed",
                sqlx::Error::Io(_) => "io",
                sqlx::Error::Database(_) => "database",
                _ => "_OTHER",
            },
        }
    }
}

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The same expression for either pool: sqlx checks it for both.
macro_rules! with_pool {
    ($pool:expr, $name:ident => $body:expr) => {
        match $pool {
            Pool::Sqlite($name) => $body,
            Pool::Postgres($name) => $body,
        }
    };
}

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    namespace: String,
    duration: Histogram,
}

/// A row of `tasks`; times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TaskRow {
    /// Primary key.
    pub id: i64,
    /// Title.
    pub title: String,
    /// Description.
    pub description: String,
    /// Done or open.
    pub done: bool,
    /// Created at.
    pub created_at: i64,
    /// Last changed at.
    pub updated_at: i64,
}

/// What a client says of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskInput {
    /// Title.
    pub title: String,
    /// Description.
    pub description: String,
    /// Done or open.
    pub done: bool,
}

/// A row of `samples`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Sample {
    /// Primary key.
    pub id: i64,
    /// What was measured.
    pub name: String,
    /// The measured value.
    pub value: f64,
    /// Its unit, in UCUM.
    pub unit: String,
}

const LIST_SAMPLES: &str = "SELECT id, name, value, unit FROM samples ORDER BY id";
const COUNT_TASKS: &str = "SELECT COUNT(*) FROM tasks";
const LIST_TASKS: &str =
    "SELECT id, title, description, done, created_at, updated_at FROM tasks ORDER BY id LIMIT $1 OFFSET $2";
const GET_TASK: &str = "SELECT id, title, description, done, created_at, updated_at FROM tasks WHERE id = $1";
const INSERT_TASK: &str = "INSERT INTO tasks (title, description, done, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) \
     RETURNING id, title, description, done, created_at, updated_at";
const UPDATE_TASK: &str = "UPDATE tasks SET title = $1, description = $2, done = $3, updated_at = $4 WHERE id = $5 \
     RETURNING id, title, description, done, created_at, updated_at";
const DELETE_TASK: &str = "DELETE FROM tasks WHERE id = $1 RETURNING id";

impl Store {
    /// Connects and migrates.
    ///
    /// # Errors
    /// When nobody answers at the URL, or a migration fails.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let (pool, namespace) =
            if url.0.starts_with("sqlite:") { sqlite(&url.0).await? } else { postgres(&url.0).await? };
        match &pool {
            Pool::Sqlite(pool) => sqlx::migrate!("migrations/sqlite").run(pool).await?,
            Pool::Postgres(pool) => sqlx::migrate!("migrations/postgres").run(pool).await?,
        }
        Ok(Self { pool, namespace, duration: Histogram::new(&names::DB_CLIENT_OPERATION_DURATION) })
    }

    /// `db.system.name`.
    pub fn system(&self) -> &'static str {
        match self.pool {
            Pool::Sqlite(_) => "sqlite",
            Pool::Postgres(_) => "postgresql",
        }
    }

    /// Closes every connection; queries fail from then on.
    pub async fn close(&self) {
        with_pool!(&self.pool, pool => pool.close().await);
    }

    /// Asks for a sign of life; no span, for probes ask every few seconds.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let answer = with_pool!(&self.pool, pool => sqlx::query("SELECT 1").execute(pool).await.map(|_| ()));
        answer.map_err(StoreError::Query)
    }

    /// Every sample.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn samples(&self) -> Result<Vec<Sample>, StoreError> {
        let query = async { with_pool!(&self.pool, pool => sqlx::query_as(LIST_SAMPLES).fetch_all(pool).await) };
        self.traced("SELECT", "samples", LIST_SAMPLES, query).await
    }

    /// A page of tasks by id, and how many there are in all.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn tasks(&self, limit: i64, offset: i64) -> Result<(Vec<TaskRow>, i64), StoreError> {
        let page = async {
            with_pool!(&self.pool, pool => sqlx::query_as(LIST_TASKS).bind(limit).bind(offset).fetch_all(pool).await)
        };
        let items = self.traced("SELECT", "tasks", LIST_TASKS, page).await?;
        let count = async { with_pool!(&self.pool, pool => sqlx::query_scalar(COUNT_TASKS).fetch_one(pool).await) };
        Ok((items, self.traced("SELECT", "tasks", COUNT_TASKS, count).await?))
    }

    /// One task.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn task(&self, id: i64) -> Result<Option<TaskRow>, StoreError> {
        let query =
            async { with_pool!(&self.pool, pool => sqlx::query_as(GET_TASK).bind(id).fetch_optional(pool).await) };
        self.traced("SELECT", "tasks", GET_TASK, query).await
    }

    /// Adds a task.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn insert(&self, task: &TaskInput) -> Result<TaskRow, StoreError> {
        let query = async {
            with_pool!(&self.pool, pool => sqlx::query_as(INSERT_TASK).bind(&task.title).bind(&task.description)
                .bind(task.done).bind(now()).fetch_one(pool).await)
        };
        self.traced("INSERT", "tasks", INSERT_TASK, query).await
    }

    /// Replaces what a client may say of a task; `None` when there is none.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn update(&self, id: i64, task: &TaskInput) -> Result<Option<TaskRow>, StoreError> {
        let query = async {
            with_pool!(&self.pool, pool => sqlx::query_as(UPDATE_TASK).bind(&task.title).bind(&task.description)
                .bind(task.done).bind(now()).bind(id).fetch_optional(pool).await)
        };
        self.traced("UPDATE", "tasks", UPDATE_TASK, query).await
    }

    /// Removes a task; `false` when there is none.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        let query = async {
            with_pool!(&self.pool, pool => sqlx::query_scalar::<_, i64>(DELETE_TASK).bind(id).fetch_optional(pool).await)
        };
        Ok(self.traced("DELETE", "tasks", DELETE_TASK, query).await?.is_some())
    }

    /// One query as CLIENT span and duration.
    async fn traced<T>(
        &self,
        operation: &'static str,
        table: &'static str,
        text: &'static str,
        query: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let summary = format!("{operation} {table}");
        let span = tracing::info_span!("database query", otel.name = summary, otel.kind = "client");
        span.set_attribute(attr::DB_SYSTEM_NAME, self.system());
        span.set_attribute(attr::DB_NAMESPACE, self.namespace.clone());
        span.set_attribute(attr::DB_OPERATION_NAME, operation);
        span.set_attribute(attr::DB_COLLECTION_NAME, table);
        span.set_attribute(attr::DB_QUERY_SUMMARY, summary);
        span.set_attribute(attr::DB_QUERY_TEXT, text);
        let start = Instant::now();
        let result = query.instrument(span.clone()).await.map_err(StoreError::Query);
        let mut attributes = vec![
            KeyValue::new(attr::DB_SYSTEM_NAME, self.system()),
            KeyValue::new(attr::DB_OPERATION_NAME, operation),
            KeyValue::new(attr::DB_COLLECTION_NAME, table),
        ];
        if let Err(error) = &result {
            span.set_attribute(attr::ERROR_TYPE, error.kind());
            span.set_status(Status::error(error.to_string()));
            attributes.push(KeyValue::new(attr::ERROR_TYPE, error.kind()));
        }
        self.duration.record_in(&span.context(), start.elapsed().as_secs_f64(), &attributes);
        result
    }
}

async fn sqlite(url: &str) -> Result<(Pool, String), StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(StoreError::Connect)?.busy_timeout(ACQUIRE_TIMEOUT);
    let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    // A database in memory lives as long as its connection: exactly one, never given up, and not tried before use either,
    // because a trial that takes too long on a busy machine closes it, and the tables with it.
    let (pool, options, namespace) = if in_memory {
        (
            pool.min_connections(1).max_connections(1).idle_timeout(None).max_lifetime(None).test_before_acquire(false),
            options,
            ":memory:".to_owned(),
        )
    } else {
        let file = options.get_filename().display().to_string();
        let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        (pool.max_connections(CONNECTIONS), options, file)
    };
    Ok((Pool::Sqlite(pool.connect_with(options).await.map_err(StoreError::Connect)?), namespace))
}

async fn postgres(url: &str) -> Result<(Pool, String), StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(StoreError::Connect)?;
    let namespace = options.get_database().unwrap_or(options.get_username()).to_owned();
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok((Pool::Postgres(pool.connect_with(options).await.map_err(StoreError::Connect)?), namespace))
}

/// Unix milliseconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
