//! `/metrics`: requests, what other parts add, and the process.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{Response, StatusCode};
use meta::Status;
use transport::Body;

use crate::answer;
use crate::flow::report;
use crate::metrics::header;
use crate::pipeline::Ask;

/// Clock ticks a second in `/proc`: a constant of the kernel's interface.
const TICKS: f64 = 100.0;

/// Answers in Prometheus' text format.
pub fn run(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let mut out = String::new();
    ask.state.metrics.write(ask.state.flow.running(), &mut out);
    report::metrics(&ask.state.flow, &mut out);
    ask.state.sources.iter().for_each(|source| source(&mut out));
    process(&mut out);
    Ok(answer::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", out))
}

fn process(out: &mut String) {
    let gauge = |out: &mut String, name: &str, kind: &str, help: &str, value: f64| {
        header(out, name, kind, help);
        let _ = writeln!(out, "{name} {value}");
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may contain spaces; the fields after it start with the third.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |number: usize| fields.get(number - 3).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    gauge(out, "process_cpu_seconds_total", "counter", "CPU time, in seconds.", (field(14) + field(15)) / TICKS);
    let started = boot_time() + field(22) / TICKS;
    gauge(out, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.", started);
    gauge(out, "process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes.", field(23));
    gauge(out, "process_resident_memory_bytes", "gauge", "Resident memory, in bytes.", resident());
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    gauge(out, "process_open_fds", "gauge", "Open file descriptors.", open as f64);
    gauge(out, "process_max_fds", "gauge", "Bound of open file descriptors.", max_open());
}

/// From the status, whose unit does not depend on the page size.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}

fn max_open() -> f64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|l| l.strip_prefix("Max open files"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

fn boot_time() -> f64 {
    let up = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let up: f64 = up.split(' ').next().and_then(|t| t.parse().ok()).unwrap_or(0.0);
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64() - up)
}
