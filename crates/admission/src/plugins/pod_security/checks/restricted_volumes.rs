//! Volumes of the pod's own, and claims: nothing that names a place on the node or a server.

use super::{Pod, Values, Violation, against, listed, named, plural};

const ALLOWED: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The others that there are, in upstream's order.
const OTHERS: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let mut types = Values::new();
    let bad: Vec<_> = pod.spec.each("volumes").filter(|volume| !ALLOWED.iter().any(|one| volume.has(one))).collect();
    types.extend(bad.iter().map(|volume| OTHERS.iter().copied().find(|one| volume.has(one)).unwrap_or("unknown")));
    if bad.is_empty() {
        return None;
    }
    let names: Vec<&str> = bad.iter().map(|volume| volume.text("name")).collect();
    let (who, uses) = (named("volume", &names), if names.len() == 1 { "uses" } else { "use" });
    let what = plural("restricted volume type", types.len());
    against("restricted volume types", format!("{who} {uses} {what} {}", listed(&types)))
}
