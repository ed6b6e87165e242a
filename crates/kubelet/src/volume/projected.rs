//! `projected`: several sources in one directory.

use std::os::unix::fs::lchown;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Volume, VolumeProjection};

use super::{
    Context, Mounted, Payload, Plugin, References, at, config_map, downward_api, mode_bits, ownership, secret, tmpfs, write,
};

/// The plug-in.
pub struct Projected;

#[async_trait]
impl Plugin for Projected {
    fn name(&self) -> &'static str {
        "kubernetes.io~projected"
    }

    fn claims(&self, volume: &Volume) -> bool {
        volume.projected.is_some()
    }

    fn references(&self, volume: &Volume) -> References {
        let mut references = References::default();
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            references.config_maps.extend(source.config_map.iter().map(|c| c.name.clone()));
            references.secrets.extend(source.secret.iter().map(|s| s.name.clone()));
        }
        references
    }

    async fn set_up(&self, volume: &Volume, context: &Context<'_>) -> Result<Mounted, String> {
        let source = volume.projected.clone().unwrap_or_default();
        let mode = source.default_mode.map_or(0o644, mode_bits);
        let mut payload = Payload::new();
        let mut refresh_at: Option<Timestamp> = None;
        let mut tokens = Vec::new();
        for source in source.sources.iter().flatten() {
            if let Some(projection) = &source.service_account_token {
                let token = context.tokens.get(context.pod, projection).await?;
                refresh_at = Some(refresh_at.map_or(token.refresh_at, |r| r.min(token.refresh_at)));
                let private = ownership::group(context.pod).or(ownership::common_user(context.pod)).is_some();
                payload.insert(projection.path.clone(), (token.text.into_bytes(), if private { 0o600 } else { mode }));
                tokens.push(projection.path.clone());
            } else {
                payload.extend(one(source, context, mode)?);
            }
        }
        tmpfs::ensure(&context.dir, None, 0o777)?;
        let own = |dir: &std::path::Path| {
            // Without a group, the one user of the pod owns the tokens.
            if let (None, Some(user)) = (ownership::group(context.pod), ownership::common_user(context.pod)) {
                for path in &tokens {
                    let file = dir.join(path);
                    lchown(&file, Some(user), None).map_err(at(&file))?;
                }
            }
            Ok(())
        };
        write(&context.dir, context.pod, &payload, own)?;
        Ok(Mounted { path: context.dir.clone(), refresh_at })
    }
}

fn one(source: &VolumeProjection, context: &Context<'_>, mode: u32) -> Result<Payload, String> {
    if let Some(c) = &source.config_map {
        return config_map::payload(context.sources, &c.name, c.items.as_deref(), mode, c.optional == Some(true));
    }
    if let Some(s) = &source.secret {
        return secret::payload(context.sources, &s.name, s.items.as_deref(), mode, s.optional == Some(true));
    }
    if let Some(d) = &source.downward_api {
        return downward_api::payload(context, d.items.as_deref().unwrap_or_default(), mode);
    }
    Err("unsupported projected source".to_owned())
}
