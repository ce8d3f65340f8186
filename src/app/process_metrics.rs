//! Gauges of the process and its tokio runtime, and the idle simulation of users. Registered once by `app::serve`;
//! callbacks run at each collection, so they must be cheap.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Meter;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::runtime::Handle;

use crate::telemetry::metrics::meter;
use crate::telemetry::names::{self, Metric};

/// Callbacks of one collection share a sample that is at most this old.
const FRESH: Duration = Duration::from_millis(200);
/// Period of the simulated users, in seconds, and their mean.
const USERS_PERIOD: f64 = 60.0;
const USERS_MEAN: f64 = 12.0;

/// Registers every gauge; their callbacks live as long as the meter provider.
pub(super) fn register() {
    let meter = meter();
    let start = Instant::now();
    let sampler = Arc::new(Mutex::new(Sampler::new()));
    let sampled = |read: fn(&Sample) -> Option<f64>| {
        let sampler = Arc::clone(&sampler);
        move || read(&sampler.lock().unwrap_or_else(PoisonError::into_inner).sample())
    };
    gauge(&meter, &names::PROCESS_UPTIME, move || Some(start.elapsed().as_secs_f64()));
    gauge(&meter, &names::ACTIVE_SIMULATED_USERS, move || Some(simulated_users(start.elapsed().as_secs_f64())));
    gauge(&meter, &names::PROCESS_CPU_UTILIZATION, sampled(|sample| sample.cpu_utilization));
    let cpu_time = sampled(|sample| Some(sample.cpu_seconds));
    let _ = meter
        .f64_observable_counter(names::PROCESS_CPU_TIME.name)
        .with_unit(names::PROCESS_CPU_TIME.unit)
        .with_description(names::PROCESS_CPU_TIME.description)
        .with_callback(move |observer| cpu_time().into_iter().for_each(|value| observer.observe(value, &[])))
        .build();
    up_down(&meter, &names::PROCESS_MEMORY_USAGE, sampled(|sample| Some(sample.memory)));
    up_down(&meter, &names::PROCESS_OPEN_FILE_DESCRIPTOR_COUNT, sampled(|sample| sample.open_files));
    register_runtime(&meter);
}

fn register_runtime(meter: &Meter) {
    let runtime = Handle::current().metrics();
    let workers = runtime.clone();
    gauge(meter, &names::TOKIO_WORKERS, move || Some(as_f64(workers.num_workers())));
    let tasks = runtime.clone();
    gauge(meter, &names::TOKIO_ALIVE_TASKS, move || Some(as_f64(tasks.num_alive_tasks())));
    gauge(meter, &names::TOKIO_GLOBAL_QUEUE_DEPTH, move || Some(as_f64(runtime.global_queue_depth())));
}

fn gauge(meter: &Meter, metric: &Metric, read: impl Fn() -> Option<f64> + Send + Sync + 'static) {
    let _ = meter
        .f64_observable_gauge(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description)
        .with_callback(move |observer| read().into_iter().for_each(|value| observer.observe(value, &[])))
        .build();
}

fn up_down(meter: &Meter, metric: &Metric, read: impl Fn() -> Option<f64> + Send + Sync + 'static) {
    let _ = meter
        .f64_observable_up_down_counter(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description)
        .with_callback(move |observer| read().into_iter().for_each(|value| observer.observe(value, &[])))
        .build();
}

#[allow(clippy::cast_precision_loss, reason = "counts and bytes far below 2^53")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

/// A slow wave with a faster one on it: never flat, never negative.
fn simulated_users(seconds: f64) -> f64 {
    let wave = |period: f64| (seconds * std::f64::consts::TAU / period).sin();
    (USERS_MEAN + 6.0 * wave(USERS_PERIOD) + 2.0 * wave(USERS_PERIOD / 7.0)).round().max(0.0)
}

#[derive(Debug, Clone, Default)]
struct Sample {
    cpu_seconds: f64,
    cpu_utilization: Option<f64>,
    memory: f64,
    open_files: Option<f64>,
}

struct Sampler {
    system: Option<System>,
    pid: Option<Pid>,
    cores: f64,
    taken: Option<Instant>,
    last: Sample,
}

impl Sampler {
    fn new() -> Self {
        let cores = as_f64(std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        Self {
            system: System::new().ok(),
            pid: sysinfo::get_current_pid().ok(),
            cores,
            taken: None,
            last: Sample::default(),
        }
    }

    fn sample(&mut self) -> Sample {
        if self.taken.is_none_or(|taken| taken.elapsed() > FRESH) {
            self.refresh();
        }
        self.last.clone()
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds and bytes far below 2^53")]
    fn refresh(&mut self) {
        let (Some(pid), Some(system)) = (self.pid, &mut self.system) else { return };
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        let Some(process) = system.process(pid) else { return };
        let cpu_seconds = process.accumulated_cpu_time() as f64 / 1000.0;
        let wall = self.taken.map(|taken| taken.elapsed().as_secs_f64());
        self.last = Sample {
            cpu_utilization: wall
                .map(|wall| ((cpu_seconds - self.last.cpu_seconds) / wall / self.cores).clamp(0.0, 1.0)),
            cpu_seconds,
            memory: process.memory() as f64,
            open_files: process.open_files().map(as_f64),
        };
        self.taken = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_users_move_and_stay_positive() {
        let users: Vec<f64> = (0..60).map(|second| simulated_users(f64::from(second))).collect();
        assert!(users.iter().all(|users| (0.0..=20.0).contains(users)), "{users:?}");
        assert!(users.iter().any(|value| *value != users[0]));
    }

    #[test]
    fn a_sample_of_this_process_has_memory_and_files() {
        let sample = Sampler::new().sample();
        assert!(sample.memory > 0.0);
        assert!(cfg!(not(target_os = "linux")) || sample.open_files.is_some_and(|files| files > 0.0));
    }
}
