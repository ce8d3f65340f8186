//! # signalbox: the map of the house
//!
//! One package, one binary, chosen by features; `main` parses and dispatches, each subcommand has a module.
//!
//! | module | feature | does |
//! |---|---|---|
//! | [`cli`] | | every subcommand and flag |
//! | [`facts`] | | names, ports and addresses from `configs/`; nobody else knows one |
//! | [`env`](mod@env) | | typed environment variables; one error for a wrong one |
//! | [`telemetry`] | `telemetry` | OpenTelemetry set-up, and [`telemetry::names`], the contract |
//! | `app` | `app` | the instrumented axum service |
//! | `load` | `load` | the goose load tester |
//! | `console` | `console` | OTLP receiver, bounded store, query API and page |
//! | `verify` | `console` | proves the contract against a backend |
//! | `up` | all three | runs console, app and load tester as child processes |
//! | `dashboards` | `dashboards` | dashboards and alert rules from typed sources |
//! | [`probe`], [`doctor`] | | health check for images; what a machine has and lacks |
//!
//! Data flow: `load` sends requests with `traceparent` -> `app` answers, and both export OTLP through `telemetry`
//! -> `console` keeps and correlates -> its page and `verify` ask the query API.
//!
//! Who may import whom is held by `tests/house.rs`: `facts` and `env` import none of ours; `console` never imports
//! `telemetry` (a receiver that exports to itself loops); `verify` imports `telemetry::names` only; `up` imports no
//! sibling; nobody but `main` imports `app`.

#[cfg(feature = "app")]
pub mod app;
pub mod cli;
#[cfg(feature = "console")]
pub mod console;
#[cfg(feature = "dashboards")]
pub mod dashboards;
pub mod doctor;
pub mod env;
pub mod facts;
#[cfg(feature = "load")]
pub mod load;
pub mod probe;
pub mod telemetry;
#[cfg(all(feature = "app", feature = "load", feature = "console"))]
pub mod up;
#[cfg(feature = "console")]
pub mod verify;
