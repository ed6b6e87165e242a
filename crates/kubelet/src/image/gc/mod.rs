//! Images that nobody uses go when the disk fills up (upstream: `images/image_gc_manager.go`).

mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use runtime::{Error, Image, Space};

use crate::agent::Agent;
use crate::events::Kind;
use crate::spec;
use plan::{Disk, Idle, Memory};

pub use plan::Policy;

/// Between looks (upstream: `ImageGCPeriod`).
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Collects for ever.
pub async fn run(agent: Arc<Agent>) {
    let policy = agent.config.image_gc;
    if !policy.collects() {
        std::future::pending::<()>().await;
    }
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        agent.images.lock().await.pass(&agent, &policy, Instant::now()).await;
    }
}

/// Removes all images that nobody uses, but for those that came just now (upstream: `DeleteUnusedImages`).
pub async fn remove_unused(agent: &Agent) {
    let mut collector = agent.images.lock().await;
    if let Err(error) = collector.remove_all(agent, &agent.config.image_gc, Instant::now()).await {
        tracing::warn!(error, "unused images not removed");
    }
}

/// What is known of images over time.
pub struct Collector {
    memory: Memory,
    began: Instant,
    /// The pass before this one did.
    failed: bool,
}

impl Default for Collector {
    fn default() -> Self {
        Collector { memory: Memory::default(), began: Instant::now(), failed: false }
    }
}

impl Collector {
    async fn remove_all(&mut self, agent: &Agent, policy: &Policy, now: Instant) -> Result<(), String> {
        let listed = Timestamp::now();
        let images = agent.runtime.images().await.map_err(|e| e.to_string())?;
        let in_use = in_use(agent).await.map_err(|e| e.to_string())?;
        let idle = self.memory.look(&images, &in_use, now);
        let (gone, _, errors) = remove(agent, idle.iter().filter(|image| plan::is_ripe(policy, image, now)), u64::MAX).await;
        prune(agent, &images, &gone, listed).await;
        if errors.is_empty() { Ok(()) } else { Err(list(&errors)) }
    }

    /// One look, and what follows from it. A failure is an event only when it is not the first.
    async fn pass(&mut self, agent: &Agent, policy: &Policy, now: Instant) {
        match self.collect(agent, policy, now).await {
            Ok(()) => self.failed = false,
            Err(error) => {
                tracing::warn!(error, "image garbage collection failed");
                if self.failed {
                    say(agent, "ImageGCFailed", &error);
                }
                self.failed = true;
            }
        }
    }

    async fn collect(&mut self, agent: &Agent, policy: &Policy, now: Instant) -> Result<(), String> {
        let listed = Timestamp::now();
        let images = agent.runtime.images().await.map_err(|e| e.to_string())?;
        let in_use = in_use(agent).await.map_err(|e| e.to_string())?;
        let idle = self.memory.look(&images, &in_use, now);
        let (old, idle) = plan::old(policy, idle, self.began, now);
        let (gone, _, errors) = remove(agent, old.iter(), u64::MAX).await;
        prune(agent, &images, &gone, listed).await;
        if !errors.is_empty() {
            let age = policy.max_age;
            return Err(format!("wanted to free images older than {age:?}, encountered errors in image deletion: {}", list(&errors)));
        }
        let Space { capacity, available, .. } = agent.runtime.image_disk().await.map_err(|e| e.to_string())?;
        if capacity == 0 {
            say(agent, "InvalidDiskCapacity", "invalid capacity 0 on image filesystem");
            return Err("invalid capacity 0 on image filesystem".to_owned());
        }
        let disk = Disk { capacity, available };
        let Some(lacks) = disk.lacks(policy) else { return Ok(()) };
        tracing::info!(usage = disk.used(), lacks, "disk usage on image filesystem is over the high threshold");
        let ripe = idle.iter().filter(|image| plan::is_ripe(policy, image, now));
        let (more, freed, errors) = remove(agent, ripe, lacks).await;
        prune(agent, &images, &[gone, more].concat(), listed).await;
        if !errors.is_empty() {
            return Err(format!(
                "wanted to free {lacks} bytes, but freed {freed} bytes space with errors in image deletion: {}", list(&errors)
            ));
        }
        if freed < lacks {
            let message = format!(
                "Insufficient free disk space on the node's image filesystem ({}% of {} used). Failed to free sufficient \
                 space by deleting unused images (freed {freed} bytes). Investigate disk usage, as it could be used by \
                 active images, logs, volumes, or other data.",
                disk.used(), size(capacity)
            );
            say(agent, "FreeDiskSpaceFailed", &message);
            return Err(message);
        }
        Ok(())
    }
}

/// Removes one after the other until so many bytes are free; goes on where one cannot be removed.
async fn remove(agent: &Agent, images: impl Iterator<Item = &Idle>, enough: u64) -> (Vec<String>, u64, Vec<String>) {
    let (mut gone, mut freed, mut errors) = (Vec::new(), 0_u64, Vec::new());
    for image in images {
        if freed >= enough {
            break;
        }
        match agent.runtime.remove_image(&image.id).await {
            Ok(()) => {
                tracing::info!(image = image.id, size = image.size, "unused image removed");
                freed = freed.saturating_add(image.size);
                gone.push(image.id.clone());
            }
            Err(Error::NotFound(_)) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    (gone, freed, errors)
}

/// Forgets who pulled what is gone.
async fn prune(agent: &Agent, images: &[Image], gone: &[String], listed: Timestamp) {
    let left: Vec<Image> = images.iter().filter(|image| !gone.contains(&image.id)).cloned().collect();
    agent.pulls.prune(&left, listed).await;
}

/// Ids of the images of all containers, and of all that pods of this node name: a container of theirs may begin now.
async fn in_use(agent: &Agent) -> Result<BTreeSet<String>, Error> {
    let pods = agent.runtime.pods().await?;
    let mut ids: BTreeSet<String> = pods.iter().flat_map(|pod| &pod.containers).map(|c| c.image_id.clone()).collect();
    let mut names = BTreeSet::new();
    for pod in agent.pods.present().into_iter().filter(|pod| !spec::is_terminal(pod)) {
        let containers = spec::init_containers(&pod).iter().chain(&spec::of(&pod).containers);
        names.extend(containers.filter_map(|container| container.image.clone()));
        let volumes = spec::of(&pod).volumes.iter().flatten();
        names.extend(volumes.filter_map(|volume| volume.image.as_ref()?.reference.clone()));
        let ephemeral = spec::of(&pod).ephemeral_containers.iter().flatten();
        names.extend(ephemeral.filter_map(|container| container.image.clone()));
    }
    for name in names {
        ids.extend(agent.runtime.image(&name).await?.map(|image| image.id));
    }
    Ok(ids)
}

fn say(agent: &Agent, reason: &'static str, message: &str) {
    agent.events.node(&agent.config.node_name, Kind::Warning, reason, message);
}

fn list(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

/// Bytes for people (upstream: `formatSize`).
fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| bytes >= 1 << shift) {
        Some((name, shift)) => format!("{:.1} {name}", bytes as f64 / (1_u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests;
