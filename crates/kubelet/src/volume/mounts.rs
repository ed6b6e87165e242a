//! What of a pod's volumes a container sees, and where.

use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod, Volume, VolumeMount};
use runtime::{Mount, Propagation};

use super::{Volumes, subpath};
use crate::container::expand::expand;
use crate::spec;

/// The mounts of a container. `env` expands `subPathExpr`.
pub fn of_container(
    pod: &Pod, container: &Container, volumes: &Volumes, pod_dir: &Path, env: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Mount>, String> {
    let mut mounts = Vec::new();
    for (i, mount) in container.volume_mounts.as_deref().unwrap_or_default().iter().enumerate() {
        let volume = volumes.get(&mount.name).ok_or_else(|| {
            let title = spec::title(pod);
            format!("cannot find volume {:?} to mount into container {:?} of {title}", mount.name, container.name)
        })?;
        let part = part(mount, &env)?;
        let source = if part.is_empty() {
            volume.path.clone()
        } else {
            let target = pod_dir.join("volume-subpaths").join(&mount.name).join(&container.name).join(i.to_string());
            subpath::bind(&volume.path, &part, &target)?
        };
        mounts.push(Mount {
            source,
            target: absolute(&mount.mount_path),
            read_only: mount.read_only == Some(true) || is_read_only(pod, &mount.name),
            propagation: match mount.mount_propagation.as_deref() {
                Some("HostToContainer") => Propagation::HostToContainer,
                Some("Bidirectional") => Propagation::Bidirectional,
                _ => Propagation::Private,
            },
            in_pod_ids: volume_of(pod, &mount.name).is_some_and(|v| v.image.is_some()),
        });
    }
    Ok(mounts)
}

fn part(mount: &VolumeMount, env: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let plain = mount.sub_path.clone().unwrap_or_default();
    let Some(expression) = mount.sub_path_expr.as_deref().filter(|e| !e.is_empty()) else { return Ok(plain) };
    let missing = std::cell::RefCell::new(None);
    let text = expand(expression, |name| {
        let value = env(name);
        if value.is_none() {
            missing.replace(Some(name.to_owned()));
        }
        value
    });
    match missing.into_inner() {
        Some(_) => Err(format!("missing value for {expression:?}")),
        None => Ok(text),
    }
}

/// Volumes whose content the kubelet writes are not for the container to change.
fn is_read_only(pod: &Pod, name: &str) -> bool {
    volume_of(pod, name).is_some_and(|v| {
        v.config_map.is_some() || v.secret.is_some() || v.projected.is_some() || v.downward_api.is_some()
            || v.image.is_some()
    })
}

fn volume_of<'a>(pod: &'a Pod, name: &str) -> Option<&'a Volume> {
    spec::of(pod).volumes.iter().flatten().find(|v| v.name == name)
}

fn absolute(path: &str) -> std::path::PathBuf {
    Path::new("/").join(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Mounted;
    use serde_json::json;

    #[test]
    fn only_images_are_mounted_with_the_pods_ids() {
        let mount = |name: &str| json!({"name": name, "mountPath": format!("/{name}")});
        let pod = spec::tests::pod(json!({
            "volumes": [{"name": "e", "emptyDir": {}}, {"name": "i", "image": {"reference": "r"}}],
            "containers": [{"name": "c", "volumeMounts": [mount("e"), mount("i")]}]}));
        let volumes = ["e", "i"].map(|name| (name.to_owned(), Mounted { path: name.into(), refresh_at: None })).into();
        let container = &spec::of(&pod).containers[0];
        let mounts = of_container(&pod, container, &volumes, Path::new("/none"), |_| None).expect("mounts");
        let shown: Vec<_> = mounts.iter().map(|m| (m.source.as_path(), m.read_only, m.in_pod_ids)).collect();
        assert_eq!(shown, [(Path::new("e"), false, false), (Path::new("i"), true, true)]);
    }
}
