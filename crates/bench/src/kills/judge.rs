//! Whether what is said is what is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use network::Names;
use serde_json::Value;

use super::shapes::{End, Shape, port_on_node};
use crate::soak::api::Api;
use crate::soak::pods::{ask, is_ready};
use crate::soak::scene::Scene;
use crate::soak::usage;

/// Until everything is as it should be: a container that was killed twice waits ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_millis(100);
/// What is wrong for so long is wrong: a process that dies is still there for a moment.
const LASTS: Duration = Duration::from_secs(10);

/// What is known of a pod of ours.
pub struct Known {
    shape: &'static Shape,
    number: usize,
    /// As soon as it was seen.
    pub uid: Option<String>,
    /// Kills, and ids of its containers with their restarts, when it was last steady.
    last: Option<(u64, Ids)>,
}

/// By name of the container.
type Ids = BTreeMap<String, (String, u64)>;

/// By name.
pub type Pods = BTreeMap<String, Known>;

impl Known {
    pub fn new(shape: &'static Shape, number: usize) -> Self {
        Known { shape, number, uid: None, last: None }
    }
}

/// Waits until the cluster is as it should be, and says how long that took. What never may be is noted at once.
pub async fn steady(api: &mut Api, pods: &mut Pods) -> Result<Duration> {
    let began = Instant::now();
    let mut odd_since = None;
    loop {
        let Ok(list) = api.get("/api/v1/pods").await? else { bail!("the pods are refused") };
        let all = list["items"].as_array().cloned().unwrap_or_default();
        let scene = api.scene.clone();
        for pod in &all {
            if let Err(error) = restarts(&scene, pods, pod) {
                scene.wrong(format!("{}: {error:#}: {}", pod["metadata"]["name"], pod["status"]));
                return Ok(began.elapsed());
            }
        }
        match right(&scene, pods, &all).await {
            Ok(()) => {
                remember(&scene, pods, &all);
                return Ok(began.elapsed());
            }
            Err(Odd::NotYet(why)) if began.elapsed() > PATIENCE => {
                scene.wrong(format!("not steady within {PATIENCE:?}: {why}"));
                return Ok(began.elapsed());
            }
            Err(Odd::NotYet(_)) => odd_since = None,
            // All pods are said to be ready.
            Err(Odd::Untrue(why)) if odd_since.get_or_insert_with(Instant::now).elapsed() > LASTS => {
                scene.wrong(why);
                return Ok(began.elapsed());
            }
            Err(Odd::Untrue(_)) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

enum Odd {
    /// Pods are on their way.
    NotYet(String),
    /// Pods are said to be as they should, and are not.
    Untrue(String),
}

async fn right(scene: &Scene, pods: &mut Pods, all: &[Value]) -> Result<(), Odd> {
    let names: Vec<&str> = all.iter().filter(|pod| is_ours(pod)).map(name).collect();
    if let Some(missing) = pods.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(Odd::NotYet(format!("{missing} is not there")));
    }
    for pod in all {
        let known = pods.get(name(pod)).filter(|_| is_ours(pod));
        let done = match known.map(|known| known.shape.end) {
            // What runs once at the most and was killed has failed.
            Some(End::Ends) => {
                let once = pod["spec"]["restartPolicy"] == "Never";
                let killed = scene.kills(pod["metadata"]["uid"].as_str().unwrap_or_default()) > 0;
                pod["status"]["phase"] == "Succeeded" || once && killed && pod["status"]["phase"] == "Failed"
            }
            Some(_) => is_ready(pod),
            // One that goes, or one of the demo's.
            None => !is_ours(pod) && is_ready(pod),
        };
        if !done || !pod["metadata"]["deletionTimestamp"].is_null() {
            return Err(Odd::NotYet(format!("{}: {}", name(pod), pod["status"])));
        }
    }
    for pod in all {
        let known = pods.get(name(pod)).filter(|_| is_ours(pod));
        traffic(pod, known).await.map_err(|e| Odd::Untrue(format!("{}: {e:#}: {}", name(pod), pod["status"])))?;
    }
    counts(scene, all).map_err(|e| Odd::Untrue(format!("{e:#}")))
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

fn is_ours(pod: &Value) -> bool {
    pod["metadata"]["labels"]["app"] == "kills"
}

fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["containerStatuses", "initContainerStatuses"];
    lists.into_iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
}

/// No container was restarted that was not killed.
fn restarts(scene: &Scene, pods: &mut Pods, pod: &Value) -> Result<()> {
    let uid = pod["metadata"]["uid"].as_str().context("no uid")?;
    let kills = scene.kills(uid);
    for status in statuses(pod) {
        let count = status["restartCount"].as_u64().unwrap_or(0);
        ensure!(count <= kills, "{} was restarted {count} times, and the pod killed {kills} times", status["name"]);
    }
    let Some(known) = pods.get_mut(name(pod)).filter(|_| is_ours(pod)) else { return Ok(()) };
    ensure!(known.uid.get_or_insert_with(|| uid.to_owned()) == uid, "it is another pod");
    if let Some((before, ids)) = &known.last
        && *before == kills
    {
        ensure!(*ids == self::ids(pod), "it was not killed; its containers were {ids:?}");
    }
    Ok(())
}

fn ids(pod: &Value) -> Ids {
    let one = |status: &Value| {
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        (text("name"), (text("containerID"), status["restartCount"].as_u64().unwrap_or(0)))
    };
    statuses(pod).map(one).collect()
}

fn remember(scene: &Scene, pods: &mut Pods, all: &[Value]) {
    for pod in all.iter().filter(|pod| is_ours(pod)) {
        let kills = scene.kills(pod["metadata"]["uid"].as_str().unwrap_or_default());
        if let Some(known) = pods.get_mut(name(pod)) {
            known.last = Some((kills, ids(pod)));
        }
    }
}

/// A ready pod answers at all its ports.
async fn traffic(pod: &Value, known: Option<&Known>) -> Result<()> {
    let on_node = known.map(|known| [port_on_node(known.number)]);
    let ports: &[u16] = match (known.map(|known| known.shape.end), &on_node) {
        (Some(End::Ends), _) => return Ok(()),
        (Some(End::Serves(ports)), _) => ports,
        (Some(End::ServesOnNode), Some(port)) => port,
        _ => &[8080],
    };
    let address: IpAddr = pod["status"]["podIP"].as_str().context("no address")?.parse()?;
    for port in ports {
        let said = ask(address, *port).await?;
        let answers = pod["spec"]["hostNetwork"] == true || said.ends_with(&format!("\r\n\r\n{}\n", name(pod)));
        ensure!(answers, "port {port} said {said:?}");
    }
    Ok(())
}

/// Every container that runs does so once; pods have what they need, and nobody else has.
fn counts(scene: &Scene, all: &[Value]) -> Result<()> {
    let mut servers: HashMap<String, usize> = HashMap::new();
    for process in usage::in_pods(scene)? {
        if process.words.iter().any(|word| word == "demo-server") {
            *servers.entry(process.pod.unwrap_or_default()).or_default() += 1;
        }
    }
    let mut expected: HashMap<String, usize> = HashMap::new();
    for pod in all {
        let running = statuses(pod).filter(|status| !status["state"]["running"].is_null()).count();
        if running > 0 {
            expected.insert(pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned(), running);
        }
    }
    ensure!(servers == expected, "servers that run, by pod: {servers:?}, and that should: {expected:?}");
    let live = all.iter().filter(|pod| pod["status"]["phase"] == "Running");
    let (on_node, own): (Vec<&Value>, Vec<&Value>) = live.partition(|pod| pod["spec"]["hostNetwork"] == true);
    // The first process of a shared process namespace is a child of its shim, by the same name.
    let shims = usage::shims(scene)?.into_iter().map(|(_, uid)| uid).collect::<HashSet<_>>().len();
    ensure!(shims == own.len() + on_node.len(), "{shims} shims for {} pods", own.len() + on_node.len());
    let table = std::fs::read_to_string("/proc/self/net/dev")?;
    let links = table.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| Names::is_pods(name.trim())).count();
    ensure!(links == own.len(), "{links} links for {} pods", own.len());
    for (what, dir, count) in [
        ("network namespaces", scene.run.join("netns"), own.len()),
        ("sandboxes", scene.run.join("pods"), own.len() + on_node.len()),
        ("records", scene.cluster.data().join("runtime/pods"), all.len()),
        ("directories", scene.cluster.data().join("kubelet/pods"), all.len()),
    ] {
        let found = std::fs::read_dir(&dir).map_or(0, |entries| entries.count());
        ensure!(found == count, "{found} {what} for {count} pods");
    }
    Ok(())
}
