//! Pods from creation to deletion.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use client::Hub;
use network::{HostPort, PodNetwork};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::runtime::Fake;

/// Remembers of whom it was told to take everything away.
#[derive(Default)]
struct Net(std::sync::Mutex<Vec<String>>);

#[async_trait]
impl PodNetwork for Net {
    fn owners(&self) -> Vec<String> {
        vec!["gone-with-an-address".to_owned()]
    }

    async fn attach(&self, _: &str, _: &Path, _: &[HostPort]) -> network::api::Result<Vec<IpAddr>> {
        Ok(self.addresses(""))
    }

    async fn detach(&self, uid: &str) -> network::api::Result<()> {
        self.0.lock().expect("whole").push(uid.to_owned());
        Ok(())
    }

    fn addresses(&self, _: &str) -> Vec<IpAddr> {
        vec!["192.0.2.77".parse().expect("address")]
    }
}

/// An agent with its surroundings.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) runtime: Arc<Fake>,
    pub(crate) agent: Arc<crate::Agent>,
    net: Arc<Net>,
    pub(crate) stop: CancellationToken,
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        World::with(Api::new(), Arc::new(Fake::new()), tempfile::tempdir().expect("directory"))
    }

    pub(crate) fn with(api: Api, runtime: Arc<Fake>, dir: tempfile::TempDir) -> Self {
        let stop = CancellationToken::new();
        let hub = Hub::new(api.client(), stop.clone());
        let config = super::config(dir.path());
        World::as_told(api, runtime, dir, stop, hub, config)
    }

    /// One that is told something else than all others.
    pub(crate) fn with_config(api: Api, change: impl FnOnce(&mut crate::Config)) -> Self {
        let (dir, stop) = (tempfile::tempdir().expect("directory"), CancellationToken::new());
        let hub = Hub::new(api.client(), stop.clone());
        let mut config = super::config(dir.path());
        change(&mut config);
        World::as_told(api, Arc::new(Fake::new()), dir, stop, hub, config)
    }

    fn as_told(
        api: Api, runtime: Arc<Fake>, dir: tempfile::TempDir, stop: CancellationToken, hub: Hub, config: crate::Config,
    ) -> Self {
        let net = Arc::new(Net::default());
        let agent = crate::agent(config, &hub, runtime.clone(), net.clone());
        tokio::spawn(crate::run(agent.clone(), hub, None, stop.clone()));
        World { api, runtime, agent, net, stop, dir }
    }

    /// Waits until the object at the path satisfies the condition.
    pub(crate) async fn until(&self, path: &str, what: &str, good: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
        let mut changes = self.api.changes();
        let wait = async {
            loop {
                let object = self.api.get(path);
                if good(object.as_ref()) {
                    return object;
                }
                changes.recv().await.expect("a change");
            }
        };
        match tokio::time::timeout(std::time::Duration::from_secs(20), wait).await {
            Ok(object) => object,
            Err(_) => panic!("{what} did not come; it is {:#?}", self.api.get(path)),
        }
    }

    pub(crate) async fn phase(&self, phase: &str) -> Value {
        let is = |o: Option<&Value>| o.is_some_and(|o| o["status"]["phase"] == phase);
        self.until(POD, phase, is).await.expect("a pod")
    }
}

pub(crate) const POD: &str = "/api/v1/namespaces/ns/pods/p";

pub(crate) fn pod(policy: &str, image: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "generation": 1},
        "spec": {"nodeName": "n1", "restartPolicy": policy, "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "cm"}}],
            "containers": [{"name": "a", "image": image, "imagePullPolicy": "IfNotPresent",
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "volumeMounts": [{"name": "e", "mountPath": "/e"}, {"name": "c", "mountPath": "/c", "subPath": ""}]}]}})
}

pub(crate) fn config_map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "ns"}, "data": {"k": "v"}})
}

pub(crate) const CONFIG_MAP: &str = "/api/v1/namespaces/ns/configmaps/cm";

