//! The agent with the embedded runtime, on a real kernel, as root; the API is a small one in memory.

#[path = "../src/tests/api.rs"]
mod api;

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Api;
use async_trait::async_trait;
use client::Hub;
use network::{HostPort, PodNetwork};
use runtime::Embedded;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const POD: &str = "/api/v1/namespaces/ns/pods/p";

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("shim") => runtime::shim::main(args),
        Some("inside") => inside(&args.collect::<Vec<_>>()),
        _ => {
            let tokio = tokio::runtime::Runtime::new().expect("a runtime");
            tokio.block_on(life(json!({})));
            let own = json!({"hostUsers": false, "securityContext": {"runAsUser": 1000, "fsGroup": 2000}});
            tokio.block_on(life(own));
            println!("test node ... ok");
        }
    }
}

/// What runs in the containers: says what it sees, then waits for its signal.
fn inside(args: &[String]) {
    match args[0].as_str() {
        "wait" => {
            let mut set = nix::sys::signal::SigSet::empty();
            set.add(nix::sys::signal::Signal::SIGTERM);
            set.thread_block().expect("blocked");
            let map = std::fs::read_to_string("/proc/self/uid_map").expect("file");
            let root = map.split_whitespace().nth(1).expect("a number");
            let whose = if root == "0" { "the node's" } else { "its own" };
            let read = std::fs::read_to_string("/c/k").expect("file");
            assert_eq!(std::fs::read_to_string("/part").expect("a part"), read);
            std::fs::write("/c/below/file", "").expect("a volume below the other");
            assert!(std::fs::write("/c/file", "").is_err(), "that one is read-only");
            println!("{} {read}, {whose} users", std::env::var("GREETING").expect("set"));
            std::fs::write("/dev/termination-log", "last words").expect("written");
            set.wait().expect("a signal");
            std::process::exit(if Path::new("/e/stopping").exists() { 0 } else { 4 });
        }
        "write" => std::fs::write(&args[1], &args[2]).expect("written"),
        // Says what it has been given, then takes two mebibytes of its own layer, and waits.
        "fill" => {
            let mut set = nix::sys::signal::SigSet::empty();
            set.add(nix::sys::signal::Signal::SIGTERM);
            set.thread_block().expect("blocked");
            std::fs::write("/big", vec![1; 2 << 20]).expect("written");
            println!("{} {:?}", std::env::var("GIVEN").expect("set"), std::env::var("MISSING").ok());
            set.wait().expect("a signal");
        }
        "touch" => drop(std::fs::write(&args[1], "").expect("written")),
        "exists" => std::process::exit(i32::from(!Path::new(&args[1]).exists())),
        "exit" => std::process::exit(args[1].parse().expect("a code")),
        other => panic!("unknown verb {other}"),
    }
}

struct NoNetwork;

#[async_trait]
impl PodNetwork for NoNetwork {
    async fn attach(&self, _: &str, netns: &Path, _: &[HostPort]) -> network::api::Result<Vec<IpAddr>> {
        assert!(netns.exists());
        Ok(self.addresses(""))
    }

    async fn detach(&self, _: &str) -> network::api::Result<()> {
        Ok(())
    }

    fn addresses(&self, _: &str) -> Vec<IpAddr> {
        vec!["192.0.2.77".parse().expect("address")]
    }
}

struct World {
    api: Api,
    stop: CancellationToken,
    agent: Arc<kubelet::Agent>,
}

