//! `emptyDir`: a directory that lives as long as its pod, on disk or in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, Volume};
use meta::Quantity;

use super::{Context, Mounted, Plugin, at, ownership, tmpfs};
use crate::container::resources;

/// The plug-in.
pub struct EmptyDir;

/// The most that a volume in memory may hold, in bytes: what it says, and never more than the pod may use (upstream:
/// `emptydir.calculateEmptyDirMemorySize`).
fn in_memory(source: &EmptyDirVolumeSource, pod: &Pod) -> Option<i64> {
    let own = source.size_limit.as_ref().and_then(|q| Quantity::parse(&q.0).ok()).map(|q| q.value());
    let of_pod = resources::pod(pod, None).memory_limit;
    own.into_iter().chain([of_pod]).filter(|limit| *limit > 0).min()
}

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
        match source.medium.as_deref().unwrap_or_default() {
            "" => fs::create_dir_all(dir).map_err(at(dir))?,
            "Memory" => tmpfs::ensure(dir, in_memory(&source, context.pod), 0o777)?,
            medium => return Err(format!("storage medium {medium:?} is not supported by this node")),
        }
        // Only once: afterwards the directory belongs to the pod.
        if fresh {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).map_err(at(dir))?;
            ownership::give(dir, context.pod, false)?;
        }
        Ok(Mounted { path: dir.clone(), refresh_at: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;
    use serde_json::json;

    #[test]
    fn memory_is_bounded_by_the_volume_and_by_the_pod() {
        let limit = |size: Option<&str>, memory: Option<&str>| {
            let source = serde_json::from_value(json!({"medium": "Memory", "sizeLimit": size})).expect("source");
            let limits = memory.map(|m| json!({"memory": m}));
            in_memory(&source, &spec::tests::pod(json!({"containers": [{"name": "c", "resources": {"limits": limits}}]})))
        };
        assert_eq!(limit(None, None), None);
        assert_eq!(limit(Some("1Mi"), None), Some(1 << 20));
        assert_eq!(limit(None, Some("2Mi")), Some(2 << 20));
        assert_eq!(limit(Some("1Mi"), Some("2Mi")), Some(1 << 20));
        assert_eq!(limit(Some("8Mi"), Some("2Mi")), Some(2 << 20));
    }
}
