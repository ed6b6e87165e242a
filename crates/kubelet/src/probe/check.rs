//! One attempt of a probe.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use runtime::Error;

use super::{grpc, http, tcp};
use crate::agent::Agent;
use crate::pod::hooks::{headers, host, port};

/// Most bytes of a probe's output in an event.
const LONGEST_OUTPUT: usize = 10 * 1024;

/// Outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It passed, but.
    Warning(String),
    /// It failed, with this output.
    Failed(String),
    /// It could not be tried.
    Errored(String),
}

/// Tries once.
pub async fn check(agent: &Arc<Agent>, pod: &Pod, container: &Container, id: &str, probe: &Probe) -> Outcome {
    let limit = Duration::from_secs(u64::try_from(probe.timeout_seconds.unwrap_or(1).max(1)).unwrap_or(1));
    if let Some(action) = &probe.exec {
        return exec(agent, id, action.command.as_deref().unwrap_or_default(), limit).await;
    }
    if let Some(action) = &probe.http_get {
        let Some(port) = port(container, &action.port) else { return unknown_port(&action.port) };
        let target = http::Target {
            https: action.scheme.as_deref() == Some("HTTPS"),
            host: host(agent, pod, action.host.as_deref()),
            port,
            path: action.path.clone().unwrap_or_default(),
            headers: headers(action.http_headers.as_deref()),
            user_agent: "kube-probe/1.36",
        };
        return match http::get(&target, limit).await {
            Ok(answer) if (200..300).contains(&answer.status) => Outcome::Passed,
            Ok(answer) if (300..400).contains(&answer.status) => {
                Outcome::Warning(format!("Probe terminated redirects, Response body: {}", answer.body))
            }
            Ok(answer) => Outcome::Failed(format!("HTTP probe failed with statuscode: {}", answer.status)),
            Err(error) => Outcome::Failed(error),
        };
    }
    if let Some(action) = &probe.tcp_socket {
        let Some(port) = port(container, &action.port) else { return unknown_port(&action.port) };
        return match tcp::connect(&host(agent, pod, action.host.as_deref()), port, limit).await {
            Ok(_) => Outcome::Passed,
            Err(error) => Outcome::Failed(error),
        };
    }
    if let Some(action) = &probe.grpc {
        let Ok(port) = u16::try_from(action.port) else { return Outcome::Errored("invalid port".to_owned()) };
        let service = action.service.as_deref().unwrap_or("");
        return match grpc::health(&host(agent, pod, None), port, service, limit).await {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(error),
        };
    }
    Outcome::Errored("missing probe handler".to_owned())
}

fn unknown_port(port: &k8s_openapi::apimachinery::pkg::util::intstr::IntOrString) -> Outcome {
    Outcome::Errored(format!("couldn't find port: {port:?}"))
}

async fn exec(agent: &Arc<Agent>, id: &str, command: &[String], limit: Duration) -> Outcome {
    match agent.runtime.exec_sync(id, command, limit).await {
        Ok(output) if output.code == 0 => Outcome::Passed,
        Ok(output) => {
            let mut all = output.stdout.to_vec();
            all.extend_from_slice(&output.stderr);
            all.truncate(LONGEST_OUTPUT);
            Outcome::Failed(String::from_utf8_lossy(&all).into_owned())
        }
        Err(Error::Timeout(_)) => {
            let text = format!("command timed out: {:?} timed out after {}s", command.join(" "), limit.as_secs());
            Outcome::Failed(text)
        }
        Err(error) => Outcome::Errored(error.to_string()),
    }
}