fn start(api: Api, config: &runtime::Config, dir: &Path) -> World {
    let runtime = Embedded::new(config.clone()).expect("a runtime");
    let exe = std::env::current_exe().expect("a path");
    runtime.store().import_program("probe:1", &exe, "probe", &["inside"]).expect("imported");
    let stop = CancellationToken::new();
    let hub = Hub::new(api.client(), stop.clone());
    let settings = kubelet::Config {
        node_name: "n1".to_owned(),
        hostname: "n1".to_owned(),
        addresses: vec!["192.0.2.1".parse().expect("address")],
        data_dir: dir.join("kubelet"),
        log_dir: dir.join("logs"),
        log_links: None,
        system_logs: "/var/log".into(),
        log_rotation: Default::default(),
        cluster_dns: vec!["10.96.0.10".parse().expect("address")],
        cluster_domain: "cluster.local".to_owned(),
        port: 10250,
        max_pods: 110,
        pod_pids: Some(100),
        version: "v1.36.3".to_owned(),
        pressure: kubelet::pressure::Policy { thresholds: Vec::new(), ..Default::default() },
        labels: Default::default(),
        taints: Vec::new(),
        pod_cidr: String::new(),
        resolv_conf: "/etc/resolv.conf".into(),
        static_pods: None,
        image_gc: Default::default(),
        credential_providers: Default::default(),
        handlers: Vec::new(),
    };
    let agent = kubelet::agent(settings, &hub, Arc::new(runtime), Arc::new(NoNetwork));
    tokio::spawn(kubelet::run(agent.clone(), hub, None, stop.clone()));
    World { api, stop, agent }
}

impl World {
    async fn until(&self, path: &str, what: &str, good: impl Fn(Option<&Value>) -> bool) -> Value {
        let mut changes = self.api.changes();
        let wait = async {
            loop {
                let object = self.api.get(path);
                if good(object.as_ref()) {
                    return object.unwrap_or_default();
                }
                changes.recv().await.expect("a change");
            }
        };
        match tokio::time::timeout(Duration::from_secs(30), wait).await {
            Ok(object) => object,
            Err(_) => panic!("{what} did not come; it is {:#?}", self.api.get(path)),
        }
    }
}

fn pod() -> Value {
    let probe = |verb: &str, file: &str| json!({"exec": {"command": ["/probe", "inside", verb, file]}});
    let mut ready = probe("exists", "/e/ready");
    ready["periodSeconds"] = 1.into();
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "generation": 1},
        "spec": {"nodeName": "n1", "restartPolicy": "Always", "terminationGracePeriodSeconds": 10,
            "volumes": [{"name": "e", "emptyDir": {"medium": "Memory"}}, {"name": "c", "configMap": {"name": "cm"}},
                {"name": "n", "emptyDir": {}}],
            "initContainers": [{"name": "i", "image": "probe:1", "imagePullPolicy": "IfNotPresent", "args": ["exit", "0"]}],
            "containers": [{"name": "a", "image": "probe:1", "imagePullPolicy": "IfNotPresent", "args": ["wait"],
                "env": [{"name": "GREETING", "value": "hello"}],
                "lifecycle": {"postStart": probe("touch", "/e/ready"), "preStop": probe("touch", "/e/stopping")},
                "readinessProbe": ready,
                "volumeMounts": [{"name": "e", "mountPath": "/e", "subPath": "part"}, {"name": "c", "mountPath": "/c"},
                    {"name": "c", "mountPath": "/part", "subPath": "k"}, {"name": "n", "mountPath": "/c/below"}]}]}})
}

/// What the kernel holds the pod to, in either version.
fn most_processes(root: &str) -> Vec<String> {
    let group = format!("{root}/besteffort/podu1/pids.max");
    let files = ["pids", ""].map(|version| Path::new("/sys/fs/cgroup").join(version).join(&group));
    files.iter().filter_map(|file| Some(std::fs::read_to_string(file).ok()?.trim().to_owned())).collect()
}