#[tokio::test]
async fn a_pod_runs_and_is_deleted() {
    let world = World::start();
    let ready = |o: Option<&Value>| o.is_some_and(|o| o["status"]["conditions"][3]["reason"] == "KubeletReady");
    world.until("/api/v1/nodes/n1", "a ready node", ready).await;
    world.until("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1", "a lease", |o| o.is_some()).await;
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    let running = world.phase("Running").await;
    let status = &running["status"];
    assert_eq!(status["podIP"], "192.0.2.77");
    assert_eq!(status["hostIP"], "192.0.2.1");
    assert_eq!(status["containerStatuses"][0]["imageID"], "docker.io/library/i@sha256:d");
    let node = world.api.get("/api/v1/nodes/n1").expect("a node");
    assert_eq!(node["status"]["features"]["supplementalGroupsPolicy"], true);
    let features = json!({"recursiveReadOnlyMounts": true, "userNamespaces": false});
    let handlers = ["", "ironclad"].map(|name| json!({"name": name, "features": features}));
    assert_eq!(node["status"]["runtimeHandlers"], json!(handlers));
    let user = &status["containerStatuses"][0]["user"]["linux"];
    assert_eq!(*user, json!({"uid": 7, "gid": 8, "supplementalGroups": [8, 9]}));
    let conditions = status["conditions"].as_array().expect("conditions");
    assert!(conditions.iter().all(|c| c["status"] == "True"), "{conditions:#?}");
    let config = world.runtime.configs.lock().expect("lock")[0].clone();
    assert!(config.env.contains(&("IP".to_owned(), "192.0.2.77".to_owned())));
    let volume = config.mounts.iter().find(|m| m.target == Path::new("/c")).expect("mount").source.clone();
    assert_eq!(std::fs::read_to_string(volume.join("k")).expect("file"), "v");

    let mut deleted = world.api.get(POD).expect("pod");
    deleted["metadata"]["deletionTimestamp"] = json!("2020-01-01T00:00:00Z");
    deleted["metadata"]["deletionGracePeriodSeconds"] = json!(1);
    world.api.put(POD, deleted);
    world.until(POD, "the end", |o| o.is_none()).await;
    world.stop.cancel();
}

#[tokio::test]
async fn a_pod_gets_users_of_its_own_or_does_not_start() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    let mut own = pod("Always", "i");
    own["spec"]["hostUsers"] = json!(false);
    world.api.put(POD, own);
    let mut changes = world.api.changes();
    let refused = async {
        loop {
            let (_, change) = changes.recv().await.expect("a change");
            let event = &change["object"];
            if event["reason"] == "FailedCreatePodSandBox" {
                return event["message"].as_str().expect("a text").to_owned();
            }
        }
    };
    let refused = tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.expect("an event");
    assert!(refused.ends_with("can't set `spec.hostUsers: false`, runtime does not support user namespaces"), "{refused}");
    assert!(runtime::Runtime::pod(&*world.runtime, "u1").await.expect("answer").is_none());
    // As after the exchange of the node's kernel: it is tried again.
    world.runtime.user_namespaces.store(true, std::sync::atomic::Ordering::Relaxed);
    world.phase("Running").await;
    let made = runtime::Runtime::pod(&*world.runtime, "u1").await.expect("answer").expect("a sandbox");
    assert!(made.config.user_namespace);
    let config = world.runtime.configs.lock().expect("lock")[0].clone();
    assert!(config.mounts.iter().all(|mount| !mount.in_pod_ids), "the runtime shows all of them with the pod's ids");
    world.stop.cancel();
}

#[tokio::test]
async fn a_container_that_ends_is_restarted_and_its_end_is_kept() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    world.phase("Running").await;
    world.runtime.exit("u1", "a", 7);
    let restarted = |o: Option<&Value>| o.is_some_and(|o| o["status"]["containerStatuses"][0]["restartCount"] == 1);
    let pod = world.until(POD, "a restart", restarted).await.expect("pod");
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 7);
    assert_eq!(pod["status"]["phase"], "Running");
    world.runtime.exit("u1", "a", 8);
    let waits = |o: Option<&Value>| {
        o.is_some_and(|o| o["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff")
    };
    world.until(POD, "back-off", waits).await;
    world.stop.cancel();
}

#[tokio::test]
async fn a_pod_that_is_done_keeps_its_record() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Never", "i"));
    world.phase("Running").await;
    world.runtime.exit("u1", "a", 0);
    let pod = world.phase("Succeeded").await;
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
    assert_eq!(pod["status"]["conditions"][2]["reason"], "PodCompleted");
    world.stop.cancel();
}

