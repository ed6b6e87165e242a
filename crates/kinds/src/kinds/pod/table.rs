//! The row of a pod in `kubectl get` (upstream: `printPod`).

use std::collections::HashSet;

use meta::Object;
use serde_json::Value;

use crate::Now;
use crate::print::{AGE, NAME, or, since, text, wide};
use crate::rules::{Column, age};
use crate::view::View;

pub(super) static COLUMNS: [Column; 9] = [
    NAME,
    text("Ready", "Containers that are ready, and all"),
    text("Status", "What the pod is doing"),
    text("Restarts", "Restarts of its containers, and when the last one was"),
    AGE,
    wide("IP", "Address of the pod"),
    wide("Node", "Node it runs on"),
    wide("Nominated Node", "Node on which room is being made for it"),
    wide("Readiness Gates", "Conditions of its own that are true, and all"),
];

/// What the containers amount to.
#[derive(Default)]
struct Summary<'a> {
    reason: String,
    ready: usize,
    restarts: i64,
    last_restart: &'a str,
}

pub(super) fn row(object: &Object, now: &Now) -> Vec<Value> {
    let (spec, status) = (View::of(object, "spec"), View::of(object, "status"));
    let sidecars = spec.each("initContainers").filter(|c| c.text("restartPolicy") == "Always").count();
    let total = spec.at("containers").list().len() + sidecars;
    let summary = summarize(object, &spec, &status);
    let restarts = match (summary.restarts, summary.last_restart) {
        (0, _) | (_, "") => summary.restarts.to_string(),
        (count, at) => format!("{count} ({} ago)", since(at, now)),
    };
    let ip = status.each("podIPs").next().map_or("", |ip| ip.text("ip"));
    vec![
        object.name().into(),
        format!("{}/{total}", summary.ready).into(),
        summary.reason.into(),
        restarts.into(),
        age(object, now).into(),
        or(ip, "<none>").into(),
        or(spec.text("nodeName"), "<none>").into(),
        or(status.text("nominatedNodeName"), "<none>").into(),
        gates(&spec, &status).into(),
    ]
}

