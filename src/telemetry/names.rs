//! The contract: every signal that signalbox promises, once. Read by `telemetry`, `app` and `load` (which emit it),
//! by `verify`, the tests and the dashboards (which look for it). No behaviour may live here.
//!
//! Names are OpenTelemetry semantic conventions (1.38) where there is one, else `signalbox.*`;
//! `active_simulated_users` is the name users asked for.

pub mod prometheus;

/// Kind of a metric's instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Monotonic sum.
    Counter,
    /// Sum that can fall.
    UpDownCounter,
    /// Last value.
    Gauge,
    /// Distribution with explicit buckets.
    Histogram,
}

/// One promised metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// OpenTelemetry name.
    pub name: &'static str,
    /// Unit in UCUM.
    pub unit: &'static str,
    /// What it measures, in a sentence without a full stop.
    pub description: &'static str,
    /// Kind of instrument.
    pub kind: Kind,
    /// `true` when its points carry exemplars.
    pub exemplars: bool,
    /// Keys of its attributes.
    pub attributes: &'static [&'static str],
    /// Who emits it.
    pub emitted_by: &'static [Emitter],
}

/// Who emits a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emitter {
    /// The service (`signalbox-app`).
    App,
    /// The load tester (`signalbox-load`).
    Load,
}

use Emitter::{App, Load};

/// `service.name` of the service.
pub const SERVICE_APP: &str = "signalbox-app";
/// `service.name` of the load tester.
pub const SERVICE_LOAD: &str = "signalbox-load";
/// `service.name` under which `verify` sends of its own: as a browser, and to the X-Ray daemon.
pub const SERVICE_VERIFY: &str = "signalbox-verify";
/// Instrumentation scope of everything that signalbox emits itself.
pub const SCOPE: &str = "signalbox";

/// Keys of attributes.
pub mod attr {
    #![allow(missing_docs, reason = "each is its own semantic convention")]
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    pub const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    pub const HTTP_ROUTE: &str = "http.route";
    pub const URL_PATH: &str = "url.path";
    pub const URL_QUERY: &str = "url.query";
    pub const URL_SCHEME: &str = "url.scheme";
    pub const URL_FULL: &str = "url.full";
    pub const URL_TEMPLATE: &str = "url.template";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const CLIENT_ADDRESS: &str = "client.address";
    pub const USER_AGENT_ORIGINAL: &str = "user_agent.original";
    pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
    pub const ERROR_TYPE: &str = "error.type";
    pub const EXCEPTION_TYPE: &str = "exception.type";
    pub const EXCEPTION_MESSAGE: &str = "exception.message";
    pub const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";
    pub const DB_SYSTEM_NAME: &str = "db.system.name";
    pub const DB_OPERATION_NAME: &str = "db.operation.name";
    pub const DB_COLLECTION_NAME: &str = "db.collection.name";
    pub const DB_QUERY_TEXT: &str = "db.query.text";
    pub const DB_QUERY_SUMMARY: &str = "db.query.summary";
    pub const DB_NAMESPACE: &str = "db.namespace";
    pub const CPU_MODE: &str = "cpu.mode";
    pub const OTEL_COMPONENT_TYPE: &str = "otel.component.type";
    pub const OTEL_COMPONENT_NAME: &str = "otel.component.name";
    /// Marks the requests of one `verify` run.
    pub const VERIFY_ID: &str = "signalbox.verify.id";
    pub const LOAD_PHASE_NAME: &str = "load.phase.name";
    pub const LOAD_JOURNEY: &str = "load.journey";
    pub const SEVERITY: &str = "severity";
    /// On server spans while profiling is on: the span id that samples carry (Grafana's "profiles for this span").
    pub const PYROSCOPE_PROFILE_ID: &str = "pyroscope.profile.id";
}

/// Request header whose value becomes the attribute [`attr::VERIFY_ID`] of the server span.
pub const VERIFY_HEADER: &str = "x-signalbox-verify";

/// Event name of the log record that marks a phase of the load.
pub const EVENT_LOAD_PHASE: &str = "load.phase";

/// Value of `http.route` where no route matched (metrics only; the span has none).
pub const ROUTE_UNMATCHED: &str = "unmatched";
/// Value of `http.request.method` for a method outside the conventions' list.
pub const METHOD_OTHER: &str = "_OTHER";

/// Buckets of every duration histogram, in seconds (the conventions' advice).
pub const DURATION_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