/// With these fields added to the pod's spec.
async fn life(fields: Value) {
    assert!(nix::unistd::geteuid().is_root(), "node tests make namespaces and cgroups: run them as root");
    let dir = tempfile::tempdir().expect("directory");
    let name = dir.path().file_name().expect("a name").to_string_lossy().trim_start_matches('.').to_owned();
    let config = runtime::Config {
        root: dir.path().join("root"),
        run: dir.path().join("run"),
        cgroup_root: format!("ironclad-test-{name}"),
        shim_exe: std::env::current_exe().expect("a path"),
    };
    let host_users = fields["hostUsers"].clone();
    let mut result = tokio::spawn(scenario(config.clone(), dir.path().to_owned(), fields)).await;
    if result.is_ok() {
        result = tokio::spawn(filling(config.clone(), dir.path().to_owned(), host_users)).await;
    }
    let left = kubelet::volume::take_down::mounts_below(&dir.path().join("kubelet"));
    let _ = kubelet::volume::take_down::unmount(&dir.path().join("kubelet"));
    runtime::teardown(&config).expect("torn down");
    result.expect("the scenario passes");
    assert!(left.is_empty(), "mounts are left: {left:?}");
}

async fn scenario(config: runtime::Config, dir: std::path::PathBuf, fields: Value) {
    let world = start(Api::new(), &config, &dir);
    let ready = |o: Option<&Value>| o.is_some_and(|o| o["status"]["conditions"][3]["reason"] == "KubeletReady");
    world.until("/api/v1/nodes/n1", "a ready node", ready).await;
    world.api.put("/api/v1/namespaces/ns/configmaps/cm", json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "cm", "namespace": "ns"}, "data": {"k": "world"}}));
    let begun = Instant::now();
    let mut wanted = pod();
    let own = fields["hostUsers"] == false;
    fields.as_object().expect("fields").iter().for_each(|(name, value)| wanted["spec"][name] = value.clone());
    world.api.put(POD, wanted);
    let is_ready = |o: Option<&Value>| o.is_some_and(|o| o["status"]["containerStatuses"][0]["ready"] == true);
    let pod = world.until(POD, "a ready pod", is_ready).await;
    println!("ready after {:?}", begun.elapsed());
    assert_eq!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
    assert!(pod["status"]["conditions"].as_array().expect("list").iter().all(|c| c["status"] == "True"));
    let log = std::fs::read_to_string(dir.join("logs/ns_p_u1/a/0.log")).expect("a log");
    let whose = if own { "its own" } else { "the node's" };
    assert!(log.ends_with(&format!("stdout F hello world, {whose} users\n")), "{log}");
    // On the disk a file is of the user that the pod sees.
    let made = std::fs::metadata(dir.join("kubelet/pods/u1/volumes/kubernetes.io~empty-dir/e/part/ready")).expect("a file");
    assert_eq!((made.uid(), made.gid()), if own { (1000, 2000) } else { (0, 0) });
    let id = pod["status"]["containerStatuses"][0]["containerID"].clone();
    assert_eq!(most_processes(&config.cgroup_root), ["100"]);

    // Another agent takes over: the container goes on.
    world.stop.cancel();
    world.agent.pods.abort_all();
    let World { api, .. } = world;
    let world = start(api, &config, &dir);
    world.until("/api/v1/nodes/n1", "a ready node", ready).await;
    let id_now = world.api.get(POD).expect("pod")["status"]["containerStatuses"][0]["containerID"].clone();
    assert_eq!(id, id_now);

    // A container that is killed comes back, and its end is told. What it has a part of was exchanged meanwhile.
    world.api.put("/api/v1/namespaces/ns/configmaps/cm", json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "cm", "namespace": "ns"}, "data": {"k": "moon"}}));
    let file = dir.join("kubelet/pods/u1/volumes/kubernetes.io~configmap/c/k");
    let written = async {
        while std::fs::read(&file).expect("a file") != b"moon" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("the new content");
    let hex = id.as_str().expect("an id").trim_start_matches("ironclad://").to_owned();
    world.agent.runtime.stop_container(&hex, 1).await.expect("stopped");
    let restarted = |o: Option<&Value>| o.is_some_and(|o| o["status"]["containerStatuses"][0]["restartCount"] == 1);
    let pod = world.until(POD, "a restart", restarted).await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["message"]), (&4.into(), &"last words".into()));
    world.until(POD, "a ready pod", is_ready).await;
    let log = std::fs::read_to_string(dir.join("logs/ns_p_u1/a/1.log")).expect("a log");
    assert!(log.ends_with(&format!("stdout F hello moon, {whose} users\n")), "{log}");

    // Deletion: the hook comes before the signal, and nothing is left.
    let mut deleted = world.api.get(POD).expect("pod");
    deleted["metadata"]["deletionTimestamp"] = meta::time::seconds(jiff::Timestamp::now() + Duration::from_secs(10)).into();
    deleted["metadata"]["deletionGracePeriodSeconds"] = 10.into();
    world.api.put(POD, deleted);
    let code = |o: Option<&Value>| {
        o.is_some_and(|o| o["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0)
    };
    world.until(POD, "exit code 0", code).await;
    world.until(POD, "the end", |o| o.is_none()).await;
    while world.agent.runtime.pod("u1").await.expect("answer").is_some() || dir.join("kubelet/pods/u1").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!dir.join("logs/ns_p_u1").exists());
    world.stop.cancel();
}

