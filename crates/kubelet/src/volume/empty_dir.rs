//! `emptyDir`: a directory that lives as long as its pod, on disk or in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Volume;
use meta::Quantity;

use super::{Context, Mounted, Plugin, at, ownership, tmpfs};

/// The plug-in.
pub struct EmptyDir;

#[async_trait]
impl Plugin for EmptyDir {
    fn name(&self) -> &'static str {
        "kubernetes.io~empty-dir"
    }

    fn claims(&self, volume: &Volume) -> bool {
        volume.empty_dir.is_some()
    }

    async fn set_up(&self, volume: &Volume, context: &Context<'_>) -> Result<Mounted, String> {
        let source = volume.empty_dir.clone().unwrap_or_default();
        let dir = &context.dir;
        let fresh = !dir.exists();
        if source.medium.as_deref() == Some("Memory") {
            let limit = source.size_limit.and_then(|q| Quantity::parse(&q.0).ok()).map(|q| q.value());
            tmpfs::ensure(dir, limit.filter(|l| *l > 0), 0o777)?;
        } else {
            fs::create_dir_all(dir).map_err(at(dir))?;
        }
        // Only once: afterwards the directory belongs to the pod.
        if fresh {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).map_err(at(dir))?;
            ownership::give(dir, context.pod, false)?;
        }
        Ok(Mounted { path: dir.clone(), refresh_at: None })
    }
}
