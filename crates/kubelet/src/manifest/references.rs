//! What of the API a pod refers to: a static pod may not (upstream: `podutil.HasAPIObjectReference`). Pure.

use k8s_openapi::api::core::v1::{Pod, Volume};

use crate::pod::sources;
use crate::spec;

/// The first sort of object that the pod names, as upstream calls it.
pub fn of(pod: &Pod) -> Option<&'static str> {
    let spec = spec::of(pod);
    let named = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
    if named(&spec.service_account_name) || named(&spec.service_account) {
        return Some("serviceaccounts");
    }
    let references = sources::references(pod);
    if !references.secrets.is_empty() || spec.volumes.iter().flatten().any(has_secret) {
        return Some("secrets");
    }
    if !references.config_maps.is_empty() {
        return Some("configmaps");
    }
    if spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        return Some("resourceclaims");
    }
    spec.volumes.iter().flatten().find_map(of_volume)
}

/// Volumes of other systems, with a Secret for them.
fn has_secret(volume: &Volume) -> bool {
    volume.azure_file.is_some()
        || volume.cephfs.as_ref().is_some_and(|v| v.secret_ref.is_some())
        || volume.cinder.as_ref().is_some_and(|v| v.secret_ref.is_some())
        || volume.flex_volume.as_ref().is_some_and(|v| v.secret_ref.is_some())
        || volume.rbd.as_ref().is_some_and(|v| v.secret_ref.is_some())
        || volume.scale_io.is_some()
        || volume.iscsi.as_ref().is_some_and(|v| v.secret_ref.is_some())
        || volume.storageos.as_ref().is_some_and(|v| v.secret_ref.is_some())
}

fn of_volume(volume: &Volume) -> Option<&'static str> {
    if volume.csi.is_some() {
        return Some("csidrivers (via CSI volumes)");
    }
    if volume.glusterfs.is_some() {
        return Some("endpoints (via glusterFS volumes)");
    }
    if volume.persistent_volume_claim.is_some() {
        return Some("persistentvolumeclaims");
    }
    if volume.ephemeral.is_some() {
        return Some("persistentvolumeclaims (via ephemeral volumes)");
    }
    volume.projected.iter().flat_map(|p| p.sources.iter().flatten()).find_map(|source| {
        if source.service_account_token.is_some() {
            Some("serviceaccounts (via projected volumes)")
        } else if source.cluster_trust_bundle.is_some() {
            Some("clustertrustbundles")
        } else {
            source.pod_certificate.is_some().then_some("podcertificates")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_an_object_is_seen() {
        let with = |volume: serde_json::Value| json!({"containers": [], "volumes": [volume]});
        for (spec, what) in [
            (json!({"containers": [], "serviceAccountName": "a"}), "serviceaccounts"),
            (json!({"containers": [], "serviceAccount": "a"}), "serviceaccounts"),
            (json!({"containers": [], "imagePullSecrets": [{"name": "s"}]}), "secrets"),
            (json!({"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}]}), "secrets"),
            (json!({"containers": [{"name": "c", "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]}]}), "configmaps"),
            (json!({"containers": [], "resourceClaims": [{"name": "r"}]}), "resourceclaims"),
            (with(json!({"name": "v", "secret": {"secretName": "s"}})), "secrets"),
            (with(json!({"name": "v", "configMap": {"name": "s"}})), "configmaps"),
            (with(json!({"name": "v", "azureFile": {"secretName": "s", "shareName": "n"}})), "secrets"),
            (with(json!({"name": "v", "persistentVolumeClaim": {"claimName": "s"}})), "persistentvolumeclaims"),
            (with(json!({"name": "v", "ephemeral": {}})), "persistentvolumeclaims (via ephemeral volumes)"),
            (with(json!({"name": "v", "csi": {"driver": "d"}})), "csidrivers (via CSI volumes)"),
            (with(json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "p"}}]}})), "serviceaccounts (via projected volumes)"),
            (with(json!({"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "p"}}]}})), "clustertrustbundles"),
        ] {
            assert_eq!(of(&spec::tests::pod(spec.clone())), Some(what), "{spec}");
        }
        let own = json!({"containers": [], "volumes": [{"name": "h", "hostPath": {"path": "/"}}, {"name": "e", "emptyDir": {}},
            {"name": "d", "projected": {"sources": [{"downwardAPI": {}}]}}]});
        assert_eq!(of(&spec::tests::pod(own)), None);
    }
}
