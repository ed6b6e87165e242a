//! Security contexts of pod and container, combined.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::core::v1::{AppArmorProfile, Container, Pod, SeccompProfile};
use runtime::{AppArmor, Image, Seccomp, Security};

use crate::pod::unsupported::APP_ARMOR;
use crate::spec;

/// What the process may do. The error is what the container's status shows
/// (`CreateContainerConfigError`). `profiles`: where seccomp profiles of the node's own are.
pub fn security(pod: &Pod, container: &Container, image: &Image, profiles: &Path) -> Result<Security, String> {
    let of_pod = spec::of(pod).security_context.clone().unwrap_or_default();
    let own = spec::security(container);
    let user = own.run_as_user.or(of_pod.run_as_user);
    let non_root = own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true);
    if non_root {
        verify_non_root(pod, container, image, user)?;
    }
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let mut groups: BTreeSet<i64> = of_pod.supplemental_groups.iter().flatten().copied().collect();
    groups.extend(of_pod.fs_group);
    let profile = own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
    let number = |id: i64| u32::try_from(id).map_err(|_| format!("{id} is no valid user or group id"));
    let privileged = own.privileged == Some(true);
    let names = |list: Option<Vec<String>>| -> Vec<String> {
        list.into_iter().flatten().map(|c| c.trim_start_matches("CAP_").to_uppercase()).collect()
    };
    Ok(Security {
        privileged,
        user: user.map(|u| u.to_string()),
        group: own.run_as_group.or(of_pod.run_as_group).map(number).transpose()?,
        supplemental_groups: groups.into_iter().map(number).collect::<Result<_, _>>()?,
        strict_groups: of_pod.supplemental_groups_policy.as_deref() == Some("Strict"),
        non_root,
        read_only_root: own.read_only_root_filesystem == Some(true),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        add_capabilities: names(capabilities.add),
        drop_capabilities: names(capabilities.drop),
        seccomp: seccomp(profile, privileged, profiles)?,
        app_armor: app_armor(pod, container),
        unmasked_proc: own.proc_mount.as_deref() == Some("Unmasked"),
    })
}

/// The container's own AppArmor profile goes before the annotation's, and that before the pod's (upstream:
/// `security/apparmor/helpers.go`).
fn app_armor(pod: &Pod, container: &Container) -> AppArmor {
    let of_field = |profile: &AppArmorProfile| match profile.type_.as_str() {
        "Localhost" => AppArmor::Localhost(profile.localhost_profile.clone().unwrap_or_default()),
        "RuntimeDefault" => AppArmor::RuntimeDefault,
        _ => AppArmor::Unconfined,
    };
    let own = spec::security(container).app_armor_profile;
    let annotation = || {
        let annotations = pod.metadata.annotations.as_ref()?;
        match annotations.get(&format!("{APP_ARMOR}{}", container.name))?.as_str() {
            "runtime/default" => Some(AppArmor::RuntimeDefault),
            "unconfined" => Some(AppArmor::Unconfined),
            other => Some(AppArmor::Localhost(other.strip_prefix("localhost/")?.to_owned())),
        }
    };
    let of_pod = || spec::of(pod).security_context.as_ref()?.app_armor_profile.as_ref().map(of_field);
    own.as_ref().map(of_field).or_else(annotation).or_else(of_pod).unwrap_or_default()
}

/// Who says nothing gets the filter too (upstream's `seccompDefault`).
fn seccomp(profile: Option<&SeccompProfile>, privileged: bool, profiles: &Path) -> Result<Seccomp, String> {
    match profile.map(|p| (p.type_.as_str(), p.localhost_profile.as_deref().unwrap_or_default())) {
        Some(("Localhost", "")) => Err("localhostProfile must be set if seccompProfile type is Localhost.".to_owned()),
        Some(("Unconfined", _)) => Ok(Seccomp::Unconfined),
        _ if privileged => Ok(Seccomp::Unconfined),
        Some(("Localhost", name)) => Ok(Seccomp::Localhost { root: profiles.to_owned(), profile: name.into() }),
        _ => Ok(Seccomp::RuntimeDefault),
    }
}

