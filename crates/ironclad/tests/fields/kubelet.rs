//! What the node agent does with a pod: the jobs of its worker, carried out against a machine that takes them down.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::Hub;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Node, Pod, PodStatus, Probe};
use kubelet::container::env::Sources;
use kubelet::image::History;
use kubelet::pod::admit::Room;
use kubelet::pod::observed::{Memory, Observed};
use kubelet::pod::stop::Turn;
use kubelet::pod::work::{Desk, Outcome};
use kubelet::pod::{admit, decide, handler, hooks, last_words, sources, unsupported};
use kubelet::probe::timer::Timer;
use kubelet::probe::{Sort, check};
use kubelet::status::{self, Input};
use kubelet::volume::{self, Volumes, take_down};
use kubelet::{Agent, spec};
use runtime::{ContainerState, PodConfig, Runtime as _};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::machine::{Machine, Tries};

/// The agent, with what it works on.
pub struct Kubelet {
    agent: Arc<Agent>,
    machine: Machine,
    node: Node,
    sources: Sources,
    /// Where probes and hooks are answered.
    pub port: u16,
}

impl Kubelet {
    pub async fn new(hub: &Hub, node: Node, dir: &Path) -> Self {
        let machine = Machine::default();
        let own = Arc::new(machine.clone());
        let config = kubelet::Config {
            node_name: "n1".to_owned(),
            hostname: "n1".to_owned(),
            addresses: vec!["192.0.2.1".parse().expect("address")],
            data_dir: dir.join("data"),
            log_dir: dir.join("logs"),
            log_links: None,
            system_logs: "/var/log".into(),
            log_rotation: Default::default(),
            cluster_dns: vec!["10.96.0.10".parse().expect("address")],
            cluster_domain: "cluster.local".to_owned(),
            port: 10250,
            max_pods: 110,
            pod_pids: None,
            version: "v1.36.3".to_owned(),
            labels: BTreeMap::new(),
            handlers: Vec::new(),
            taints: Vec::new(),
            pod_cidr: String::new(),
            resolv_conf: dir.join("resolv.conf"),
            static_pods: None,
            image_gc: Default::default(),
            pressure: Default::default(),
            credential_providers: Default::default(),
        };
        let agent = kubelet::agent(config, hub, own.clone(), own);
        // Everything that there is has been seen before anybody decides.
        let linked = meta::Key::new("default", "linked");
        let (mut nodes, mut services) = (agent.node.revision(), agent.services.revision());
        while agent.node.snapshot().is_empty() {
            nodes.changed().await.expect("is followed");
        }
        while agent.services.get(&linked).is_none() {
            services.changed().await.expect("is followed");
        }
        agent.classes.synced().await;
        let port = answer(machine.clone()).await;
        Kubelet { agent, machine, node, sources: objects(), port }
    }

    /// Everything that it does for the pod, in words; and why it refuses it, if it does.
    pub async fn plan(&self, pod: &Pod) -> (String, Vec<String>) {
        let pod = Arc::new(pod.clone());
        let (mut said, mut refused) = (Vec::new(), Vec::new());
        let room = Room { node: Some(&self.node), features: self.machine.features(), ..Room::default() };
        let admitted = admit::admit(&pod, &room);
        refused.extend(admitted.as_ref().err().map(|r| r.message.clone()));
        said.push(format!("{admitted:?} {:?}", sources::references(&pod)));
        let desk = Desk { agent: self.agent.clone(), pod: pod.clone(), cancel: CancellationToken::new() };
        let dir = self.agent.config.pod_dir(spec::uid(&pod));
        let volumes = match desk.clone().mount(Ok(self.sources.clone())).await {
            Outcome::Mounted(volumes, _) => volumes,
            _ => {
                let facts = self.agent.facts(&pod);
                let made = volume::set_up_all(&pod, &dir, &self.sources, &facts, &self.agent.tokens).await;
                refused.extend(made.err().map(|e| e.to_string()));
                Volumes::new()
            }
        };
        if let Outcome::SandboxFailed = desk.clone().sandbox(0).await {
            refused.extend(handler::of(&self.agent, &pod).await.err());
            refused.extend(unsupported::sandbox(&pod, self.machine.features()).err());
        }
        for container in containers(&pod) {
            let name = container.name.clone();
            let sources = Ok(self.sources.clone());
            let clock = Clock::of(&container);
            let started = desk.clone().start(name.clone(), 0, 0, sources, volumes.clone(), History::default()).await;
            if let Outcome::NotStarted { message, .. } = &started {
                refused.push(message.clone());
            }
            said.push(format!("{started:?} {}", clock.read()));
            let id = format!("id-{name}");
            let hooks = container.lifecycle.iter().flat_map(|l| [&l.post_start, &l.pre_stop]).flatten();
            for hook in hooks.filter(|hook| hook.tcp_socket.is_some()) {
                // How it went is told by an event alone.
                said.push(format!("{:?}", hooks::run(&self.agent, &pod, &container, &id, hook).await));
            }
            let probes = [
                (Sort::Liveness, &container.liveness_probe),
                (Sort::Readiness, &container.readiness_probe),
                (Sort::Startup, &container.startup_probe),
            ];
            for (sort, probe) in probes {
                let Some(probe) = probe else { continue };
                let outcome = format!("{:?}", check::check(&self.agent, &pod, &container, &id, probe).await);
                // Nobody here speaks HTTP/2: what matters is whether somebody was asked.
                let asked = probe.grpc.is_some() && !outcome.contains("failed to connect");
                said.push(if asked { "asked in HTTP/2".to_owned() } else { outcome });
                if probe.exec.is_some() {
                    self.tries(&pod, &container, sort, probe).await;
                }
            }
            let clock = Clock::of(&container);
            let stopped = desk.clone().stop(id, name, spec::grace_seconds(&pod), String::new(), Turn::at_once()).await;
            said.push(format!("{stopped:?} {}", clock.read()));
        }
        said.push(self.machine.notes.take());
        let mut files = Vec::new();
        list(&dir, &dir, &mut files);
        said.extend(files);
        said.push(decisions(&pod));
        take_down::remove(&dir).expect("removed");
        let text = said.into_iter().chain(refused.iter().cloned()).collect::<Vec<_>>().join("\n");
        (text.replace(&self.port.to_string(), "PORT"), refused)
    }
}

