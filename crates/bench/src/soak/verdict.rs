//! What must hold while all work rests: the objects are those of the books, every pod answers, everything runs once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::api::Api;
use super::maps::{ALL, number_in};
use super::pods;
use super::scene::Scene;
use super::usage;

/// How long pods and services may take after the last fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at everything.
pub async fn judge(scene: &Arc<Scene>, when: &str) {
    let mut api = Api::new(scene);
    pods::all_ready(scene).await;
    for (what, judged) in [("objects", objects(scene, &mut api).await), ("pods", pods_answer(scene, &mut api).await)] {
        match judged {
            Ok(count) => println!("{:>6.0}s {when}: {count} {what} are right", scene.seconds()),
            Err(error) => scene.wrong(format!("{what} {when}: {error:#}")),
        }
    }
    if let Err(error) = once(scene, &mut api).await {
        scene.wrong(format!("{when}: {error:#}"));
    }
}

/// The ConfigMaps are those that were acknowledged last.
async fn objects(scene: &Scene, api: &mut Api) -> Result<usize> {
    let list = api.get(ALL).await?.ok().context("the list is refused")?;
    let mut there = BTreeMap::new();
    for object in list["items"].as_array().into_iter().flatten() {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        there.insert(name.to_owned(), number_in(object).with_context(|| format!("{name} is damaged"))?);
    }
    let books = scene.ledger.books();
    let expected: BTreeMap<_, _> =
        books.present.iter().filter_map(|(name, number)| Some((name.clone(), (*number)?))).collect();
    let refused: Vec<_> = there.iter().filter(|(_, number)| books.refused.contains(number)).collect();
    ensure!(refused.is_empty(), "refused, and there: {refused:?}");
    let lost: Vec<_> = expected.iter().filter(|(name, number)| there.get(*name) != Some(*number)).collect();
    let (shown, now) = (&lost[..lost.len().min(5)], |name: &String| there.get(name).copied());
    let shown: Vec<_> = shown.iter().map(|(name, number)| (name, number, now(name))).collect();
    ensure!(lost.is_empty(), "{} are not as acknowledged; name, acknowledged, now: {shown:?}", lost.len());
    let more: Vec<_> = there.keys().filter(|name| !expected.contains_key(*name)).collect();
    ensure!(more.is_empty(), "deleted, and there: {more:?}");
    Ok(there.len())
}

/// Every pod answers at its address; the demo's service and one of its name in DNS lead to its pods.
async fn pods_answer(scene: &Scene, api: &mut Api) -> Result<usize> {
    let list = api.get("/api/v1/pods").await?.ok().context("the list is refused")?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    for pod in &pods {
        pods::check_restarts(scene, pod, 0).with_context(|| format!("pod {}", pod["metadata"]["name"]))?;
        patiently(|| pods::answer(pod)).await.with_context(|| format!("pod {}", pod["metadata"]["name"]))?;
    }
    let service = api.get("/api/v1/namespaces/default/services/demo").await?.ok().context("no service demo")?;
    let address = service["spec"]["clusterIP"].as_str().unwrap_or_default().parse().context("its address")?;
    patiently(async || {
        let said = pods::ask(address, 80).await?;
        ensure!(said.contains("\r\n\r\ndemo-"), "the service said {said:?}");
        Ok(())
    })
    .await?;
    Ok(pods.len())
}

async fn patiently<F: Future<Output = Result<()>>>(mut work: impl FnMut() -> F) -> Result<()> {
    let began = Instant::now();
    loop {
        match work().await {
            Err(_) if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(250)).await,
            done => return done,
        }
    }
}

/// One program, one shim for every pod, one process for every container.
async fn once(scene: &Scene, api: &mut Api) -> Result<()> {
    let programs = usage::programs(scene)?;
    ensure!(programs.len() == 1, "the program runs as {programs:?}");
    let list = api.get("/api/v1/pods").await?.ok().context("the list is refused")?;
    let pods = list["items"].as_array().into_iter().flatten();
    let mut expected: Vec<&str> = pods.filter_map(|pod: &Value| pod["metadata"]["uid"].as_str()).collect();
    expected.sort_unstable();
    let shims = usage::shims(scene)?;
    let mut found: Vec<&str> = shims.iter().map(|(_, uid)| uid.as_str()).collect();
    found.sort_unstable();
    ensure!(found == expected, "shims of {found:?}, and pods {expected:?}");
    let mut serving: HashMap<String, usize> = HashMap::new();
    for process in usage::in_pods(scene)? {
        if process.words.iter().any(|word| word == "demo-server") {
            *serving.entry(process.pod.unwrap_or_default()).or_default() += 1;
        }
    }
    let right = serving.len() == expected.len() && expected.iter().all(|uid| serving.get(*uid) == Some(&1));
    ensure!(right, "servers by pod: {serving:?}, and pods {expected:?}");
    Ok(())
}
