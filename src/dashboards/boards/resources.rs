//! Resources: utilization, saturation and errors of the process, its runtime and the host.

use crate::dashboards::board::Board;
use crate::dashboards::foreign::{node, system};
use crate::dashboards::links;
use crate::dashboards::needs::Needs;
use crate::dashboards::panel::{self, Panel, Unit};
use crate::dashboards::queries::{JOB, first_of, of, of_service, range, rate, series, sum_by};
use crate::telemetry::names::{
    Metric, PROCESS_CPU_TIME, PROCESS_CPU_UTILIZATION, PROCESS_MEMORY_USAGE, PROCESS_OPEN_FILE_DESCRIPTOR_COUNT,
    PROCESS_UPTIME, TOKIO_ALIVE_TASKS, TOKIO_GLOBAL_QUEUE_DEPTH, TOKIO_WORKERS,
};

pub(super) fn board() -> Board {
    Board::new(
        "resources",
        "Resources",
        "Utilization, saturation and errors of the process, its tokio runtime and the host.",
    )
    .load_phases()
    .heading("Process")
    .row(8, [cpu(), cores(), memory(), files()])
    .row(8, [uptime().wide(6), tasks().wide(9), queue().wide(9)])
    .heading("Host")
    .row(8, [host_cpu(), host_load(), host_memory(), host_faults()])
    .row(
        8,
        [disk_busy(), disk_queue(), filesystem(), network(), network_drops()]
            .map(|panel| panel.needs(Needs::HostMetrics)),
    )
}

fn gauge(metric: &Metric) -> String {
    sum_by(&[JOB, "instance"], &of(metric, &[&of_service(JOB)]))
}

fn cpu() -> Panel {
    panel::timeseries("CPU utilization", "CPU time of the process over all cores.", Unit::Ratio)
        .warn(0.6, 0.8)
        .threshold_lines()
        .up_to(1.0)
        .link(links::this_service("profiles", "Profile of this service"))
        .ask(range(gauge(&PROCESS_CPU_UTILIZATION), "{{job}}"))
}

fn cores() -> Panel {
    let expr = sum_by(&[JOB, "instance"], &rate(&of(&PROCESS_CPU_TIME, &[&of_service(JOB)])));
    panel::timeseries("Cores used", "CPU seconds a second: how many cores the process keeps busy.", Unit::Plain)
        .link(links::this_service("profiles", "Profile of this service"))
        .ask(range(expr, "{{job}}"))
}

fn memory() -> Panel {
    panel::timeseries("Memory", "Resident memory of the process.", Unit::Bytes)
        .ask(range(gauge(&PROCESS_MEMORY_USAGE), "{{job}}"))
}

fn files() -> Panel {
    panel::timeseries("Open files", "Open file descriptors; connections count too.", Unit::Count)
        .ask(range(gauge(&PROCESS_OPEN_FILE_DESCRIPTOR_COUNT), "{{job}}"))
}

fn uptime() -> Panel {
    panel::stat(
        "Uptime",
        "Time since the youngest process of a service started; it falls when one restarts.",
        Unit::Seconds,
    )
    .neutral()
    .ask(range(format!("min by ({JOB}) ({})", of(&PROCESS_UPTIME, &[&of_service(JOB)])), "{{job}}"))
}

fn tasks() -> Panel {
    panel::timeseries(
        "Runtime: tasks and workers",
        "Tasks alive on the tokio runtime, and its worker threads.",
        Unit::Count,
    )
    .ask(range(gauge(&TOKIO_ALIVE_TASKS), "{{job}} tasks"))
    .ask(range(gauge(&TOKIO_WORKERS), "{{job}} workers"))
}

fn queue() -> Panel {
    panel::timeseries(
        "Runtime: queue",
        "Tasks that wait in the runtime's global queue: above zero for long, the workers are saturated.",
        Unit::Count,
    )
    .warn(50.0, 200.0)
    .ask(range(gauge(&TOKIO_GLOBAL_QUEUE_DEPTH), "{{job}}"))
}

/// The node exporter's answer, or the host metrics receiver's where there is no node exporter.
fn host(panel: Panel, node: &str, system: &str, legend: &str) -> Panel {
    panel.needs(Needs::HostMetrics).ask(range(first_of(node, system), legend).scraped())
}