fn summarize<'a>(object: &Object, spec: &View<'a>, status: &View<'a>) -> Summary<'a> {
    let phase = status.text("phase");
    let mut summary = Summary { reason: or(status.text("reason"), phase).to_owned(), ..Summary::default() };
    if status.each("conditions").any(|c| c.text("type") == "PodScheduled" && c.text("reason") == "SchedulingGated") {
        summary.reason = "SchedulingGated".to_owned();
    }
    let (initializing, of_sidecars) = init_phase(spec, status, &mut summary);
    if !initializing || condition(status, "Initialized") {
        (summary.restarts, summary.last_restart) = of_sidecars;
        main_phase(status, &mut summary);
    }
    if object.deletion_timestamp().is_some() {
        if status.text("reason") == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(phase, "Failed" | "Succeeded") {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

/// Counts restarts; the later of two times.
fn count<'a>(container: &View<'a>, (restarts, last): (i64, &'a str)) -> (i64, &'a str) {
    let finished = container.at("lastState").at("terminated").text("finishedAt");
    (restarts + container.number("restartCount"), last.max(finished))
}

/// Whether init containers are still at work, and the restarts of sidecars among them.
fn init_phase<'a>(spec: &View<'a>, status: &View<'a>, summary: &mut Summary<'a>) -> (bool, (i64, &'a str)) {
    let mut of_sidecars = (0, "");
    let sidecars = spec.each("initContainers").filter(|c| c.text("restartPolicy") == "Always");
    let sidecars: HashSet<&str> = sidecars.map(|c| c.text("name")).collect();
    for (i, container) in status.each("initContainerStatuses").enumerate() {
        let sidecar = sidecars.contains(container.text("name"));
        (summary.restarts, summary.last_restart) = count(&container, (summary.restarts, summary.last_restart));
        if sidecar {
            of_sidecars = count(&container, of_sidecars);
        }
        let (terminated, waiting) = (container.at("state").at("terminated"), container.at("state").at("waiting"));
        if terminated.exists() && terminated.number("exitCode") == 0 {
            continue;
        }
        if sidecar && container.flag("started") {
            summary.ready += usize::from(container.flag("ready"));
            continue;
        }
        summary.reason = if terminated.exists() {
            format!("Init:{}", ended(&terminated))
        } else if !matches!(waiting.text("reason"), "" | "PodInitializing") {
            format!("Init:{}", waiting.text("reason"))
        } else {
            format!("Init:{i}/{}", spec.at("initContainers").list().len())
        };
        return (true, of_sidecars);
    }
    (false, of_sidecars)
}

fn main_phase<'a>(status: &View<'a>, summary: &mut Summary<'a>) {
    let (mut running, mut error) = (false, String::new());
    let containers: Vec<View<'a>> = status.each("containerStatuses").collect();
    for container in containers.iter().rev() {
        (summary.restarts, summary.last_restart) = count(container, (summary.restarts, summary.last_restart));
        let state = container.at("state");
        let (terminated, waiting) = (state.at("terminated"), state.at("waiting"));
        if !waiting.text("reason").is_empty() {
            summary.reason = waiting.text("reason").to_owned();
        } else if terminated.exists() {
            summary.reason = ended(&terminated);
            if terminated.number("exitCode") != 0 {
                error = summary.reason.clone();
            }
        } else if container.flag("ready") && state.has("running") {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" {
        if running && condition(status, "Ready") {
            summary.reason = "Running".to_owned();
        } else if !error.is_empty() {
            summary.reason = error;
        } else if running {
            summary.reason = "NotReady".to_owned();
        }
    }
}

/// Why a container ended.
fn ended(terminated: &View<'_>) -> String {
    match (terminated.text("reason"), terminated.number("signal")) {
        ("", 0) => format!("ExitCode:{}", terminated.number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn condition(status: &View<'_>, sort: &str) -> bool {
    status.each("conditions").find(|c| c.text("type") == sort).is_some_and(|c| c.text("status") == "True")
}

fn gates(spec: &View<'_>, status: &View<'_>) -> String {
    let gates = spec.at("readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.items().filter(|gate| condition(status, gate.text("conditionType"))).count();
    format!("{open}/{}", gates.list().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(spec: Value, status: Value, deleted: bool) -> String {
        let mut pod = Object::from_value(json!({"metadata": {"name": "p"}, "spec": spec, "status": status})).unwrap_or_default();
        if deleted {
            pod.set("metadata.deletionTimestamp", "2026-01-01T00:00:00Z");
        }
        let now = Now::at("2026-01-01T00:01:00Z".parse().unwrap_or_default());
        let cells = row(&pod, &now);
        cells[1..4].iter().map(|c| c.as_str().unwrap_or("")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn statuses() {
        let one = json!({"containers": [{"name": "a"}]});
        let with_init = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]});
        let running = json!({"phase": "Running", "containerStatuses": [{"ready": true, "state": {"running": {}}}]});
        let crash = json!({"phase": "Running", "containerStatuses": [{
            "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:55Z"}}}]});
        let done = json!({"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]});
        let init = json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"running": {}}}],
            "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}]});
        assert_eq!(shown(one.clone(), json!({"phase": "Pending"}), false), "0/1 Pending 0");
        assert_eq!(shown(one.clone(), running.clone(), false), "1/1 Running 0");
        assert_eq!(shown(one.clone(), running, true), "1/1 Terminating 0");
        assert_eq!(shown(one.clone(), crash, false), "0/1 CrashLoopBackOff 2 (5s ago)");
        assert_eq!(shown(one, done, false), "0/1 Completed 0");
        assert_eq!(shown(with_init, init, false), "0/1 Init:1/2 0");
    }
}
