//! `downwardAPI`: fields of the pod as files.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, Volume};

use super::{Context, Mounted, Payload, Plugin, mode_bits, tmpfs, write};
use crate::container::fields;
use crate::spec;

/// The plug-in.
pub struct DownwardApi;

#[async_trait]
impl Plugin for DownwardApi {
    fn name(&self) -> &'static str {
        "kubernetes.io~downward-api"
    }

    fn claims(&self, volume: &Volume) -> bool {
        volume.downward_api.is_some()
    }

    async fn set_up(&self, volume: &Volume, context: &Context<'_>) -> Result<Mounted, String> {
        let source = volume.downward_api.clone().unwrap_or_default();
        let mode = source.default_mode.map_or(0o644, mode_bits);
        let payload = payload(context, source.items.as_deref().unwrap_or_default(), mode)?;
        tmpfs::ensure(&context.dir, None, 0o777)?;
        write(&context.dir, context.pod, &payload, |_| Ok(()))?;
        Ok(Mounted { path: context.dir.clone(), refresh_at: None })
    }
}

/// One file per item.
pub fn payload(context: &Context<'_>, items: &[DownwardAPIVolumeFile], mode: u32) -> Result<Payload, String> {
    let mut payload = Payload::new();
    for item in items {
        let text = if let Some(selector) = &item.field_ref {
            fields::field(context.pod, selector, context.facts)?
        } else if let Some(selector) = &item.resource_field_ref {
            let name = selector.container_name.as_deref().unwrap_or("");
            let container = spec::container(context.pod, name).unwrap_or_default();
            fields::resource(&container, selector, context.facts)?
        } else {
            String::new()
        };
        let mode = item.mode.map_or(mode, mode_bits);
        payload.insert(item.path.clone(), (text.into_bytes(), mode));
    }
    Ok(payload)
}
