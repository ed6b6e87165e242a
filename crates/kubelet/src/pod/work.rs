//! The jobs of a pod: each carries out one step and says how it went.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use network::{HostPort, Protocol};
use tokio_util::sync::CancellationToken;

use super::launch::{self, Parts};
use super::{handler, hooks, observed::Observed, resize, unsupported};
use crate::agent::Agent;
use crate::container::env::Sources;
use crate::container::resources;
use crate::events::Kind;
use crate::image::{self, History};
use crate::log::rotate;
use crate::spec;
use crate::volume::{self, Volumes};

/// How a job ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Volumes are there; renew them then.
    Mounted(Volumes, Option<Timestamp>),
    /// Volumes could not be made.
    MountFailed,
    /// The sandbox is up and its network attached.
    SandboxReady,
    /// It is not.
    SandboxFailed,
    /// A container runs.
    Started(String),
    /// It does not, and waits for this reason; the image's history changed.
    NotStarted {
        /// Name.
        container: String,
        /// Reason of its waiting state.
        reason: &'static str,
        /// Message of its waiting state.
        message: String,
        /// A pull was tried and failed.
        pulled: bool,
    },
    /// It does not, as there is no sandbox any more.
    NoSandbox(String),
    /// The limits are as the pod wants them.
    Resized,
    /// They are not.
    NotResized(String),
    /// Everything is taken down.
    TornDown,
    /// The API has deleted the pod, or never will again be asked.
    Deleted,
    /// Nothing to remember.
    Done,
    /// Try again later.
    Failed(String),
}

/// What jobs of one pod share.
#[derive(Clone)]
pub struct Desk {
    /// Means.
    pub agent: Arc<Agent>,
    /// The pod.
    pub pod: Arc<Pod>,
    /// The pod is ending: what waits for the network or an image gives up.
    pub cancel: CancellationToken,
}

impl Desk {
    fn dir(&self) -> PathBuf {
        self.agent.config.pod_dir(spec::uid(&self.pod))
    }

    pub(super) fn say(&self, container: &str, kind: Kind, reason: &'static str, text: impl Into<String>) {
        self.agent.events.container(&self.pod, container, kind, reason, text);
    }

