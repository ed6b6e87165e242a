//! The ConfigMaps and Secrets that one pod names, followed while the pod lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};

use crate::container::env::Sources;
use crate::objects::{Listening, Objects, Watched};
use crate::spec;
use crate::volume::{self, References};

/// Watches of one pod.
#[derive(Default)]
pub struct Following {
    config_maps: BTreeMap<String, Arc<Watched<ConfigMap>>>,
    secrets: BTreeMap<String, Arc<Watched<Secret>>>,
    _listening: Vec<Listening>,
}

/// Everything that a pod names: in volumes, environments and image pull secrets.
pub fn references(pod: &Pod) -> References {
    let mut all = References::default();
    for v in spec::of(pod).volumes.iter().flatten() {
        let of_volume = volume::plugin(v).map(|p| p.references(v)).unwrap_or_default();
        all.config_maps.extend(of_volume.config_maps);
        all.secrets.extend(of_volume.secrets);
    }
    let ephemeral = spec::ephemeral_containers(pod);
    for container in spec::of(pod).containers.iter().chain(spec::init_containers(pod)).chain(&ephemeral) {
        for from in container.env_from.iter().flatten() {
            all.config_maps.extend(from.config_map_ref.iter().map(|r| r.name.clone()));
            all.secrets.extend(from.secret_ref.iter().map(|r| r.name.clone()));
        }
        for source in container.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
            all.config_maps.extend(source.config_map_key_ref.iter().map(|r| r.name.clone()));
            all.secrets.extend(source.secret_key_ref.iter().map(|r| r.name.clone()));
        }
    }
    all.secrets.extend(spec::of(pod).image_pull_secrets.iter().flatten().map(|r| r.name.clone()));
    let empty = |set: &mut BTreeSet<String>| set.remove("");
    empty(&mut all.config_maps);
    empty(&mut all.secrets);
    all
}

impl Following {
    /// Follows all that the pod names; `wake` is called at each change.
    pub fn start(objects: &Objects, pod: &Pod, wake: impl Fn() + Clone + Send + 'static) -> Self {
        let References { config_maps, secrets } = references(pod);
        let namespace = spec::namespace(pod);
        let mut following = Following::default();
        for name in config_maps {
            let watched = objects.watch::<ConfigMap>(namespace, &name);
            following._listening.push(watched.on_change(wake.clone()));
            following.config_maps.insert(name, watched);
        }
        for name in secrets {
            let watched = objects.watch::<Secret>(namespace, &name);
            following._listening.push(watched.on_change(wake.clone()));
            following.secrets.insert(name, watched);
        }
        following
    }

    /// The watches, to read them beside the worker.
    pub fn handles(&self) -> Handles {
        Handles { config_maps: self.config_maps.clone(), secrets: self.secrets.clone() }
    }
}

/// Watches to read from.
#[derive(Clone)]
pub struct Handles {
    config_maps: BTreeMap<String, Arc<Watched<ConfigMap>>>,
    secrets: BTreeMap<String, Arc<Watched<Secret>>>,
}

impl Handles {
    /// All objects as they are now. Waits for the first answer about each.
    pub async fn read(&self) -> Result<Sources, String> {
        let mut sources = Sources::default();
        for (name, watched) in &self.config_maps {
            let object = watched.get().await.map_err(|e| format!("failed to sync configmap cache: {e}"))?;
            sources.config_maps.insert(name.clone(), object);
        }
        for (name, watched) in &self.secrets {
            let object = watched.get().await.map_err(|e| format!("failed to sync secret cache: {e}"))?;
            sources.secrets.insert(name.clone(), object);
        }
        Ok(sources)
    }
}
