//! What a pod takes of the disk: its containers' layers and logs, and its volumes on the disk.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use runtime::{Size, tree_usage};

use super::limits::{Limits, Usage, on_disk};
use crate::agent::Agent;
use crate::spec;
use crate::volume;

/// Measures it. A part that is larger than its limit is not measured to its end.
pub async fn usage(agent: &Agent, pod: &Pod, limits: &Limits) -> Result<Usage, String> {
    let uid = spec::uid(pod);
    let Some(seen) = agent.runtime.pod(uid).await.map_err(|e| e.to_string())? else { return Ok(Usage::default()) };
    let whole = limits.pod.as_ref().map_or(u64::MAX, |limit| limit.bytes);
    let of = |list: &[(String, super::limits::Limit)], name: &str| {
        list.iter().find(|(n, _)| n == name).map_or(whole, |(_, limit)| limit.bytes.min(whole))
    };
    let mut usage = Usage::default();
    let names: std::collections::BTreeSet<&str> = seen.containers.iter().map(|c| c.name.as_str()).collect();
    let mut work = Vec::new();
    // Where only volumes have limits, nothing else is looked at.
    let all = limits.pod.is_some() || !limits.containers.is_empty();
    for name in names.into_iter().filter(|_| all) {
        let newest = seen.containers.iter().filter(|c| c.name == name).max_by_key(|c| c.attempt).map(|c| &c.id);
        let enough = of(&limits.containers, name);
        for container in seen.containers.iter().filter(|c| c.name == name) {
            let size = agent.runtime.storage(&container.id, enough).await.map_err(|e| e.to_string())?;
            match Some(&container.id) == newest {
                true => usage.layers.push((name.to_owned(), size)),
                false => usage.others = usage.others.plus(size),
            }
        }
        work.push((Part::Logs(name.to_owned()), seen.config.log_dir.join(name), enough));
    }
    let dir = agent.config.pod_dir(uid);
    for v in spec::of(pod).volumes.iter().flatten().filter(|v| on_disk(v)) {
        let limited = limits.volumes.iter().any(|(name, _)| *name == v.name);
        if let Some(plugin) = volume::plugin(v).filter(|_| all || limited) {
            work.push((Part::Volume(v.name.clone()), volume::dir(&dir, plugin, &v.name), of(&limits.volumes, &v.name)));
        }
    }
    if all {
        work.push((Part::Other, dir.join("etc-hosts"), whole));
    }
    let measured = tokio::task::spawn_blocking(move || read(work)).await.map_err(|e| e.to_string())?;
    for (part, size) in measured.map_err(|e| e.to_string())? {
        match part {
            Part::Logs(name) => usage.logs.push((name, size)),
            Part::Volume(name) => usage.volumes.push((name, size)),
            Part::Other => usage.others = usage.others.plus(size),
        }
    }
    Ok(usage)
}

/// What a tree counts for.
enum Part {
    /// The logs of a container.
    Logs(String),
    Volume(String),
    Other,
}

fn read(work: Vec<(Part, PathBuf, u64)>) -> std::io::Result<Vec<(Part, Size)>> {
    work.into_iter().map(|(part, path, enough)| Ok((part, tree_usage(&path, enough)?))).collect()
}