fn verify_non_root(pod: &Pod, container: &Container, image: &Image, user: Option<i64>) -> Result<(), String> {
    let place = format!("(pod: \"{}\", container: {})", spec::title(pod), container.name);
    match (user, image.uid) {
        (Some(0), _) => Err(format!("container's runAsUser breaks non-root policy {place}")),
        (Some(_), _) => Ok(()),
        (None, Some(0)) => Err(format!("container has runAsNonRoot and image will run as root {place}")),
        (None, Some(_)) => Ok(()),
        (None, None) if !image.username.is_empty() => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {place}",
            image.username
        )),
        (None, None) => Err(format!("container has runAsNonRoot and image will run as root {place}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_container_overrides_the_pod() {
        let p = spec::tests::pod(json!({"securityContext": {"runAsUser": 1, "fsGroup": 7, "supplementalGroups": [3]},
            "containers": [{"name": "c", "securityContext": {"runAsUser": 2, "capabilities": {"drop": ["ALL"]}}}]}));
        let s = security(&p, &spec::of(&p).containers[0], &Image::default(), Path::new("/")).expect("valid");
        assert_eq!((s.user.as_deref(), s.supplemental_groups, s.drop_capabilities), (Some("2"), vec![3, 7], vec!["ALL".to_owned()]));
        assert!(!s.strict_groups);
        let strict = spec::tests::pod(json!({"securityContext": {"supplementalGroupsPolicy": "Strict"}, "containers": [{"name": "c"}]}));
        let s = security(&strict, &spec::of(&strict).containers[0], &Image::default(), Path::new("/")).expect("valid");
        assert!(s.strict_groups);
    }

    #[test]
    fn non_root_is_verified() {
        let p = spec::tests::pod(json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "c"}]}));
        let c = &spec::of(&p).containers[0];
        let root = security(&p, c, &Image { uid: Some(0), ..Image::default() }, Path::new("/"));
        assert_eq!(root, Err("container has runAsNonRoot and image will run as root (pod: \"p_ns(u1)\", container: c)".to_owned()));
        assert!(security(&p, c, &Image { uid: Some(5), ..Image::default() }, Path::new("/")).is_ok());
    }

    #[test]
    fn the_nearest_apparmor_profile_holds() {
        let profile = |kind: &str, name: Option<&str>| json!({"appArmorProfile": {"type": kind, "localhostProfile": name}});
        let get = |of_pod: serde_json::Value, annotation: Option<&str>, own: serde_json::Value| {
            let mut p = spec::tests::pod(json!({"securityContext": of_pod, "containers": [{"name": "c", "securityContext": own}]}));
            p.metadata.annotations = annotation.map(|value| [(format!("{APP_ARMOR}c"), value.to_owned())].into());
            app_armor(&p, &spec::of(&p).containers[0])
        };
        let local = |name: &str| AppArmor::Localhost(name.to_owned());
        let (of_pod, none) = (profile("Localhost", Some("a")), json!({}));
        assert_eq!(get(none.clone(), None, none.clone()), AppArmor::Unset);
        assert_eq!(get(of_pod.clone(), None, none.clone()), local("a"));
        assert_eq!(get(of_pod.clone(), Some("localhost/b"), none.clone()), local("b"));
        assert_eq!(get(of_pod.clone(), Some("runtime/default"), none.clone()), AppArmor::RuntimeDefault);
        assert_eq!(get(of_pod.clone(), Some("strange"), none), local("a"));
        assert_eq!(get(of_pod.clone(), Some("localhost/b"), profile("Localhost", Some("c"))), local("c"));
        assert_eq!(get(of_pod, Some("localhost/b"), profile("Unconfined", None)), AppArmor::Unconfined);
    }

    #[test]
    fn the_containers_own_filter_goes_before_the_pods() {
        let profile = |kind: &str, name: Option<&str>| json!({"seccompProfile": {"type": kind, "localhostProfile": name}});
        let get = |of_pod: serde_json::Value, own: serde_json::Value| {
            let p = spec::tests::pod(json!({"securityContext": of_pod, "containers": [{"name": "c", "securityContext": own}]}));
            security(&p, &spec::of(&p).containers[0], &Image::default(), Path::new("/node/seccomp")).map(|s| s.seccomp)
        };
        let local = |name: &str| Seccomp::Localhost { root: "/node/seccomp".into(), profile: name.into() };
        let (of_pod, none) = (profile("Localhost", Some("a/b.json")), json!({}));
        assert_eq!(get(of_pod.clone(), none.clone()), Ok(local("a/b.json")));
        assert_eq!(get(of_pod.clone(), profile("Localhost", Some("c.json"))), Ok(local("c.json")));
        assert_eq!(get(of_pod.clone(), profile("RuntimeDefault", None)), Ok(Seccomp::RuntimeDefault));
        assert_eq!(get(of_pod.clone(), profile("Unconfined", None)), Ok(Seccomp::Unconfined));
        assert_eq!(get(of_pod, json!({"privileged": true})), Ok(Seccomp::Unconfined));
        assert_eq!(get(none.clone(), none.clone()), Ok(Seccomp::RuntimeDefault));
        let nameless = get(profile("Localhost", Some("")), none).expect_err("refused");
        assert_eq!(nameless, "localhostProfile must be set if seccompProfile type is Localhost.");
    }
}
