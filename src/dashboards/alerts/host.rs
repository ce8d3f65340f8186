//! Alerts on the machine, from the node exporter that the collector scrapes in the variant `lgtm`. Called by `alerts`.
//! The node exporter's names are not ours and live only here.

use super::rule::{Alert, Bound, Data, Group, Severity};

/// File systems that hold no data of their own or cannot be written.
const NOT_DISKS: &str = "fstype!~\"tmpfs|ramfs|devtmpfs|squashfs|iso9660|overlay|fuse.*|nfs.*\"";

pub(super) fn alerts() -> Vec<Alert> {
    vec![cpu(), memory(), disk()]
}

fn cpu() -> Alert {
    Alert {
        name: "HostCpuHigh",
        group: Group::Host,
        severity: Severity::Warning,
        value: "1 - avg by (job, instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))".into(),
        bound: Bound::Above(0.8),
        wait: "10m",
        condition: "CPU of the machine > 80 %".into(),
        summary: "CPU of {{ $labels.instance }} is nearly used up".into(),
        description: "{{ $value | humanizePercentage }} of the CPU of {{ $labels.instance }} was busy in the last 5 minutes (allowed: 80 %).".into(),
        dashboard: "resources",
        panel: "Host CPU",
        data: Data::NodeExporter,
    }
}

fn memory() -> Alert {
    Alert {
        name: "HostMemoryHigh",
        group: Group::Host,
        severity: Severity::Warning,
        value: "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes".into(),
        bound: Bound::Above(0.9),
        wait: "5m",
        condition: "memory of the machine > 90 %".into(),
        summary: "Memory of {{ $labels.instance }} is nearly used up".into(),
        description:
            "{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is in use (allowed: 90 %)."
                .into(),
        dashboard: "resources",
        panel: "Host memory",
        data: Data::NodeExporter,
    }
}

fn disk() -> Alert {
    Alert {
        name: "HostDiskFull",
        group: Group::Host,
        severity: Severity::Critical,
        value: format!(
            "max by (job, instance, mountpoint) (\n  1 - node_filesystem_avail_bytes{{{NOT_DISKS}}} / node_filesystem_size_bytes{{{NOT_DISKS}}}\n)"
        ),
        bound: Bound::Above(0.85),
        wait: "5m",
        condition: "a file system > 85 % full".into(),
        summary: "{{ $labels.mountpoint }} of {{ $labels.instance }} is nearly full".into(),
        description: "{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} on {{ $labels.instance }} is used (allowed: 85 %). When it is full, the backends and the collector's queue stop storing.".into(),
        dashboard: "resources",
        panel: "Disk space",
        data: Data::NodeExporter,
    }
}
