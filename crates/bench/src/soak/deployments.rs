//! A Deployment that is scaled and rolled out: it gets as many ready pods as it asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::api::Api;
use super::pods::container;
use super::scene::Scene;
use crate::https;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/soak/deployments";
const NAME: &str = "web";
/// Replicas while there is rest.
const AT_REST: u64 = 2;
const MOST: u64 = 5;
/// Until all are ready: faults come between.
const PATIENCE: Duration = Duration::from_secs(240);
const AGAIN: Duration = Duration::from_millis(500);
/// Between two changes, in seconds.
const PAUSE: std::ops::Range<u64> = 1..15;

/// Scales until the end.
pub async fn work(scene: Arc<Scene>, mut rng: StdRng) {
    let mut api = Api::new(&scene);
    if let Err(error) = create(&mut api).await {
        return scene.wrong(format!("deployment: {error:#}"));
    }
    loop {
        if let Err(error) = change(&mut api, json!({"spec": {"replicas": AT_REST}}), AT_REST).await {
            scene.wrong(format!("deployment: {error:#}"));
        }
        if !scene.goes_on().await {
            return;
        }
        for _ in 0..3 {
            let replicas = rng.random_range(0..=MOST);
            let mut patch = json!({"spec": {"replicas": replicas}});
            if rng.random_range(0..3) == 0 {
                // A new version of the pods.
                patch["spec"]["template"] =
                    json!({"metadata": {"annotations": {"turn": rng.random::<u32>().to_string()}}});
            }
            if let Err(error) = change(&mut api, patch, replicas).await {
                scene.wrong(format!("deployment: {error:#}"));
            }
            scene.pause(Duration::from_secs(rng.random_range(PAUSE))).await;
        }
    }
}

async fn create(api: &mut Api) -> Result<()> {
    let labels = json!({"app": NAME});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container()], "terminationGracePeriodSeconds": 2}});
    let spec = json!({"replicas": AT_REST, "selector": {"matchLabels": labels}, "template": template});
    let deployment = json!({"metadata": {"name": NAME}, "spec": spec});
    match api.insist(&https::post(DEPLOYMENTS, deployment.to_string().as_bytes())).await? {
        Ok(_) | Err(409) => Ok(()),
        Err(code) => bail!("refused: {code}"),
    }
}

async fn change(api: &mut Api, patch: Value, replicas: u64) -> Result<()> {
    let path = format!("{DEPLOYMENTS}/{NAME}");
    let request = https::request("PATCH", &path, "application/merge-patch+json", patch.to_string().as_bytes());
    if let Err(code) = api.insist(&request).await? {
        bail!("{patch} is refused: {code}");
    }
    let began = Instant::now();
    loop {
        let Ok(found) = api.get(&path).await? else { bail!("it is not there") };
        let status = &found["status"];
        let count = |name: &str| status[name].as_u64().unwrap_or(0);
        let seen = count("observedGeneration") == found["metadata"]["generation"].as_u64().unwrap_or(0);
        if seen && ["replicas", "readyReplicas", "updatedReplicas"].iter().all(|name| count(name) == replicas) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "not {replicas} ready within {PATIENCE:?}: {status}");
        tokio::time::sleep(AGAIN).await;
    }
}
