//! `configMap`: entries of a ConfigMap as files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use super::{Context, Mounted, Payload, Plugin, References, at, mode_bits, select, write};
use crate::container::env::Sources;

/// The plug-in.
pub struct ConfigMaps;

#[async_trait]
impl Plugin for ConfigMaps {
    fn name(&self) -> &'static str {
        "kubernetes.io~configmap"
    }

    fn claims(&self, volume: &Volume) -> bool {
        volume.config_map.is_some()
    }

    fn references(&self, volume: &Volume) -> References {
        let names = volume.config_map.iter().map(|c| c.name.clone()).collect();
        References { config_maps: names, ..References::default() }
    }

    async fn set_up(&self, volume: &Volume, context: &Context<'_>) -> Result<Mounted, String> {
        let source = volume.config_map.clone().unwrap_or_default();
        let mode = source.default_mode.map_or(0o644, mode_bits);
        let optional = source.optional == Some(true);
        let payload = payload(context.sources, &source.name, source.items.as_deref(), mode, optional)?;
        let dir = &context.dir;
        if !dir.exists() {
            fs::create_dir_all(dir).map_err(at(dir))?;
            // As every volume's own directory.
            fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).map_err(at(dir))?;
        }
        write(&context.dir, context.pod, &payload, |_| Ok(()))?;
        Ok(Mounted { path: context.dir.clone(), refresh_at: None })
    }
}

/// The files of a ConfigMap.
pub fn payload(
    sources: &Sources, name: &str, items: Option<&[KeyToPath]>, mode: u32, optional: bool,
) -> Result<Payload, String> {
    let Some(map) = sources.config_map(name, optional)? else { return Ok(Payload::new()) };
    let mut data: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    data.extend(map.data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes())));
    data.extend(map.binary_data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone())));
    select(&data, items, mode, optional, "configmap").map_err(|e| e.replace("configmap key", "config key"))
}
