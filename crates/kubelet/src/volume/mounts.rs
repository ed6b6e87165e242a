//! What of a pod's volumes a container sees, and where.

use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod, Volume, VolumeMount};
use runtime::{Mount, Propagation};

use super::{Volumes, subpath};
use crate::container::expand::expand;
use crate::spec;

/// The mounts of a container. `recursive`: the runtime has recursive read-only mounts; `env` expands `subPathExpr`.
pub fn of_container(
    pod: &Pod, container: &Container, volumes: &Volumes, pod_dir: &Path, recursive: bool,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Mount>, String> {
    let mut mounts = Vec::new();
    for (i, mount) in container.volume_mounts.as_deref().unwrap_or_default().iter().enumerate() {
        let volume = volumes.get(&mount.name).ok_or_else(|| {
            let title = spec::title(pod);
            format!("cannot find volume {:?} to mount into container {:?} of {title}", mount.name, container.name)
        })?;
        let recursive_read_only = is_recursive(mount, recursive)?;
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
            recursive_read_only,
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

/// Whether everything below a mount is read-only, too (upstream: `resolveRecursiveReadOnly`).
pub fn is_recursive(mount: &VolumeMount, supported: bool) -> Result<bool, String> {
    let mode = mount.recursive_read_only.as_deref().unwrap_or("Disabled");
    if mode == "Disabled" {
        return Ok(false);
    }
    let name = &mount.name;
    let refuse = |why: String| Err(format!("volume {name:?} requested recursive read-only mode, but it is {why}"));
    if mount.read_only != Some(true) {
        return refuse("not read-only".to_owned());
    }
    if let Some(other) = mount.mount_propagation.as_deref().filter(|p| *p != "None") {
        return refuse(format!("not compatible with propagation {other:?}"));
    }
    match mode {
        "IfPossible" => Ok(supported),
        "Enabled" if supported => Ok(true),
        "Enabled" => refuse("not supported by the runtime".to_owned()),
        other => Err(format!("unknown recursive read-only mode {other:?}")),
    }
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

/// Those of a container's mounts ([`of_container`]) whose files the kubelet writes.
pub fn written(pod: &Pod, container: &Container, mounts: &[Mount]) -> Vec<Mount> {
    let list = container.volume_mounts.iter().flatten().zip(mounts);
    list.filter(|(mount, _)| volume_of(pod, &mount.name).is_some_and(is_written)).map(|(_, made)| made.clone()).collect()
}

fn is_written(volume: &Volume) -> bool {
    volume.config_map.is_some() || volume.secret.is_some() || volume.projected.is_some() || volume.downward_api.is_some()
}

/// Volumes whose content the kubelet writes are not for the container to change.
fn is_read_only(pod: &Pod, name: &str) -> bool {
    volume_of(pod, name).is_some_and(|v| is_written(v) || v.image.is_some())
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
        let mounts = of_container(&pod, container, &volumes, Path::new("/none"), true, |_| None).expect("mounts");
        let shown: Vec<_> = mounts.iter().map(|m| (m.source.as_path(), m.read_only, m.in_pod_ids)).collect();
        assert_eq!(shown, [(Path::new("e"), false, false), (Path::new("i"), true, true)]);
    }

    #[test]
    fn read_only_all_the_way_down_where_that_can_be() {
        let with = |mode: Option<&str>, read_only: bool, propagation: Option<&str>, supported: bool| {
            let mount = json!({"name": "v", "mountPath": "/v", "readOnly": read_only, "recursiveReadOnly": mode, "mountPropagation": propagation});
            super::is_recursive(&serde_json::from_value(mount).expect("a mount"), supported)
        };
        for mode in [None, Some("Disabled")] {
            assert_eq!(with(mode, false, Some("HostToContainer"), true), Ok(false));
        }
        for supported in [true, false] {
            assert_eq!(with(Some("IfPossible"), true, Some("None"), supported), Ok(supported));
        }
        assert_eq!(with(Some("Enabled"), true, None, true), Ok(true));
        let refused = |result: Result<bool, String>| result.expect_err("refused").replace("volume \"v\" requested recursive read-only mode, but it is ", "");
        assert_eq!(refused(with(Some("Enabled"), true, None, false)), "not supported by the runtime");
        assert_eq!(refused(with(Some("IfPossible"), false, None, true)), "not read-only");
        assert_eq!(refused(with(Some("Enabled"), true, Some("Bidirectional"), true)), "not compatible with propagation \"Bidirectional\"");
    }
}