/// A pod that reads variables out of its own file, and takes more of the disk than it may.
async fn filling(config: runtime::Config, dir: std::path::PathBuf, host_users: Value) {
    let world = start(Api::new(), &config, &dir);
    let container = |name: &str, args: Value| {
        json!({"name": name, "image": "probe:1", "imagePullPolicy": "IfNotPresent", "args": args,
            "volumeMounts": [{"name": "e", "mountPath": "/e"}]})
    };
    let from = |name: &str, key: &str| {
        let reference = json!({"volumeName": "e", "path": "env", "key": key, "optional": key != "KEY"});
        json!({"name": name, "valueFrom": {"fileKeyRef": reference}})
    };
    let mut filling = container("a", json!(["fill"]));
    filling["env"] = json!([from("GIVEN", "KEY"), from("MISSING", "NONE")]);
    filling["resources"] = json!({"limits": {"ephemeral-storage": "1Mi"}});
    filling["volumeMounts"][0]["readOnly"] = true.into();
    filling["volumeMounts"][0]["recursiveReadOnly"] = "Enabled".into();
    world.api.put(POD, json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u2", "generation": 1},
        "spec": {"nodeName": "n1", "restartPolicy": "Always", "volumes": [{"name": "e", "emptyDir": {}}],
            "hostUsers": host_users, "securityContext": {"supplementalGroups": [4000], "supplementalGroupsPolicy": "Strict"},
            "initContainers": [container("i", json!(["write", "/e/env", "# comment\nKEY='of the pod'\n"]))],
            "containers": [filling]}}));
    let log = dir.join("logs/ns_p_u2/a/0.log");
    let running = |o: Option<&Value>| o.is_some_and(|o| o["status"]["phase"] == "Running");
    let pod = world.until(POD, "a running pod", running).await;
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["user"]["linux"], json!({"uid": 0, "gid": 0, "supplementalGroups": [0, 4000]}));
    assert_eq!(status["volumeMounts"][0]["recursiveReadOnly"], "Enabled");
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with("stdout F of the pod None\n")) {
        tokio::task::yield_now().await;
    }
    let known = world.agent.pods.find("ns", "p").expect("known");
    let limits = kubelet::storage::limits::Limits::of(&known).expect("a limit");
    let usage = kubelet::storage::look(&world.agent, &known, &limits).await.expect("measured");
    assert!(usage.layers.iter().any(|(name, size)| name == "a" && size.bytes > 1 << 20), "{usage:?}");
    let failed = |o: Option<&Value>| o.is_some_and(|o| o["status"]["phase"] == "Failed");
    let pod = world.until(POD, "the eviction", failed).await;
    let message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
    assert_eq!((&pod["status"]["reason"], &pod["status"]["message"]), (&"Evicted".into(), &message.into()));
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "nothing starts again");
    world.stop.cancel();
    world.agent.pods.abort_all();
}
