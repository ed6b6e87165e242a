//! `image`: the files of an image, read-only. The volume is only a place here: the image is had and mounted before
//! the first container that wants it starts, and fails as a container's own image does
//! (upstream: `getImageVolumes`).

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Container, Pod, Volume};

use super::{Context, Mounted, Plugin, Volumes, at};
use crate::agent::Agent;
use crate::container::env::Sources;
use crate::image::{self, History, Refused};
use crate::spec;

/// The plug-in.
pub struct ImageVolume;

#[async_trait]
impl Plugin for ImageVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io~image"
    }

    fn claims(&self, volume: &Volume) -> bool {
        volume.image.is_some()
    }

    async fn set_up(&self, _volume: &Volume, context: &Context<'_>) -> Result<Mounted, String> {
        fs::create_dir_all(&context.dir).map_err(at(&context.dir))?;
        Ok(Mounted { path: context.dir.clone(), refresh_at: None })
    }
}

/// Mounts the images that a container has volumes of.
pub async fn mount(
    agent: &Arc<Agent>, pod: &Pod, container: &Container, volumes: &Volumes, sources: &Sources, history: &History,
) -> Result<(), Refused> {
    let list = spec::of(pod).volumes.as_deref().unwrap_or_default();
    for mount in container.volume_mounts.iter().flatten() {
        let source = list.iter().find(|v| v.name == mount.name).and_then(|v| v.image.as_ref());
        let (Some(source), Some(place)) = (source, volumes.get(&mount.name)) else { continue };
        let wanted = Container {
            image: source.reference.clone(),
            image_pull_policy: source.pull_policy.clone(),
            name: container.name.clone(),
            ..Container::default()
        };
        let image = image::ensure(agent, pod, &wanted, sources, history).await?;
        agent.runtime.mount_image(spec::uid(pod), &image.id, &place.path).await.map_err(|error| Refused {
            reason: "CreateContainerError",
            message: error.to_string(),
            pulled: false,
        })?;
    }
    Ok(())
}