/// A clock that goes on by itself as soon as all wait for it, where a container's hooks sleep.
struct Clock(Option<tokio::time::Instant>);

impl Clock {
    fn of(container: &Container) -> Self {
        let hooks = container.lifecycle.iter().flat_map(|l| [&l.post_start, &l.pre_stop]).flatten();
        let sleeps = hooks.into_iter().any(|hook| hook.sleep.is_some());
        Clock(sleeps.then(|| {
            tokio::time::pause();
            tokio::time::Instant::now()
        }))
    }

    /// Seconds that went by.
    fn read(self) -> u64 {
        self.0.map_or(0, |since| {
            let seconds = since.elapsed().as_secs();
            tokio::time::resume();
            seconds
        })
    }
}

/// How long a probe is watched.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(200);

impl Kubelet {
    /// When a probe is tried, and when its verdict changes. The clock goes on by itself as soon as all wait for it.
    async fn tries(&self, pod: &Arc<Pod>, container: &Container, sort: Sort, probe: &Probe) {
        tokio::time::pause();
        let since = tokio::time::Instant::now();
        let pass = if sort == Sort::Startup { 0 } else { 6 };
        *self.machine.tries.lock().expect("lock") = Some(Tries { since, pass });
        let (changes, mut changed) = tokio::sync::mpsc::unbounded_channel();
        let timer = Timer {
            agent: self.agent.clone(),
            pod: pod.clone(),
            container: container.clone(),
            id: "probed".to_owned(),
            started_at: Timestamp::now(),
            sort,
            probe: probe.clone(),
            started: tokio::sync::watch::Sender::new(true).subscribe(),
            changes,
            verdict: None,
        };
        let told = async {
            while let Some(change) = changed.recv().await {
                self.machine.notes.note(format!("{change:?} after {} s", since.elapsed().as_secs()));
            }
        };
        let _ = tokio::join!(tokio::time::timeout(WATCHED, timer.run()), told);
        *self.machine.tries.lock().expect("lock") = None;
        tokio::time::resume();
    }
}

fn containers(pod: &Pod) -> Vec<Container> {
    let plain = spec::init_containers(pod).iter().chain(&spec::of(pod).containers).cloned();
    plain.chain(spec::ephemeral_containers(pod)).collect()
}

/// ConfigMaps and Secrets that pods name.
fn objects() -> Sources {
    let mut sources = Sources::default();
    for (name, value) in [("cm", "1"), ("x", "3"), ("kube-root-ca.crt", "4")] {
        let map = json!({"metadata": {"name": name}, "data": {"k": value, "x": "2", "ca.crt": "4"}});
        sources.config_maps.insert(name.to_owned(), serde_json::from_value(map).ok());
    }
    let auth = r#"{"auths":{"example.com":{"username":"u","password":"p"}}}"#;
    for (name, key, value) in [("s", "k", "1"), ("x", "k", "3"), ("pull", ".dockerconfigjson", auth)] {
        let data = json!({key: k8s_openapi::ByteString(value.as_bytes().to_vec()), "x": k8s_openapi::ByteString(vec![50])});
        sources.secrets.insert(name.to_owned(), serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).ok());
    }
    sources
}

