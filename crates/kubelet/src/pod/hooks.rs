//! postStart and preStop hooks (upstream: `lifecycle/handlers.go`).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::agent::Agent;
use crate::probe::http;

/// A hook that says nothing about time may take this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Runs a hook to its end. The error is what happened.
pub async fn run(
    agent: &Arc<Agent>, pod: &Pod, container: &Container, id: &str, hook: &LifecycleHandler,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let output = agent.runtime.exec_sync(id, &command, LONGEST).await.map_err(|e| e.to_string())?;
        return match output.code {
            0 => Ok(()),
            code => Err(format!("command '{}' exited with {code}: {}", command.join(" "), text(&output))),
        };
    }
    if let Some(get) = &hook.http_get {
        let host = host(agent, pod, get.host.as_deref());
        let port = port(container, &get.port).ok_or("the hook's port is not known")?;
        let target = http::Target {
            https: get.scheme.as_deref() == Some("HTTPS"),
            host,
            port,
            path: get.path.clone().unwrap_or_default(),
            headers: headers(get.http_headers.as_deref()),
            user_agent: "kube-lifecycle/1.36",
        };
        let answer = http::get(&target, Duration::from_secs(30)).await?;
        return if answer.status < 400 { Ok(()) } else { Err(format!("HTTP status {}", answer.status)) };
    }
    if let Some(tcp) = &hook.tcp_socket {
        let port = port(container, &tcp.port).ok_or("the hook's port is not known")?;
        let host = host(agent, pod, tcp.host.as_deref());
        return crate::probe::tcp::connect(&host, port, Duration::from_secs(30)).await.map(drop);
    }
    if let Some(sleep) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
    }
    Ok(())
}

fn text(output: &runtime::Output) -> String {
    let mut all = output.stdout.to_vec();
    all.extend_from_slice(&output.stderr);
    String::from_utf8_lossy(&all).into_owned()
}

/// The host a hook or probe speaks to: its own, or the pod's.
pub fn host(agent: &Agent, pod: &Pod, given: Option<&str>) -> String {
    match given.filter(|h| !h.is_empty()) {
        Some(host) => host.to_owned(),
        None => agent.pod_ips(pod).first().map(ToString::to_string).unwrap_or_default(),
    }
}

/// A port by number, or by its name in the container.
pub fn port(container: &Container, port: &IntOrString) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|p| p.name.as_ref() == Some(name));
            named.and_then(|p| u16::try_from(p.container_port).ok()).or_else(|| name.parse().ok())
        }
    }
}

/// Headers of a probe or hook.
pub fn headers(list: Option<&[k8s_openapi::api::core::v1::HTTPHeader]>) -> Vec<(String, String)> {
    list.unwrap_or_default().iter().map(|h| (h.name.clone(), h.value.clone())).collect()
}
