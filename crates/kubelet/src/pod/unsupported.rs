//! What a pod may ask for and this node cannot do: refused in upstream's words, never left out in silence, since whoever
//! asks for a confinement relies upon it. Pure.

use k8s_openapi::api::core::v1::{AppArmorProfile, Container, Pod};
use runtime::Features;

use super::admit::Refusal;
use crate::spec;

const NO_APP_ARMOR: &str = "Cannot enforce AppArmor: AppArmor is not enabled on the host";
/// The annotation of a container's profile before there was a field, less the container's name.
pub const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// What forbids the pod as a whole, for good.
pub fn pod(pod: &Pod, features: Features) -> Option<Refusal> {
    app_armor(pod, features).or_else(|| restart_of_all(pod))
}

/// A profile other than `Unconfined` is wanted (upstream: `security/apparmor/validate.go`).
fn app_armor(pod: &Pod, features: Features) -> Option<Refusal> {
    if features.app_armor {
        return None;
    }
    let of_pod = spec::of(pod).security_context.as_ref().and_then(|s| s.app_armor_profile.as_ref());
    let mut of_containers = containers(pod).map(|c| spec::security(&c).app_armor_profile);
    let annotations = pod.metadata.annotations.iter().flatten();
    let mut old = annotations.filter(|(key, _)| key.starts_with(APP_ARMOR)).map(|(_, value)| value);
    let wanted = confined(of_pod) || of_containers.any(|p| confined(p.as_ref())) || old.any(|value| value != "unconfined");
    wanted.then(|| Refusal::new("AppArmor", NO_APP_ARMOR))
}

fn confined(profile: Option<&AppArmorProfile>) -> bool {
    profile.is_some_and(|p| p.type_ != "Unconfined")
}

/// The end of one container is to start all of them again (upstream: `lifecycle/handlers.go`, declared features).
fn restart_of_all(pod: &Pod) -> Option<Refusal> {
    let rules = containers(pod).flat_map(|c| c.restart_policy_rules.unwrap_or_default());
    let wanted = rules.into_iter().any(|rule| rule.action == "RestartAllContainers");
    let why = "Pod requires node features that are not available: RestartAllContainersOnContainerExits";
    wanted.then(|| Refusal::new("PodFeatureUnsupported", why))
}

/// What keeps the pod's sandbox from being made; said with each try, as the node may be exchanged.
pub fn sandbox(pod: &Pod, features: Features) -> Result<(), String> {
    let spec = spec::of(pod);
    if spec.host_users == Some(false) && !features.user_namespaces {
        // Upstream: `userns.GetOrCreateUserNamespaceMappings`.
        return Err("can't set `spec.hostUsers: false`, runtime does not support user namespaces".to_owned());
    }
    if let Some(claim) = spec.resource_claims.iter().flatten().next() {
        return Err(format!("failed to prepare dynamic resources: resource claim {:?} is not known", claim.name));
    }
    Ok(())
}

/// What keeps a container from being configured; one that was added to a running pod, too, which was admitted without it.
pub fn container(container: &Container, features: Features) -> Result<(), String> {
    if !features.app_armor && confined(spec::security(container).app_armor_profile.as_ref()) {
        return Err(NO_APP_ARMOR.to_owned());
    }
    Ok(())
}

/// Containers of all three sorts.
fn containers(pod: &Pod) -> impl Iterator<Item = Container> {
    let init = spec::init_containers(pod).iter().cloned();
    init.chain(spec::of(pod).containers.iter().cloned()).chain(spec::ephemeral_containers(pod))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(of_pod: Value, of_container: Value) -> Option<String> {
        let container = json!({"name": "c", "securityContext": of_container});
        pod(&spec::tests::pod(json!({"securityContext": of_pod, "containers": [container]})), Features::default()).map(|r| r.reason)
    }

    #[test]
    fn confinement_that_cannot_be_had_is_refused_wherever_it_is_asked_for() {
        let none = json!({});
        for kind in ["RuntimeDefault", "Localhost"] {
            let profile = json!({"appArmorProfile": {"type": kind}});
            assert_eq!(refused(profile.clone(), none.clone()).as_deref(), Some("AppArmor"));
            assert_eq!(refused(none.clone(), profile.clone()).as_deref(), Some("AppArmor"));
            let init = json!({"containers": [], "initContainers": [{"name": "i", "securityContext": profile}]});
            assert!(pod(&spec::tests::pod(init.clone()), Features::default()).is_some());
            let able = Features { app_armor: true, ..Features::default() };
            assert_eq!(pod(&spec::tests::pod(init), able), None);
        }
        let unconfined = json!({"appArmorProfile": {"type": "Unconfined"}});
        assert_eq!(refused(unconfined.clone(), unconfined), None);
        let mut annotated = spec::tests::pod(json!({"containers": [{"name": "c"}]}));
        annotated.metadata.annotations = Some([(format!("{APP_ARMOR}c"), "localhost/x".to_owned())].into());
        assert!(pod(&annotated, Features::default()).is_some());
        let rule = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}});
        let restarts = json!({"containers": [{"name": "c", "restartPolicy": "Never", "restartPolicyRules": [rule]}]});
        let refusal = pod(&spec::tests::pod(restarts), Features::default()).map(|r| r.reason);
        assert_eq!(refusal.as_deref(), Some("PodFeatureUnsupported"));
    }

    #[test]
    fn what_the_runtime_lacks_is_said_when_it_is_needed() {
        let with = |spec, user_namespaces| sandbox(&spec::tests::pod(spec), Features { user_namespaces, ..Features::default() }).err();
        let made = |spec| with(spec, false);
        assert_eq!(made(json!({"containers": [], "hostUsers": true})), None);
        assert!(made(json!({"containers": [], "hostUsers": false})).is_some_and(|e| e.contains("runtime does not support user namespaces")));
        assert_eq!(with(json!({"containers": [], "hostUsers": false}), true), None);
        let claim = json!({"containers": [], "resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}]});
        assert!(made(claim).is_some_and(|e| e.contains("\"gpu\" is not known")));
        let configured = |c: Value| container(&spec::of(&spec::tests::pod(json!({"containers": [c]}))).containers[0], Features::default()).err();
        let added = json!({"name": "c", "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}});
        assert_eq!(configured(added).as_deref(), Some(NO_APP_ARMOR));
    }
}