    /// Makes or refreshes the volumes.
    pub async fn mount(self, sources: Result<Sources, String>) -> Outcome {
        let dir = self.dir();
        let agent = &self.agent;
        let there = std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()));
        let made = match there.and(sources) {
            Ok(sources) => {
                let facts = agent.facts(&self.pod);
                volume::set_up_all(&self.pod, &dir, &sources, &facts, &agent.tokens).await.map_err(|e| e.to_string())
            }
            Err(error) => Err(error),
        };
        match made {
            Ok(volumes) => {
                let refresh = volumes.values().filter_map(|v| v.refresh_at).min();
                Outcome::Mounted(volumes, refresh)
            }
            Err(text) => {
                agent.events.pod(&self.pod, Kind::Warning, "FailedMount", text);
                Outcome::MountFailed
            }
        }
    }

    /// Makes the sandbox and attaches its network.
    pub async fn sandbox(self, attempt: u32) -> Outcome {
        match self.make_sandbox(attempt).await {
            Ok(()) => Outcome::SandboxReady,
            Err(error) => {
                let text = format!("Failed to create pod sandbox: {error}");
                self.agent.events.pod(&self.pod, Kind::Warning, "FailedCreatePodSandBox", text);
                Outcome::SandboxFailed
            }
        }
    }

    async fn make_sandbox(&self, attempt: u32) -> Result<(), String> {
        let agent = &self.agent;
        let uid = spec::uid(&self.pod);
        if attempt > 0 {
            let text = "Pod sandbox changed, it will be killed and re-created.";
            let old = agent.runtime.pod(uid).await.map_err(|e| e.to_string())?;
            if old.is_some_and(|p| p.config.attempt < attempt) {
                agent.events.pod(&self.pod, Kind::Normal, "SandboxChanged", text);
                agent.runtime.stop_pod(uid).await.map_err(|e| e.to_string())?;
            }
        }
        handler::of(agent, &self.pod).await?;
        unsupported::sandbox(&self.pod, agent.runtime.features())?;
        let config = launch::sandbox(agent, &self.pod, attempt);
        agent.logs.make(&config.log_dir).map_err(|e| format!("make the directory of its logs {}: {e}", config.log_dir.display()))?;
        let pod = agent.runtime.start_pod(&config).await.map_err(|e| e.to_string())?;
        if let Some(netns) = pod.netns.as_deref().filter(|_| !config.host_network) {
            agent.network.attach(uid, netns, &host_ports(&self.pod)).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Has the image, then starts the container and runs its postStart hook. Only the start itself takes a permit.
    pub async fn start(
        self, name: String, attempt: u32, sandbox: u32, sources: Result<Sources, String>, volumes: Volumes,
        history: History,
    ) -> Outcome {
        let Some(container) = spec::container(&self.pod, &name) else { return Outcome::Done };
        let agent = &self.agent;
        let not = |reason: &'static str, message: String, pulled: bool| {
            if reason != "ImagePullBackOff" {
                // Upstream prints the reason for an image, the message for the rest.
                let of_image = pulled || matches!(reason, "ErrImageNeverPull" | "ImageInspectError");
                let text = if of_image { reason.to_owned() } else { message.clone() };
                self.say(&name, Kind::Warning, "Failed", format!("Error: {text}"));
            } else {
                self.say(&name, Kind::Warning, "Failed", "Error: ImagePullBackOff");
            }
            Outcome::NotStarted { container: name.clone(), reason, message, pulled }
        };
        let sources = match sources {
            Ok(sources) => sources,
            Err(error) => return not("CreateContainerConfigError", error, false),
        };
        let image = async {
            let image = image::ensure(agent, &self.pod, &container, &sources, &history).await?;
            volume::image::mount(agent, &self.pod, &container, &volumes, &sources, &history).await?;
            Ok::<_, image::Refused>(image)
        };
        let image = match self.cancel.run_until_cancelled(image).await {
            None => return Outcome::Done,
            Some(Ok(image)) => image,
            Some(Err(refused)) => return not(refused.reason, refused.message, refused.pulled),
        };
        let parts = Parts { attempt, sandbox, image: &image, sources: &sources, volumes: &volumes };
        let Some(Ok(permit)) = self.cancel.run_until_cancelled(agent.starts.acquire()).await else { return Outcome::Done };
        let config = match launch::container(agent, &self.pod, &container, &parts).await {
            Ok(config) => config,
            Err(error) => return not("CreateContainerConfigError", error, false),
        };
        let id = match agent.runtime.start_container(spec::uid(&self.pod), &config).await {
            Ok(id) => id,
            Err(runtime::Error::Config(text)) => return not("CreateContainerConfigError", text, false),
            Err(runtime::Error::Start(text)) => return not("RunContainerError", text, false),
            Err(runtime::Error::NoSandbox(text)) => {
                tracing::info!(pod = %spec::title(&self.pod), container = name, text, "the sandbox ended before a start");
                return Outcome::NoSandbox(name);
            }
            Err(error) => return not("CreateContainerError", error.to_string(), false),
        };
        drop(permit);
        self.link_log(&id).await;
        self.say(&name, Kind::Normal, "Created", "Container created");
        self.say(&name, Kind::Normal, "Started", "Container started");
        self.post_start(&container, &id, not).await.unwrap_or(Outcome::Started(name.clone()))
    }

    /// Who ships logs finds the container's. That nobody does is no reason not to run it.
    async fn link_log(&self, id: &str) {
        let seen = self.agent.runtime.pod(spec::uid(&self.pod)).await;
        let Ok(Some(seen)) = seen else { return };
        for container in seen.containers.iter().filter(|c| c.id == id) {
            if let Err(error) = self.agent.logs.link(&seen.config, container) {
                tracing::warn!(pod = %spec::title(&self.pod), container = container.name, %error, "log not linked");
            }
        }
    }

    async fn post_start(
        &self, container: &k8s_openapi::api::core::v1::Container, id: &str,
        not: impl Fn(&'static str, String, bool) -> Outcome,
    ) -> Option<Outcome> {
        let hook = container.lifecycle.as_ref()?.post_start.as_ref()?;
        let run = hooks::run(&self.agent, &self.pod, container, id, hook);
        // A pod that ends does not wait for its hooks.
        let error = self.cancel.run_until_cancelled(run).await?.err()?;
        self.say(&container.name, Kind::Warning, "FailedPostStartHook", "PostStartHook failed");
        self.say(&container.name, Kind::Normal, "Killing", "FailedPostStartHook");
        let _ = self.agent.runtime.stop_container(id, spec::grace_seconds(&self.pod)).await;
        Some(not("PostStartHookError", error, false))
    }

    /// Changes the limits of the pod and its containers. The pod gives way first, and follows last.
    pub async fn resize(self, ids: Vec<String>) -> Outcome {
        match self.change_limits(&ids).await {
            Ok(()) => Outcome::Resized,
            Err(error) => Outcome::NotResized(error.to_string()),
        }
    }

    async fn change_limits(&self, ids: &[String]) -> runtime::Result<()> {
        let (runtime, uid) = (&self.agent.runtime, spec::uid(&self.pod));
        let Some(seen) = runtime.pod(uid).await? else { return Ok(()) };
        let whole = resources::pod(&self.pod, self.agent.config.pod_pids);
        runtime.update_pod(uid, &resize::wider(&seen.config.resources, &whole)).await?;
        for changed in seen.containers.iter().filter(|c| ids.contains(&c.id)) {
            let Some(container) = spec::container(&self.pod, &changed.name) else { continue };
            let limits = resources::container(&self.pod, &container, self.agent.node_memory());
            let usage = runtime.usage(&changed.id).await.map_or(0, |u| i64::try_from(u.memory_bytes).unwrap_or(i64::MAX));
            if limits.memory_limit > 0 && limits.memory_limit < usage {
                let limit = limits.memory_limit;
                let text = format!("attempting to set container memory limit ({limit}) below current usage ({usage})");
                return Err(runtime::Error::System(text));
            }
            runtime.update_container(&changed.id, &limits).await?;
        }
        runtime.update_pod(uid, &whole).await
    }

    /// Forgets ended containers, with their rotated logs.
    pub async fn clean(self, ids: Vec<String>) -> Outcome {
        let seen = match self.agent.runtime.pod(spec::uid(&self.pod)).await {
            Ok(Some(seen)) => seen,
            Ok(None) => return Outcome::Done,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        for container in seen.containers.iter().filter(|c| ids.contains(&c.id)) {
            if let Err(error) = self.agent.runtime.remove_container(&container.id).await {
                return Outcome::Failed(error.to_string());
            }
            self.agent.logs.unlink(&seen.config, container);
            rotate::remove_rotated(&container.log_path);
        }
        Outcome::Done
    }

    /// Ends the sandbox, frees addresses and volumes. Records stay until the pod is deleted.
    pub async fn tear_down(self) -> Outcome {
        let uid = spec::uid(&self.pod);
        let agent = &self.agent;
        let result = async {
            agent.network.detach(uid).await.map_err(|e| e.to_string())?;
            agent.runtime.stop_pod(uid).await.map_err(|e| e.to_string())?;
            volume::take_down::remove(&self.dir().join("volume-subpaths"))?;
            volume::take_down::remove(&self.dir().join("volumes"))
        };
        match result.await {
            Ok(()) => {
                agent.tokens.forget(uid);
                Outcome::TornDown
            }
            Err(text) => {
                agent.events.pod(&self.pod, Kind::Warning, "FailedKillPod", format!("error killing pod: {text}"));
                Outcome::Failed(text)
            }
        }
    }

    /// Lets the API forget the pod.
    pub async fn delete(self) -> Outcome {
        let api = Api::<Pod>::namespaced(self.agent.client.clone(), spec::namespace(&self.pod));
        let preconditions = Preconditions { uid: self.pod.metadata.uid.clone(), resource_version: None };
        let params =
            DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
        match api.delete(spec::name(&self.pod), &params).await {
            Ok(_) => Outcome::Deleted,
            // Gone already, or replaced by another of the same name.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Outcome::Deleted,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

/// Removes everything that is left of a pod from the node, its logs included.
pub async fn forget(agent: &Agent, uid: &str) -> Result<(), String> {
    let seen = agent.runtime.pod(uid).await.map_err(|e| e.to_string())?;
    agent.network.detach(uid).await.map_err(|e| e.to_string())?;
    agent.runtime.stop_pod(uid).await.map_err(|e| e.to_string())?;
    agent.runtime.remove_pod(uid).await.map_err(|e| e.to_string())?;
    agent.tokens.forget(uid);
    if let Some(seen) = seen {
        seen.containers.iter().for_each(|container| agent.logs.unlink(&seen.config, container));
        if agent.logs.is_own(&seen.config.log_dir) {
            volume::take_down::remove(&seen.config.log_dir)?;
        }
    }
    volume::take_down::remove(&agent.config.pod_dir(uid))
}

/// Ports of the node that lead to the pod.
pub fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let containers = spec::of(pod).containers.iter().chain(spec::init_containers(pod));
    let ports = containers.flat_map(|c| c.ports.iter().flatten());
    ports
        .filter_map(|p| {
            Some(HostPort {
                host_ip: p.host_ip.as_deref().and_then(|ip| ip.parse().ok()),
                host_port: u16::try_from(p.host_port?).ok().filter(|p| *p > 0)?,
                container_port: u16::try_from(p.container_port).ok()?,
                protocol: match p.protocol.as_deref() {
                    Some("UDP") => Protocol::Udp,
                    Some("SCTP") => Protocol::Sctp,
                    _ => Protocol::Tcp,
                },
            })
        })
        .collect()
}

/// Termination messages of ended containers, read once each.
#[derive(Default)]
pub struct Messages(pub BTreeMap<String, String>);

impl Messages {
    /// Reads those that are new.
    pub fn read(&mut self, agent: &Agent, pod: &Pod, observed: &Observed) {
        let dir = agent.config.pod_dir(spec::uid(pod));
        for seen in observed.containers().filter(|c| super::observed::exit(c).is_some()) {
            if !self.0.contains_key(&seen.id) {
                let container = spec::container(pod, &seen.name);
                self.0.insert(seen.id.clone(), super::last_words::of(pod, container.as_ref(), seen, &dir));
            }
        }
        self.0.retain(|id, _| observed.containers().any(|c| c.id == *id));
    }
}

