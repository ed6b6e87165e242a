//! `secret`: entries of a Secret as files, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{KeyToPath, Volume};

use super::{Context, Mounted, Payload, Plugin, References, mode_bits, select, tmpfs, write};
use crate::container::env::Sources;

/// The plug-in.
pub struct Secrets;

#[async_trait]
impl Plugin for Secrets {
    fn name(&self) -> &'static str {
        "kubernetes.io~secret"
    }

    fn claims(&self, volume: &Volume) -> bool {
        volume.secret.is_some()
    }

    fn references(&self, volume: &Volume) -> References {
        let names = volume.secret.iter().filter_map(|s| s.secret_name.clone()).collect();
        References { secrets: names, ..References::default() }
    }

    async fn set_up(&self, volume: &Volume, context: &Context<'_>) -> Result<Mounted, String> {
        let source = volume.secret.clone().unwrap_or_default();
        let mode = source.default_mode.map_or(0o644, mode_bits);
        let optional = source.optional == Some(true);
        let name = source.secret_name.unwrap_or_default();
        let payload = payload(context.sources, &name, source.items.as_deref(), mode, optional)?;
        tmpfs::ensure(&context.dir, None, 0o777)?;
        write(&context.dir, context.pod, &payload, |_| Ok(()))?;
        Ok(Mounted { path: context.dir.clone(), refresh_at: None })
    }
}

/// The files of a Secret.
pub fn payload(
    sources: &Sources, name: &str, items: Option<&[KeyToPath]>, mode: u32, optional: bool,
) -> Result<Payload, String> {
    let Some(secret) = sources.secret(name, optional)? else { return Ok(Payload::new()) };
    let data: BTreeMap<String, Vec<u8>> = secret.data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone())).collect();
    select(&data, items, mode, optional, "secret")
}
