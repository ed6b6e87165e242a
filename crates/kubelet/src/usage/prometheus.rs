//! Figures in Prometheus' text format: `/metrics/resource`, which metrics-server reads, and `/metrics/cadvisor`
//! (upstream: `collectors/resource_metrics.go`; cAdvisor's `metrics/prometheus.go`).

use std::collections::BTreeMap;
use std::fmt::Write;

use super::machine::{self, Machine};
use super::summary::INTERFACE;
use super::{ContainerUse, PodUse, pods};
use network::Traffic;

use crate::agent::Agent;
use crate::spec;

/// One sample: its labels, its value, and its time in milliseconds if it has one.
type Sample = (String, f64, Option<i64>);

/// Families of samples by name.
#[derive(Default)]
struct Text(BTreeMap<&'static str, (&'static str, &'static str, Vec<Sample>)>);

impl Text {
    fn add(&mut self, name: &'static str, kind: &'static str, help: &'static str, sample: Sample) {
        self.0.entry(name).or_insert_with(|| (kind, help, Vec::new())).2.push(sample);
    }

    fn print(&self) -> String {
        let mut out = String::new();
        for (name, (kind, help, samples)) in &self.0 {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value, at) in samples {
                let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                let at = at.map_or_else(String::new, |at| format!(" {at}"));
                let _ = writeln!(out, "{name}{labels} {}{at}", number(*value));
            }
        }
        out
    }
}