/// What is decided about the pod when its containers run, fail their probes, or have ended; when its time is over, and
/// when it is deleted.
fn decisions(pod: &Pod) -> String {
    let now: Timestamp = "2026-01-01T00:10:00Z".parse().expect("a time");
    let mut pod = pod.clone();
    let mut said = Vec::new();
    pod.status = Some(PodStatus {
        start_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now - SignedDuration::from_secs(60))),
        ..PodStatus::default()
    });
    let ended = |code| ContainerState::Exited {
        started_at: 0, finished_at: 0, code, signal: 0, reason: String::new(), message: String::new(),
    };
    for state in [ContainerState::Running { started_at: 0 }, ended(0), ended(42)] {
        for passed in [None, Some(false), Some(true)] {
            let observed = observed(&pod, &state, passed);
            said.push(format!("{:?}", decide::decide(&pod, &observed, now)));
            said.push(status_of(&pod, &observed, now));
        }
    }
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
    said.push(format!("{:?}", decide::decide(&pod, &observed(&pod, &ContainerState::Running { started_at: 0 }, None), now)));
    said.join("\n")
}

fn observed(pod: &Pod, state: &ContainerState, passed: Option<bool>) -> Observed {
    let mut memory = Memory { admitted: true, mounted: true, attached: true, ..Memory::default() };
    let mut seen = Vec::new();
    for container in containers(pod) {
        let remembered = memory.containers.entry(container.name.clone()).or_default();
        remembered.id = format!("id-{}", container.name);
        (remembered.started, remembered.ready) = (passed, passed);
        remembered.live = passed.filter(|_| container.liveness_probe.is_some());
        seen.push(runtime::Container {
            id: format!("id-{}", container.name),
            pod_uid: spec::uid(pod).to_owned(),
            name: container.name.clone(),
            attempt: 0,
            image: container.image.clone().unwrap_or_default(),
            image_id: String::new(),
            state: state.clone(),
            log_path: PathBuf::new(),
            resources: runtime::Resources::default(),
            user: None,
            labels: BTreeMap::new(),
        });
    }
    let sandbox = runtime::Pod { config: PodConfig::default(), ready: true, created_at: 0, netns: None, containers: seen };
    Observed { sandbox: Some(sandbox), gone: false, memory }
}

/// The status with the last words of containers, of which one has left a log and no message.
fn status_of(pod: &Pod, observed: &Observed, now: Timestamp) -> String {
    let dir = tempfile::tempdir().expect("directory");
    let log = dir.path().join("log");
    std::fs::write(&log, "2026-01-01T00:00:00Z stdout F last words\n").expect("written");
    let mut messages = BTreeMap::new();
    for seen in observed.containers() {
        let seen = runtime::Container { log_path: log.clone(), ..seen.clone() };
        let container = spec::container(pod, &seen.name);
        messages.insert(seen.id.clone(), last_words::of(pod, container.as_ref(), &seen, dir.path()));
    }
    let input = Input {
        observed, waiting: &BTreeMap::new(), messages: &messages, pod_ips: &[], host_ips: &[], resize: &[], recursive_read_only: true, ending: false, now,
    };
    format!("{:?}", status::compute(pod, &input))
}

/// Every file below a directory: name, mode, group, size of its file system where that begins, and content.
fn list(root: &Path, dir: &Path, files: &mut Vec<String>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let mut line = format!("{name} {:o} {} {}", meta.mode(), meta.uid(), meta.gid());
        if meta.is_dir() {
            let whole = nix::sys::statvfs::statvfs(&path).ok().filter(|_| volume::tmpfs::is_mount_point(&path));
            line += &format!(" {:?}", whole.map(|s| s.blocks()));
        } else if meta.is_file() {
            line += &format!(" {:?}", std::fs::read_to_string(&path));
        } else {
            line += &format!(" {:?}", std::fs::read_link(&path));
        }
        files.push(versionless(&line));
        // A subPath is bound here: it leads into what is listed elsewhere.
        if meta.is_dir() && !name.starts_with("volume-subpaths") {
            list(root, &path, files);
        }
    }
}

/// `..2026_01_01_00_00_00.0` names the time at which a volume was written.
fn versionless(line: &str) -> String {
    let mut parts = line.split("..20");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != '_' && c != '.').unwrap_or(part.len());
        text + "..version" + &part[end..]
    })
}

/// The first byte of a TLS connection.
const TLS: u8 = 0x16;

/// Answers everybody at the loopback address, and takes down what was asked.
async fn answer(machine: Machine) -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let notes = machine.notes.clone();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                // Who only connects does not wait for us: that tells from the outcome.
                if text.starts_with("GET") {
                    notes.note(text);
                } else if bytes[0] == TLS {
                    notes.note("asked over TLS".to_owned());
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            });
        }
    });
    port
}
