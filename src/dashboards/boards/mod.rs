//! The dashboards, one file each. Called by `dashboards`; each function is pure.

use super::board::Board;

mod browser;
mod golden_signals;
mod load_test;
mod logs;
mod pipeline;
mod profiles;
mod resources;
mod routes;
mod slo;
mod traces;

/// Every dashboard, the one to open first at the top.
pub(super) fn all() -> Vec<Board> {
    vec![
        golden_signals::board(),
        routes::board(),
        resources::board(),
        logs::board(),
        traces::board(),
        load_test::board(),
        browser::board(),
        slo::board(),
        pipeline::board(),
        profiles::board(),
    ]
}
