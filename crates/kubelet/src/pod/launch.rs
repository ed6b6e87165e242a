//! From a container's spec to the runtime's configuration of one start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod};
use runtime::{ContainerConfig, Image, Mount, PodConfig};

use super::observed::SANDBOX_LABEL;
use super::unsupported;
use crate::agent::Agent;
use crate::container::env::{self, Sources};
use crate::container::expand::expand;
use crate::container::{dns, hosts, resources, security};
use crate::image::reference;
use crate::spec;
use crate::volume::{Volumes, at, mounts, nested};

/// The sandbox's configuration.
pub fn sandbox(agent: &Agent, pod: &Pod, attempt: u32) -> PodConfig {
    let spec = spec::of(pod);
    let sysctls = spec.security_context.as_ref().and_then(|s| s.sysctls.as_ref()).into_iter().flatten();
    let config = &agent.config;
    PodConfig {
        uid: spec::uid(pod).to_owned(),
        name: spec::name(pod).to_owned(),
        namespace: spec::namespace(pod).to_owned(),
        hostname: hosts::hostname(pod, &config.cluster_domain, &config.hostname),
        attempt,
        host_network: spec::host_network(pod),
        host_pid: spec.host_pid == Some(true),
        host_ipc: spec.host_ipc == Some(true),
        share_pid: spec.share_process_namespace == Some(true),
        user_namespace: spec.host_users == Some(false),
        sysctls: sysctls.map(|s| (s.name.clone(), s.value.clone())).collect(),
        resources: resources::pod(pod, config.pod_pids),
        cgroup_parent: resources::cgroup_parent(pod).to_owned(),
        log_dir: agent.logs.of_pod(spec::namespace(pod), spec::name(pod), spec::uid(pod)),
        labels: BTreeMap::new(),
    }
}

/// What a start needs beside the specs.
pub struct Parts<'a> {
    /// Number of this start.
    pub attempt: u32,
    /// Number of the sandbox.
    pub sandbox: u32,
    /// The image.
    pub image: &'a Image,
    /// Objects that the pod names.
    pub sources: &'a Sources,
    /// The pod's volumes.
    pub volumes: &'a Volumes,
}

/// The container's configuration. The error is what its status shows.
pub async fn container(
    agent: &Arc<Agent>, pod: &Pod, container: &Container, parts: &Parts<'_>,
) -> Result<ContainerConfig, String> {
    unsupported::container(container, agent.runtime.features())?;
    let services = agent.service_variables(pod).await;
    let env = env::environment(pod, container, parts.sources, parts.volumes, &services, &agent.facts(pod))?;
    let lookup = |name: &str| env.get(name).cloned();
    let expanded = |list: &Option<Vec<String>>| list.iter().flatten().map(|t| expand(t, lookup)).collect();
    let security = security::security(pod, container, parts.image, &agent.config.seccomp_dir())?;
    let pod_dir = agent.config.pod_dir(spec::uid(pod));
    let mut all = own_files(agent, pod, container, parts.attempt, &pod_dir)?;
    let recursive = agent.runtime.features().recursive_read_only_mounts;
    let of_volumes = mounts::of_container(pod, container, parts.volumes, &pod_dir, recursive, lookup)?;
    let written = mounts::written(pod, container, &of_volumes);
    all.extend(of_volumes);
    nested::make(&written, &all)?;
    let hostname = hosts::hostname(pod, &agent.config.cluster_domain, &agent.config.hostname);
    let mut list = vec![("HOSTNAME".to_owned(), hostname)];
    list.extend(env.clone());
    let pid_of = match spec::target_container(pod, &container.name) {
        Some(target) => Some(running(agent, pod, target).await?),
        None => None,
    };
    let stop_signal = container.lifecycle.as_ref().and_then(|l| l.stop_signal.clone()).unwrap_or_default();
    Ok(ContainerConfig {
        name: container.name.clone(),
        attempt: parts.attempt,
        pid_of,
        image_id: parts.image.id.clone(),
        image: container.image.clone().unwrap_or_default(),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        env: list,
        mounts: all,
        devices: Vec::new(),
        resources: resources::container(pod, container, agent.node_memory()),
        security,
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        stop_signal,
        labels: [
            (SANDBOX_LABEL.to_owned(), parts.sandbox.to_string()),
            (reference::LABEL.to_owned(), reference::of(parts.image, container.image.as_deref().unwrap_or_default())),
        ]
        .into(),
    })
}

/// The id of a running container of the pod (upstream: `kuberuntime_container.go: getTargetID`).
async fn running(agent: &Agent, pod: &Pod, name: &str) -> Result<String, String> {
    let seen = agent.runtime.pod(spec::uid(pod)).await.map_err(|e| e.to_string())?;
    let containers = seen.iter().flat_map(|s| &s.containers).filter(|c| c.name == name);
    let last = containers.max_by_key(|c| c.attempt).filter(|c| super::observed::is_running(c));
    last.map(|c| c.id.clone()).ok_or_else(|| format!("unable to find target container {name}"))
}

/// Where a container's start leaves its last words.
pub fn termination_log(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir.join("containers").join(container).join(attempt.to_string())
}

/// `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf` and the termination log.
fn own_files(
    agent: &Agent, pod: &Pod, container: &Container, attempt: u32, pod_dir: &Path,
) -> Result<Vec<Mount>, String> {
    let mounted = |m: &k8s_openapi::api::core::v1::VolumeMount| runtime::absolute(Path::new(&m.mount_path));
    let taken = |path: &str| container.volume_mounts.iter().flatten().any(|m| mounted(m) == Path::new(path));
    let config = &agent.config;
    let mut files = Vec::new();
    if !taken("/etc/hosts") {
        let text = if spec::host_network(pod) {
            hosts::host_network_file(pod, &std::fs::read_to_string("/etc/hosts").unwrap_or_default())
        } else {
            hosts::file(pod, &agent.pod_ips(pod), &config.cluster_domain)
        };
        files.push(("etc-hosts", "/etc/hosts", text));
    }
    let resolver = dns::resolver(pod, &agent.host_resolver(), &config.cluster_dns, &config.cluster_domain);
    files.push(("resolv.conf", "/etc/resolv.conf", dns::text(&resolver)));
    let hostname = hosts::hostname(pod, &config.cluster_domain, &config.hostname);
    files.push(("hostname", "/etc/hostname", format!("{hostname}\n")));
    let mut mounts = Vec::new();
    for (name, target, text) in files {
        if taken(target) {
            continue;
        }
        let path = pod_dir.join(name);
        // In place: a running container has this very file mounted, and may have added to it.
        if name != "etc-hosts" || !path.exists() || attempt == 0 {
            std::fs::write(&path, text).map_err(at(&path))?;
        }
        mounts.push(bind(path, target));
    }
    let last_words = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    if !last_words.is_empty() {
        let path = termination_log(pod_dir, &container.name, attempt);
        let parent = path.parent().unwrap_or(pod_dir);
        std::fs::create_dir_all(parent).map_err(at(parent))?;
        std::fs::write(&path, "").map_err(at(&path))?;
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&path, open).map_err(at(&path))?;
        mounts.push(bind(path, last_words));
    }
    Ok(mounts)
}

fn bind(source: PathBuf, target: &str) -> Mount {
    Mount { source, target: PathBuf::from(target), ..Mount::default() }
}