fn host_cpu() -> Panel {
    let idle = |name, label| rate(&series(name, &[&format!("{label}=\"idle\"")]));
    host(
        panel::timeseries("CPU", "Time in which the host's cores are not idle.", Unit::Ratio)
            .warn(0.6, 0.8)
            .threshold_lines()
            .up_to(1.0),
        &format!("1 - avg by (instance) ({})", idle(node::CPU, "mode")),
        &format!("1 - avg by (instance) ({})", idle(system::CPU, "state")),
        "{{instance}}",
    )
}

fn host_load() -> Panel {
    let cores = |name, label: &str| format!("count by (instance) ({})", series(name, &[&format!("{label}=\"idle\"")]));
    host(
        panel::timeseries("Load a core", "Threads that run or wait to, a core: above 1 they queue.", Unit::Plain)
            .warn(1.0, 2.0),
        &format!("sum by (instance) ({}) / {}", node::LOAD1, cores(node::CPU, "mode")),
        &format!("sum by (instance) ({}) / {}", system::LOAD1, cores(system::CPU, "state")),
        "{{instance}}",
    )
}

fn host_memory() -> Panel {
    let used = series(system::MEMORY, &["state=\"used\""]);
    host(
        panel::timeseries("Memory", "Memory in use.", Unit::Ratio).warn(0.8, 0.9).threshold_lines().up_to(1.0),
        &format!("1 - min by (instance) ({} / {})", node::MEMORY_AVAILABLE, node::MEMORY_TOTAL),
        &format!("sum by (instance) ({used}) / sum by (instance) ({})", system::MEMORY),
        "{{instance}}",
    )
}

fn host_faults() -> Panel {
    host(
        panel::timeseries("Major page faults", "Pages read from disk a second: memory is saturated.", Unit::PerSecond)
            .warn(10.0, 100.0),
        &sum_by(&["instance"], &rate(node::MAJOR_FAULTS)),
        &sum_by(&["instance"], &rate(&series(system::FAULTS, &["type=\"major\""]))),
        "{{instance}}",
    )
}

fn by_device(node: &str, system: &str) -> (String, String) {
    let by = ["instance", "device"];
    (sum_by(&by, &rate(node)), sum_by(&by, &rate(system)))
}

fn disk_busy() -> Panel {
    let (node, system) = by_device(node::DISK_BUSY, system::DISK_BUSY);
    let panel =
        panel::timeseries("Disk busy", "Time in which a disk does something.", Unit::Ratio).warn(0.7, 0.9).up_to(1.0);
    host(panel, &node, &system, "{{device}}")
}

fn disk_queue() -> Panel {
    let (node, system) = by_device(node::DISK_QUEUED, system::DISK_QUEUED);
    let panel =
        panel::timeseries("Disk queue", "Operations that wait for a disk, on average.", Unit::Plain).warn(2.0, 8.0);
    host(panel, &node, &system, "{{device}}")
}

fn filesystem() -> Panel {
    let real = "fstype!~\"tmpfs|overlay|squashfs|ramfs\"";
    let node = format!(
        "1 - min by (instance, mountpoint) ({} / {})",
        series(node::FILESYSTEM_AVAILABLE, &[real]),
        series(node::FILESYSTEM_SIZE, &[real])
    );
    let by = ["instance", "mountpoint"];
    let used = sum_by(&by, &series(system::FILESYSTEM, &["state=\"used\""]));
    let system = format!("{used} / {}", sum_by(&by, system::FILESYSTEM));
    let panel = panel::timeseries("Disk full", "Part of a file system in use.", Unit::Ratio)
        .warn(0.75, 0.85)
        .threshold_lines()
        .up_to(1.0);
    host(panel, &node, &system, "{{mountpoint}}")
}

fn network() -> Panel {
    let node = format!(
        "{} + {}",
        sum_by(&["instance", "device"], &rate(node::NETWORK_IN)),
        sum_by(&["instance", "device"], &rate(node::NETWORK_OUT))
    );
    let system = sum_by(&["instance", "device"], &rate(system::NETWORK));
    host(
        panel::timeseries("Network", "Bytes received and sent a second.", Unit::BytesPerSecond),
        &node,
        &system,
        "{{device}}",
    )
}

fn network_drops() -> Panel {
    let (node, system) = by_device(node::NETWORK_DROPPED, system::NETWORK_DROPPED);
    let panel =
        panel::timeseries("Packets dropped", "Packets dropped a second: the network is saturated.", Unit::PerSecond)
            .warn(1.0, 10.0);
    host(panel, &node, &system, "{{device}}")
}
