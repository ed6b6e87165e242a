//! Pods that come and go: each becomes ready, answers with its own name, and is gone when it was deleted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::api::Api;
use super::scene::Scene;
use crate::https;

/// Where they are.
pub const PODS: &str = "/api/v1/namespaces/soak/pods";
/// The image that `up --demo` makes, and the port its program answers at.
pub const IMAGE: &str = "ironclad.local/demo:v1";
const PORT: u16 = 8080;
/// From creation to ready, from deletion to gone: faults come between.
const PATIENCE: Duration = Duration::from_secs(180);
/// A pod that is ready answers within this, whatever was done to it just before.
const ANSWERS: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(250);
/// How long a pod lives, in seconds.
const LIFE: std::ops::Range<u64> = 1..40;

/// The namespace that all is in.
pub async fn prepare(api: &mut Api) -> Result<()> {
    let namespace = json!({"metadata": {"name": "soak"}});
    match api.insist(&https::post("/api/v1/namespaces", namespace.to_string().as_bytes())).await? {
        Ok(_) | Err(409) => Ok(()),
        Err(code) => bail!("the namespace is refused: {code}"),
    }
}

/// Makes pods until the end.
pub async fn work(scene: Arc<Scene>, worker: usize, mut rng: StdRng) {
    let mut api = Api::new(&scene);
    for number in 0.. {
        if !scene.goes_on().await {
            return;
        }
        let name = format!("p{worker}-{number}");
        let life = Duration::from_secs(rng.random_range(LIFE));
        let lived = match rng.random_range(0..4) {
            0 => finishes(&mut api, &name).await,
            _ => serves(&mut api, &name, life).await,
        };
        let gone = remove(&mut api, &name).await;
        if let Err(error) = lived.and(gone) {
            scene.wrong(format!("pod {name}: {error:#}"));
        }
    }
}

/// A container that serves. Restarted at once when it ends: the pause between restarts is not what is tried here.
pub fn container() -> Value {
    let probe = json!({"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1});
    json!({"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "readinessProbe": probe})
}

async fn serves(api: &mut Api, name: &str, life: Duration) -> Result<()> {
    let full_before = api.scene.full();
    create(api, name, json!({"containers": [container()], "terminationGracePeriodSeconds": 2})).await?;
    until(api, name, "ready", is_ready).await?;
    answers(api, name, full_before).await?;
    api.scene.pause(life).await;
    until(api, name, "ready again", is_ready).await?;
    answers(api, name, full_before).await
}

/// A pod whose work ends.
async fn finishes(api: &mut Api, name: &str) -> Result<()> {
    let container = json!({"name": "c", "image": IMAGE, "command": ["/ironclad", "version"]});
    create(api, name, json!({"containers": [container], "restartPolicy": "OnFailure"})).await?;
    until(api, name, "Succeeded", |pod| pod["status"]["phase"] == "Succeeded").await.map(drop)
}

async fn create(api: &mut Api, name: &str, spec: Value) -> Result<()> {
    let pod = json!({"metadata": {"name": name, "labels": {"app": "soak"}}, "spec": spec});
    match api.insist(&https::post(PODS, pod.to_string().as_bytes())).await? {
        // The first try was done, and its answer lost.
        Ok(_) | Err(409) => Ok(()),
        Err(code) => bail!("refused: {code}"),
    }
}

pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

async fn until(api: &mut Api, name: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
    let (began, path) = (Instant::now(), format!("{PODS}/{name}"));
    loop {
        let Ok(pod) = api.get(&path).await? else { bail!("it is not there") };
        if is_it(&pod) {
            return Ok(pod);
        }
        ensure!(began.elapsed() < PATIENCE, "not {what} within {PATIENCE:?}: {}", pod["status"]);
        tokio::time::sleep(AGAIN).await;
    }
}

/// The pod answers at its address with its name, and was not restarted more often than it was killed.
async fn answers(api: &mut Api, name: &str, full_before: u64) -> Result<()> {
    let (began, path) = (Instant::now(), format!("{PODS}/{name}"));
    loop {
        let Ok(pod) = api.get(&path).await? else { bail!("it is not there") };
        check_restarts(&api.scene, &pod, full_before)?;
        match answer(&pod).await {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() > ANSWERS => return Err(error.context(format!("{}", pod["status"]))),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Restarts have a reason: kills, and a disk that was full since the pod was made, before which it was so often.
pub fn check_restarts(scene: &Scene, pod: &Value, full_before: u64) -> Result<()> {
    let kills = scene.kills(pod["metadata"]["uid"].as_str().unwrap_or_default()) + scene.full() - full_before;
    let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0);
    ensure!(restarts <= kills, "restarted {restarts} times, killed {kills} times: {}", pod["status"]);
    Ok(())
}

/// Asks the pod for its name.
pub async fn answer(pod: &Value) -> Result<()> {
    let address: IpAddr = pod["status"]["podIP"].as_str().context("no address")?.parse()?;
    let said = ask(address, PORT).await?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    ensure!(said.ends_with(&format!("\r\n\r\n{name}\n")), "{address} said {said:?}");
    Ok(())
}

/// One request over HTTP: the whole answer. A dead address is silent for five seconds at the most.
pub async fn ask(address: IpAddr, port: u16) -> Result<String> {
    let talk = async {
        let mut stream = TcpStream::connect((address, port)).await.context("connect")?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n").await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        Ok(said)
    };
    tokio::time::timeout(Duration::from_secs(5), talk).await.with_context(|| format!("{address} is silent"))?
}

async fn remove(api: &mut Api, name: &str) -> Result<()> {
    let (began, path) = (Instant::now(), format!("{PODS}/{name}"));
    loop {
        let asked = api.insist(&https::request("DELETE", &path, "application/json", b"")).await?;
        let found = api.get(&path).await?;
        match found {
            Err(404) => return Ok(()),
            _ if began.elapsed() > PATIENCE => bail!("not gone within {PATIENCE:?} ({:?}): {found:?}", asked.err()),
            _ => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// How many containers of pods that are there have been restarted.
pub async fn restarted(scene: &Arc<Scene>) -> Result<u64> {
    let Ok(list) = Api::new(scene).get("/api/v1/pods").await? else { bail!("the pods are refused") };
    let pods = list["items"].as_array().into_iter().flatten();
    let statuses = pods.flat_map(|pod| pod["status"]["containerStatuses"].as_array().into_iter().flatten());
    Ok(statuses.filter(|status| !status["lastState"]["terminated"].is_null()).count() as u64)
}

/// Waits until every pod of the cluster is ready, and none is going.
pub async fn all_ready(scene: &Arc<Scene>) {
    let (began, mut api) = (Instant::now(), Api::new(scene));
    loop {
        let waits = match api.get("/api/v1/pods").await {
            Ok(Ok(list)) => {
                let pods = list["items"].as_array().cloned().unwrap_or_default();
                let bad = pods.iter().find(|pod| !is_ready(pod) || !pod["metadata"]["deletionTimestamp"].is_null());
                let Some(pod) = bad else { return };
                format!("{}: {}", pod["metadata"]["name"], pod["status"])
            }
            other => format!("{other:?}"),
        };
        if began.elapsed() > PATIENCE {
            return scene.wrong(format!("not all pods are ready at rest: {waits}"));
        }
        tokio::time::sleep(AGAIN).await;
    }
}