macro_rules! metrics {
    ($($ident:ident = $name:literal, $unit:literal, $kind:ident, exemplars: $ex:literal, [$($attr:expr),*], by [$($by:ident),*], $description:literal;)*) => {
        $(
            #[doc = $description]
            pub const $ident: Metric = Metric {
                name: $name, unit: $unit, description: $description, kind: Kind::$kind, exemplars: $ex,
                attributes: &[$($attr),*], emitted_by: &[$($by),*],
            };
        )*
        /// Every promised metric.
        pub const METRICS: &[Metric] = &[$($ident),*];
    };
}

metrics! {
    HTTP_SERVER_REQUEST_DURATION = "http.server.request.duration", "s", Histogram, exemplars: true,
        [attr::HTTP_REQUEST_METHOD, attr::HTTP_ROUTE, attr::HTTP_RESPONSE_STATUS_CODE, attr::URL_SCHEME, attr::ERROR_TYPE], by [App],
        "Duration of HTTP server requests";
    HTTP_SERVER_ACTIVE_REQUESTS = "http.server.active_requests", "{request}", UpDownCounter, exemplars: false,
        [attr::HTTP_REQUEST_METHOD, attr::URL_SCHEME], by [App],
        "HTTP server requests in flight";
    REQUEST_COUNT = "signalbox.requests", "{request}", Counter, exemplars: false,
        [attr::HTTP_REQUEST_METHOD, attr::HTTP_ROUTE, attr::HTTP_RESPONSE_STATUS_CODE], by [App],
        "HTTP server requests by route";
    HTTP_CLIENT_REQUEST_DURATION = "http.client.request.duration", "s", Histogram, exemplars: true,
        [attr::HTTP_REQUEST_METHOD, attr::HTTP_RESPONSE_STATUS_CODE, attr::SERVER_ADDRESS, attr::SERVER_PORT, attr::ERROR_TYPE], by [App, Load],
        "Duration of HTTP client requests";
    DB_CLIENT_OPERATION_DURATION = "db.client.operation.duration", "s", Histogram, exemplars: true,
        [attr::DB_SYSTEM_NAME, attr::DB_OPERATION_NAME, attr::DB_COLLECTION_NAME, attr::ERROR_TYPE], by [App],
        "Duration of database client operations";
    WORK_DURATION = "signalbox.work.duration", "s", Histogram, exemplars: true,
        [], by [App],
        "Duration of simulated work";
    DICE_ROLLS = "signalbox.dice.rolls", "{roll}", Counter, exemplars: false,
        [], by [App],
        "Dice rolled";
    LOG_GENERATOR_RECORDS = "signalbox.log_generator.records", "{record}", Counter, exemplars: false,
        [attr::SEVERITY], by [App],
        "Records written by the background log generator";
    ACTIVE_SIMULATED_USERS = "active_simulated_users", "{user}", Gauge, exemplars: false,
        [], by [App, Load],
        "Simulated users: an idle simulation from the service, the real number from the load tester; never summed";
    PROCESS_CPU_TIME = "process.cpu.time", "s", Counter, exemplars: false,
        [], by [App],
        "CPU time of the process over all modes";
    PROCESS_CPU_UTILIZATION = "process.cpu.utilization", "1", Gauge, exemplars: false,
        [], by [App],
        "CPU time over wall time since the last collection, over all cores";
    PROCESS_MEMORY_USAGE = "process.memory.usage", "By", UpDownCounter, exemplars: false,
        [], by [App],
        "Resident memory of the process";
    PROCESS_OPEN_FILE_DESCRIPTOR_COUNT = "process.open_file_descriptor.count", "{file_descriptor}", UpDownCounter, exemplars: false,
        [], by [App],
        "Open file descriptors of the process";
    PROCESS_UPTIME = "process.uptime", "s", Gauge, exemplars: false,
        [], by [App],
        "Time since the process started";
    TOKIO_WORKERS = "tokio.runtime.workers", "{thread}", Gauge, exemplars: false,
        [], by [App],
        "Worker threads of the tokio runtime";
    TOKIO_ALIVE_TASKS = "tokio.runtime.alive_tasks", "{task}", Gauge, exemplars: false,
        [], by [App],
        "Tasks alive on the tokio runtime";
    TOKIO_GLOBAL_QUEUE_DEPTH = "tokio.runtime.global_queue.depth", "{task}", Gauge, exemplars: false,
        [], by [App],
        "Tasks waiting in the tokio runtime's global queue";
    SDK_PROCESSOR_SPAN_QUEUE_SIZE = "otel.sdk.processor.span.queue.size", "{span}", UpDownCounter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE], by [App, Load],
        "Spans waiting in the batch processor's queue";
    SDK_PROCESSOR_SPAN_QUEUE_CAPACITY = "otel.sdk.processor.span.queue.capacity", "{span}", UpDownCounter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE], by [App, Load],
        "Most spans the batch processor's queue can hold";
    SDK_PROCESSOR_SPAN_PROCESSED = "otel.sdk.processor.span.processed", "{span}", Counter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE, attr::ERROR_TYPE], by [App, Load],
        "Spans the processor finished with; error.type=queue_full are lost";
    SDK_EXPORTER_SPAN_EXPORTED = "otel.sdk.exporter.span.exported", "{span}", Counter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE, attr::ERROR_TYPE], by [App, Load],
        "Spans whose export ended; those with error.type are lost";
    SDK_PROCESSOR_LOG_QUEUE_SIZE = "otel.sdk.processor.log.queue.size", "{log_record}", UpDownCounter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE], by [App, Load],
        "Log records waiting in the batch processor's queue";
    SDK_PROCESSOR_LOG_QUEUE_CAPACITY = "otel.sdk.processor.log.queue.capacity", "{log_record}", UpDownCounter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE], by [App, Load],
        "Most log records the batch processor's queue can hold";
    SDK_PROCESSOR_LOG_PROCESSED = "otel.sdk.processor.log.processed", "{log_record}", Counter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE, attr::ERROR_TYPE], by [App, Load],
        "Log records the processor finished with; error.type=queue_full are lost";
    SDK_EXPORTER_LOG_EXPORTED = "otel.sdk.exporter.log.exported", "{log_record}", Counter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE, attr::ERROR_TYPE], by [App, Load],
        "Log records whose export ended; those with error.type are lost";
    SDK_EXPORTER_METRIC_EXPORTED = "otel.sdk.exporter.metric_data_point.exported", "{data_point}", Counter, exemplars: false,
        [attr::OTEL_COMPONENT_TYPE, attr::ERROR_TYPE], by [App, Load],
        "Metric points whose export ended; those with error.type are lost";
}