/// A value as Go prints it (`strconv.FormatFloat(value, 'g', -1, 64)`).
fn number(value: f64) -> String {
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Labels in the form `a="b",c="d"`.
pub fn labels(list: &[(&str, &str)]) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    list.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// `/metrics/resource`.
pub async fn resource(agent: &Agent) -> String {
    let (machine, pods) = (machine::read(), pods(agent).await);
    let failed = machine.is_err();
    let mut text = Text::default();
    if let Ok(machine) = &machine {
        resource_of(&mut text, machine, &pods);
    }
    text.add("resource_scrape_error", "gauge", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
        (String::new(), if failed { 1.0 } else { 0.0 }, None));
    text.print()
}

fn resource_of(text: &mut Text, machine: &Machine, pods: &[PodUse]) {
    let at = Some(machine.at.as_millisecond());
    text.add("node_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
        (String::new(), seconds(machine.cpu_nanos), at));
    text.add("node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes",
        (String::new(), machine.working_set() as f64, at));
    for one in pods {
        let (name, namespace) = (spec::name(&one.pod), spec::namespace(&one.pod));
        let of_pod = labels(&[("namespace", namespace), ("pod", name)]);
        text.add("pod_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
            (of_pod.clone(), seconds(one.usage.cpu_nanos), at));
        text.add("pod_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the pod in bytes",
            (of_pod, one.usage.memory_bytes as f64, at));
        for ContainerUse { container, since, usage } in &one.containers {
            let own = labels(&[("container", &container.name), ("namespace", namespace), ("pod", name)]);
            text.add("container_cpu_usage_seconds_total", "counter",
                "[STABLE] Cumulative cpu time consumed by the container in core-seconds", (own.clone(), seconds(usage.cpu_nanos), at));
            text.add("container_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the container in bytes",
                (own.clone(), usage.memory_bytes as f64, at));
            text.add("container_start_time_seconds", "gauge",
                "[STABLE] Start time of the container since unix epoch in seconds", (own, since.as_millisecond() as f64 / 1e3, None));
        }
    }
}

/// `/metrics/cadvisor`.
pub async fn cadvisor(agent: &Agent) -> String {
    let mut text = Text::default();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    text.add("machine_cpu_cores", "gauge", "Number of logical CPU cores.", (String::new(), cpus as f64, None));
    if let Ok(machine) = machine::read() {
        text.add("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.", (String::new(), machine.memory as f64, None));
        cadvisor_of(&mut text, machine.at.as_millisecond(), &pods(agent).await);
    }
    text.print()
}

fn cadvisor_of(text: &mut Text, at: i64, pods: &[PodUse]) {
    for one in pods {
        let (name, namespace) = (spec::name(&one.pod), spec::namespace(&one.pod));
        // The pod as a whole has empty names of a container and an image, as upstream.
        let whole = [("container", ""), ("id", spec::uid(&one.pod)), ("image", ""), ("name", ""), ("namespace", namespace), ("pod", name)];
        usage(text, at, &whole, &one.usage, one.since.as_millisecond());
        if let Some(traffic) = one.traffic {
            network(text, at, &whole, &traffic);
        }
        for ContainerUse { container, since, usage: used } in &one.containers {
            let own = [("container", container.name.as_str()), ("id", &container.id), ("image", &container.image),
                ("name", &container.id), ("namespace", namespace), ("pod", name)];
            usage(text, at, &own, used, since.as_millisecond());
            let list = labels(&own);
            let resources = &container.resources;
            let limit = u64::try_from(resources.memory_limit).unwrap_or(0) as f64;
            text.add("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container.", (list.clone(), limit, None));
            text.add("container_spec_cpu_shares", "gauge", "CPU share of the container.", (list, resources.cpu_shares as f64, None));
        }
    }
}

fn usage(text: &mut Text, at: i64, of: &[(&str, &str)], usage: &runtime::Usage, since: i64) {
    let (list, at) = (labels(of), Some(at));
    let with = |more: &[(&str, &str)]| {
        let mut all = [of, more].concat();
        all.sort_unstable();
        labels(&all)
    };
    let cpu = with(&[("cpu", "total")]);
    text.add("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", (cpu, seconds(usage.cpu_nanos), at));
    for (name, help, value) in [
        ("container_memory_working_set_bytes", "Current working set in bytes.", usage.memory_bytes),
        ("container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed", usage.memory_total),
        ("container_memory_rss", "Size of RSS in bytes.", usage.memory_anonymous),
        ("container_memory_cache", "Number of bytes of page cache memory.", usage.memory_cache),
        ("container_threads", "Number of threads running inside the container", usage.processes),
    ] {
        text.add(name, "gauge", help, (list.clone(), value as f64, at));
    }
    for (kind, value) in [("pgfault", usage.page_faults), ("pgmajfault", usage.major_page_faults)] {
        let list = with(&[("failure_type", kind), ("scope", "hierarchy")]);
        text.add("container_memory_failures_total", "counter", "Cumulative count of memory allocation failures.", (list, value as f64, at));
    }
    text.add("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds.", (list.clone(), (since / 1000) as f64, None));
    text.add("container_last_seen", "gauge", "Last time a container was seen by the exporter", (list, at.map_or(0.0, |at| (at / 1000) as f64), None));
}

/// What has passed the pod's interface: of the pod as a whole, as it is its containers' together.
fn network(text: &mut Text, at: i64, of: &[(&str, &str)], traffic: &Traffic) {
    let mut all = [of, &[("interface", INTERFACE)]].concat();
    all.sort_unstable();
    let (list, received, sent) = (labels(&all), traffic.received, traffic.sent);
    for (name, help, value) in [
        ("container_network_receive_bytes_total", "Cumulative count of bytes received", received.bytes),
        ("container_network_receive_errors_total", "Cumulative count of errors encountered while receiving", received.errors),
        ("container_network_receive_packets_dropped_total", "Cumulative count of packets dropped while receiving", received.dropped),
        ("container_network_receive_packets_total", "Cumulative count of packets received", received.packets),
        ("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", sent.bytes),
        ("container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting", sent.errors),
        ("container_network_transmit_packets_dropped_total", "Cumulative count of packets dropped while transmitting", sent.dropped),
        ("container_network_transmit_packets_total", "Cumulative count of packets transmitted", sent.packets),
    ] {
        text.add(name, "counter", help, (list.clone(), value as f64, Some(at)));
    }
}

#[cfg(test)]
mod tests {
    use network::Flow;

    use super::*;

    #[test]
    fn traffic_is_told_by_cadvisors_names() {
        let traffic = Traffic { received: Flow { bytes: 5, packets: 1, errors: 2, dropped: 3 }, sent: Flow { bytes: 7, ..Flow::default() } };
        let mut text = Text::default();
        super::network(&mut text, 9, &[("container", ""), ("namespace", "ns"), ("pod", "p")], &traffic);
        let text = text.print();
        let own = r#"{container="",interface="eth0",namespace="ns",pod="p"}"#;
        for (name, value) in [("receive_bytes", 5), ("receive_packets", 1), ("receive_errors", 2), ("receive_packets_dropped", 3), ("transmit_bytes", 7)] {
            assert!(text.contains(&format!("container_network_{name}_total{own} {value} 9\n")), "{name}: {text}");
        }
    }

    #[test]
    fn samples_are_printed_as_prometheus_reads_them() {
        let mut text = Text::default();
        text.add("b", "gauge", "B.", (labels(&[("pod", "a\"b\\c\n")]), 1e21, Some(5)));
        text.add("a", "counter", "A.", (String::new(), 0.25, None));
        text.add("b", "gauge", "B.", (labels(&[("pod", "x"), ("namespace", "y")]), 12.0, None));
        let expected = "# HELP a A.\n# TYPE a counter\na 0.25\n# HELP b B.\n# TYPE b gauge\n\
                        b{pod=\"a\\\"b\\\\c\\n\"} 1e+21 5\nb{pod=\"x\",namespace=\"y\"} 12\n";
        assert_eq!(text.print(), expected);
        assert_eq!([0.0, 4.71, 1e-5, 999999.0, 1048576.0].map(number), ["0", "4.71", "1e-05", "999999", "1.048576e+06"]);
    }
}
