//! Alerts on the machine, from the node exporter that the collector scrapes in the variant `lgtm`. Called by `alerts`.
//! The node exporter's names are `foreign`'s.

use super::rule::{Alert, Bound, Data, Group, Severity};
use crate::dashboards::foreign::node;

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
        value: format!("1 - avg by (job, instance) (rate({}{{mode=\"idle\"}}[5m]))", node::CPU),
        bound: Bound::Above(0.8),
        wait: "10m",
        condition: "CPU of the machine > 80 %".into(),
        summary: "CPU of {{ $labels.instance }} is nearly used up".into(),
        description: "{{ $value | humanizePercentage }} of the CPU of {{ $labels.instance }} was busy in the last 5 minutes (allowed: 80 %).".into(),
        dashboard: "resources",
        panel: "Host / CPU",
        data: Data::NodeExporter,
    }
}

fn memory() -> Alert {
    Alert {
        name: "HostMemoryHigh",
        group: Group::Host,
        severity: Severity::Warning,
        value: format!("max by (job, instance) (1 - {} / {})", node::MEMORY_AVAILABLE, node::MEMORY_TOTAL),
        bound: Bound::Above(0.9),
        wait: "5m",
        condition: "memory of the machine > 90 %".into(),
        summary: "Memory of {{ $labels.instance }} is nearly used up".into(),
        description:
            "{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is in use (allowed: 90 %)."
                .into(),
        dashboard: "resources",
        panel: "Host / Memory",
        data: Data::NodeExporter,
    }
}

fn disk() -> Alert {
    Alert {
        name: "HostDiskFull",
        group: Group::Host,
        severity: Severity::Critical,
        value: format!(
            "max by (job, instance, mountpoint) (\n  1 - {}{{{NOT_DISKS}}} / {}{{{NOT_DISKS}}}\n)",
            node::FILESYSTEM_AVAILABLE,
            node::FILESYSTEM_SIZE
        ),
        bound: Bound::Above(0.85),
        wait: "5m",
        condition: "a file system > 85 % full".into(),
        summary: "{{ $labels.mountpoint }} of {{ $labels.instance }} is nearly full".into(),
        description: "{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} on {{ $labels.instance }} is used (allowed: 85 %). When it is full, the backends and the collector's queue stop storing.".into(),
        dashboard: "resources",
        panel: "Host / Disk full",
        data: Data::NodeExporter,
    }
}