/// One promised request: what a `verify` run sends and must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: &'static str,
    /// Path and query to ask.
    pub target: &'static str,
    /// `http.route` of its server span.
    pub route: &'static str,
    /// Status of the answer.
    pub status: u16,
    /// Names of spans below the server span, each at least once.
    pub child_spans: &'static [&'static str],
    /// Severity text of a log record in its trace, where one is promised.
    pub log: Option<&'static str>,
    /// `true` when the trace holds an `exception` event.
    pub exception: bool,
}

/// What `verify` sends, one a contract row.
pub const REQUESTS: &[Request] = &[
    Request {
        method: "GET",
        target: "/health",
        route: "/health",
        status: 200,
        child_spans: &[],
        log: None,
        exception: false,
    },
    Request {
        method: "GET",
        target: "/work?ms=20",
        route: "/work",
        status: 200,
        child_spans: &["simulate work"],
        log: Some("INFO"),
        exception: false,
    },
    Request {
        method: "GET",
        target: "/api/data",
        route: "/api/data",
        status: 200,
        child_spans: &["SELECT samples"],
        log: Some("INFO"),
        exception: false,
    },
    Request {
        method: "GET",
        target: "/external",
        route: "/external",
        status: 200,
        child_spans: &["GET"],
        log: Some("INFO"),
        exception: false,
    },
    Request {
        method: "GET",
        target: "/error?status=503",
        route: "/error",
        status: 503,
        child_spans: &[],
        log: Some("ERROR"),
        exception: false,
    },
    Request {
        method: "GET",
        target: "/crash",
        route: "/crash",
        status: 500,
        child_spans: &[],
        log: Some("ERROR"),
        exception: true,
    },
    Request {
        method: "GET",
        target: "/tasks",
        route: "/tasks",
        status: 200,
        child_spans: &["SELECT tasks"],
        log: Some("INFO"),
        exception: false,
    },
    Request {
        method: "GET",
        target: "/tasks/999999999",
        route: "/tasks/{id}",
        status: 404,
        child_spans: &["SELECT tasks"],
        log: Some("WARN"),
        exception: false,
    },
    Request {
        method: "GET",
        target: "/rolldice?rolls=3",
        route: "/rolldice",
        status: 200,
        child_spans: &[],
        log: Some("INFO"),
        exception: false,
    },
];
