//! Scheduling among 5,000 nodes that exist as objects alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Group, at_least, at_most};
use crate::compare::scheduling::{account, node, pod};
use crate::https::{self, Client};
use crate::load;
use crate::target::Target;

const FEW: usize = 100;
const MANY: usize = 5_000;
const PODS: usize = 10_000;
const CLIENTS: usize = 64;
/// Pods that have a node.
const BOUND: &str = "/api/v1/namespaces/default/pods?watch=1&fieldSelector=spec.nodeName%21%3D";
/// The back-off after each attempt; the last is the longest there is.
const BACK_OFF: [u64; 5] = [1, 2, 4, 8, 10];
/// For all pods to have been tried, beside the back-off.
const TRIED: Duration = Duration::from_millis(1500);

pub(super) const GROUP: Group = Group {
    figures: &[
        at_least("scheduler.bound_per_s", "1/s", 2_000.0),
        at_least("scheduler.pace_kept_percent", "%", 90.0),
        at_most("scheduler.last_bound_s", "s", 1.0),
    ],
    measure: |program| Box::pin(measure(program)),
};

async fn measure(program: PathBuf) -> Result<Vec<f64>> {
    let waiting = waiting(&Target::ours(&program)?).await?;
    let (few, _) = created(Target::ours(&program)?, FEW).await?;
    let (many, last) = created(Target::ours(&program)?, MANY).await?;
    eprintln!("{PODS} pods created: {few:.0}/s with {FEW} nodes, {many:.0}/s with {MANY}");
    Ok(vec![waiting, 100.0 * many / few, last])
}

async fn nodes(target: &Target, count: usize) -> Result<()> {
    let mut many = load::connect(target, CLIENTS).await?;
    let request = |n| https::post("/api/v1/nodes", node(&format!("simulated-{n}")).to_string().as_bytes());
    load::run(&mut many, count, request).await?;
    Ok(())
}

/// How many pods a second are created, and how long after the last one was all were bound.
async fn created(target: Target, count: usize) -> Result<(f64, f64)> {
    let mut client = target.connect().await?;
    account(&mut client).await?;
    nodes(&target, count).await?;
    let mut many = load::connect(&target, CLIENTS).await?;
    let create = async {
        let pace = load::run(&mut many, PODS, pod).await?;
        Ok((pace, Instant::now()))
    };
    let bound = async {
        target.appear(BOUND, PODS).await?;
        Ok::<_, anyhow::Error>(Instant::now())
    };
    let ((pace, last), all) = tokio::try_join!(create, bound)?;
    drop((client, many));
    target.end()?;
    Ok((pace, all.saturating_duration_since(last).as_secs_f64()))
}

/// How many pods a second are bound when all of them wait and nobody creates any: all have been tried so often that
/// their back-off is the longest, which ends when all nodes are there.
async fn waiting(target: &Target) -> Result<f64> {
    let mut client = target.connect().await?;
    account(&mut client).await?;
    let mut many = load::connect(target, CLIENTS).await?;
    load::run(&mut many, PODS, pod).await?;
    drop((many, client));
    // The watch of the account has not ended on the first one.
    let mut client = target.connect().await?;
    let own = own_node(&mut client).await?;
    for (attempt, seconds) in BACK_OFF[..BACK_OFF.len() - 1].iter().enumerate() {
        tokio::time::sleep(Duration::from_secs(*seconds) + TRIED).await;
        // A node that changed is a reason to try again.
        let patch = json!({"metadata": {"labels": {"attempt": attempt.to_string()}}}).to_string();
        client.send(&https::request("PATCH", &own, "application/merge-patch+json", patch.as_bytes())).await?;
    }
    tokio::time::sleep(TRIED).await;
    nodes(target, MANY).await?;
    let at = |count| async move {
        target.appear(BOUND, count).await?;
        Ok::<_, anyhow::Error>(Instant::now())
    };
    let (first, last) = tokio::try_join!(at(1), at(PODS))?;
    Ok(PODS as f64 / last.saturating_duration_since(first).as_secs_f64())
}

/// The path of the node that the cluster has.
async fn own_node(client: &mut Client) -> Result<String> {
    let nodes: Value = serde_json::from_slice(&client.body(&https::get("/api/v1/nodes")).await?)?;
    let name = nodes["items"][0]["metadata"]["name"].as_str().context("no node")?;
    Ok(format!("/api/v1/nodes/{name}"))
}