#[tokio::test]
async fn what_is_missing_is_told_and_awaited() {
    let world = World::start();
    world.api.put(POD, pod("Always", "absent"));
    world.phase("Pending").await;
    // The volume's ConfigMap comes later: no timer is needed to see it. Then the image is missing.
    world.api.put(CONFIG_MAP, config_map());
    let waits = |o: Option<&Value>| {
        o.is_some_and(|o| o["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull")
    };
    let pod = world.until(POD, "ErrImagePull", waits).await.expect("pod");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"], "absent: no such host");
    world.stop.cancel();
}

/// After `down` and `up`: the API has the pods, the runtime has none.
#[tokio::test]
async fn a_pod_that_the_runtime_has_lost_goes_on_or_has_failed() {
    for (policy, count, phase) in [("Always", 1, "Running"), ("Never", 0, "Failed")] {
        let world = World::start();
        world.api.put(CONFIG_MAP, config_map());
        world.api.put(POD, pod(policy, "i"));
        let before = world.phase("Running").await;
        world.stop.cancel();
        world.agent.pods.abort_all();
        let World { api, dir, .. } = world;
        let world = World::with(api, std::sync::Arc::new(Fake::new()), dir);
        let other = |o: &Value| o["status"]["containerStatuses"][0]["containerID"] != before["status"]["containerStatuses"][0]["containerID"];
        let is = |o: Option<&Value>| o.is_some_and(|o| o["status"]["phase"] == phase && (phase == "Failed" || other(o)));
        let after = world.until(POD, "its end or its restart", is).await.expect("pod");
        let status = &after["status"]["containerStatuses"][0];
        assert_eq!(status["restartCount"], count, "{status:#}");
        let ended = if policy == "Never" { &status["state"] } else { &status["lastState"] };
        assert_eq!(ended["terminated"]["reason"], "ContainerStatusUnknown", "{status:#}");
        assert_eq!(ended["terminated"]["exitCode"], 137);
        world.stop.cancel();
    }
}

#[tokio::test]
async fn a_new_agent_adopts_running_pods_and_removes_orphans() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    let before = world.phase("Running").await;
    world.stop.cancel();
    world.agent.pods.abort_all();
    let orphan = runtime::PodConfig { uid: "u2".to_owned(), ..Default::default() };
    runtime::Runtime::start_pod(&*world.runtime, &orphan).await.expect("started");
    let World { api, runtime, dir, .. } = world;
    // Of one pod only the logs are left, of another only an address.
    let logs = |uid: &str| dir.path().join(format!("logs/default_p_{uid}"));
    ["u1", "gone"].iter().for_each(|uid| std::fs::create_dir_all(logs(uid).join("a")).expect("made"));
    let (kept, gone) = (logs("u1"), logs("gone"));
    let mut told = api.changes();
    let world = World::with(api, runtime, dir);
    world.runtime.exit("u1", "a", 1);
    let restarted = |o: Option<&Value>| o.is_some_and(|o| o["status"]["containerStatuses"][0]["restartCount"] == 1);
    let after = world.until(POD, "a restart", restarted).await.expect("pod");
    assert_eq!(before["status"]["startTime"], after["status"]["startTime"]);
    // While it looks at what it has taken over, nothing else is said of it.
    while let Ok((path, change)) = told.try_recv() {
        let network = |c: &&Value| c["type"] == "PodReadyToStartContainers" && c["status"] != "True";
        let lost = change["object"]["status"]["conditions"].as_array().and_then(|list| list.iter().find(network));
        assert!(path != POD || lost.is_none(), "{lost:#?}");
    }
    while runtime::Runtime::pod(&*world.runtime, "u2").await.expect("answer").is_some() {
        tokio::task::yield_now().await;
    }
    while gone.exists() {
        tokio::task::yield_now().await;
    }
    assert!(kept.exists(), "the pod that is known keeps its logs");
    let detached = world.net.0.lock().expect("whole").clone();
    assert!(detached.contains(&"gone-with-an-address".to_owned()) && !detached.contains(&"u1".to_owned()), "{detached:?}");
    world.stop.cancel();
    drop(world.dir);
}
