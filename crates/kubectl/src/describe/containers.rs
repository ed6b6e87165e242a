//! Containers in the pages of pods and workloads.

use serde_json::Value;

use super::page::Page;
use super::time::date;
use super::tree::{capital, entries, list, number, text, text_or, truth};
use super::{env, tree};

/// Writes containers under a title, with their statuses if there are any. `pod` gives the values of
/// environment variables that come from it; `space` indents the title.
pub fn write(page: &mut Page, title: &str, containers: &[Value], statuses: &[Value], pod: Option<&Value>, space: &str) {
    page.line(0, format!("{space}{title}:{}", if containers.is_empty() { " <none>" } else { "" }));
    for container in containers {
        let status = statuses.iter().rev().find(|s| s["name"] == container["name"]);
        page.line(1, format!("{}{}:", if space.is_empty() { "" } else { " " }, text(&container["name"])));
        basics(page, container, status);
        lines(page, "Command", &container["command"]);
        lines(page, "Args", &container["args"]);
        if let Some(status) = status {
            state(page, "State", &status["state"]);
            if status["lastState"]["terminated"].is_object() {
                state(page, "Last State", &status["lastState"]);
            }
            page.field(2, "Ready", capital(&status["ready"]));
            page.field(2, "Restart Count", number(&status["restartCount"]));
        }
        resources(page, 2, &container["resources"]);
        for (name, field) in [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")] {
            if container[field].is_object() {
                page.field(2, name, probe(&container[field]));
            }
        }
        env::write(page, container, pod);
        mounts(page, container);
    }
}

fn basics(page: &mut Page, container: &Value, status: Option<&Value>) {
    if let Some(status) = status {
        page.field(2, "Container ID", text(&status["containerID"]));
    }
    page.field(2, "Image", text(&container["image"]));
    if let Some(status) = status {
        page.field(2, "Image ID", text(&status["imageID"]));
    }
    for (title, field) in [("Port", "containerPort"), ("Host Port", "hostPort")] {
        let all: Vec<String> = list(&container["ports"]).iter().map(|p| port(p, field)).collect();
        match all.as_slice() {
            [] => page.field(2, title, "<none>"),
            [one] => page.field(2, title, one),
            many => page.field(2, &format!("{title}s"), many.join(", ")),
        }
    }
    let profile = &container["securityContext"]["seccompProfile"];
    if profile.is_object() {
        page.field(2, "SeccompProfile", text(&profile["type"]));
        if profile["type"] == "Localhost" {
            page.field(3, "LocalhostProfile", text(&profile["localhostProfile"]));
        }
    }
}

fn port(port: &Value, field: &str) -> String {
    let base = format!("{}/{}", number(&port[field]), text(&port["protocol"]));
    match text(&port["name"]) {
        "" => base,
        name => format!("{base} ({name})"),
    }
}

fn lines(page: &mut Page, title: &str, words: &Value) {
    if !list(words).is_empty() {
        page.line(2, format!("{title}:"));
    }
    for line in list(words).iter().flat_map(|w| text(w).split('\n')) {
        page.line(3, line);
    }
}

fn state(page: &mut Page, title: &str, state: &Value) {
    let (running, terminated) = (&state["running"], &state["terminated"]);
    if running.is_object() {
        page.field(2, title, "Running");
        page.field(3, "Started", date(&running["startedAt"]));
    } else if state["waiting"].is_object() || !terminated.is_object() {
        page.field(2, title, "Waiting");
        page.field_if(3, "Reason", text(&state["waiting"]["reason"]));
    } else {
        page.field(2, title, "Terminated");
        page.field_if(3, "Reason", text(&terminated["reason"]));
        page.field_if(3, "Message", text(&terminated["message"]));
        page.field(3, "Exit Code", number(&terminated["exitCode"]));
        if number(&terminated["signal"]) > 0 {
            page.field(3, "Signal", number(&terminated["signal"]));
        }
        page.field(3, "Started", date(&terminated["startedAt"]));
        page.field(3, "Finished", date(&terminated["finishedAt"]));
    }
}

/// Limits and requests, by name.
pub fn resources(page: &mut Page, level: usize, resources: &Value) {
    for (title, field) in [("Limits", "limits"), ("Requests", "requests")] {
        let all = entries(&resources[field]);
        if !all.is_empty() {
            page.line(level, format!("{title}:"));
        }
        for (name, amount) in all {
            page.field(level + 1, name, text(amount));
        }
    }
}

fn probe(probe: &Value) -> String {
    let count = |field: &str| number(&probe[field]);
    let attributes = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        count("initialDelaySeconds"),
        count("timeoutSeconds"),
        count("periodSeconds"),
        count("successThreshold"),
        count("failureThreshold")
    );
    let (exec, http, tcp, grpc) = (&probe["exec"], &probe["httpGet"], &probe["tcpSocket"], &probe["grpc"]);
    if exec.is_object() {
        format!("exec {} {attributes}", tree::bracketed(&exec["command"]))
    } else if http.is_object() {
        let host = text(&http["host"]);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let path = text(&http["path"]);
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        let address = format!("{host}:{}{slash}{}", tree::either(&http["port"]), escaped(path));
        format!("http-get {}://{address} {attributes}", text(&http["scheme"]).to_lowercase())
    } else if tcp.is_object() {
        format!("tcp-socket {}:{} {attributes}", text(&tcp["host"]), tree::either(&tcp["port"]))
    } else if grpc.is_object() {
        format!("grpc <pod>:{} {} {attributes}", number(&grpc["port"]), text(&grpc["service"]))
    } else {
        format!("unknown {attributes}")
    }
}

/// A path as Go's `net/url` writes it.
fn escaped(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte as char),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' => {
                out.push(byte as char);
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn mounts(page: &mut Page, container: &Value) {
    let mut mounts: Vec<&Value> = list(&container["volumeMounts"]).iter().collect();
    let none = if mounts.is_empty() { "\t<none>" } else { "" };
    mounts.sort_by_key(|m| text(&m["mountPath"]));
    page.line(2, format!("Mounts:{none}"));
    for mount in mounts {
        let mode = if truth(&mount["readOnly"]) { "ro" } else { "rw" };
        let sub = Some(text_or(&mount["subPath"], "")).filter(|s| !s.is_empty());
        let sub = sub.map_or_else(String::new, |s| format!(",path={s:?}"));
        page.line(3, format!("{} from {} ({mode}{sub})", text(&mount["mountPath"]), text(&mount["name"])));
    }
    let mut devices: Vec<&Value> = list(&container["volumeDevices"]).iter().collect();
    devices.sort_by_key(|d| text(&d["devicePath"]));
    if !devices.is_empty() {
        page.line(2, format!("Devices:{none}"));
    }
    for device in devices {
        page.line(3, format!("{} from {}", text(&device["devicePath"]), text(&device["name"])));
    }
}
