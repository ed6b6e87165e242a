//! Kernel parameters: those that are the pod's own and harm nobody beside it.

use super::{Pod, Violation, against};

/// From which minor version on which are harmless.
const SAFE: &[(u32, &[&str])] = &[
    (
        0,
        &[
            "kernel.shm_rmid_forced",
            "net.ipv4.ip_local_port_range",
            "net.ipv4.tcp_syncookies",
            "net.ipv4.ping_group_range",
            "net.ipv4.ip_unprivileged_port_start",
        ],
    ),
    (27, &["net.ipv4.ip_local_reserved_ports"]),
    (
        29,
        &[
            "net.ipv4.tcp_keepalive_time",
            "net.ipv4.tcp_fin_timeout",
            "net.ipv4.tcp_keepalive_intvl",
            "net.ipv4.tcp_keepalive_probes",
        ],
    ),
    (32, &["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"]),
];

pub(super) fn since_0(pod: &Pod<'_>) -> Option<Violation> {
    ask(pod, 0)
}

pub(super) fn since_27(pod: &Pod<'_>) -> Option<Violation> {
    ask(pod, 27)
}

pub(super) fn since_29(pod: &Pod<'_>) -> Option<Violation> {
    ask(pod, 29)
}

pub(super) fn since_32(pod: &Pod<'_>) -> Option<Violation> {
    ask(pod, 32)
}

fn ask(pod: &Pod<'_>, minor: u32) -> Option<Violation> {
    let safe = |name: &&str| SAFE.iter().any(|(since, names)| *since <= minor && names.contains(name));
    let security = pod.security();
    let bad = security.each("sysctls").map(|sysctl| sysctl.text("name")).filter(|name| !safe(name));
    against("forbidden sysctls", bad.collect::<Vec<_>>().join(", "))
}
