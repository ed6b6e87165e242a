//! Volumes in the pages of pods and workloads: most sources are a row of the table below.

use meta::Quantity;
use serde_json::Value;

use super::labels::shorten;
use super::page::Page;
use super::tree::{bracketed, entries, list, number, text, text_or, truth};
use super::labels;

/// How a field of a source is shown.
enum Show {
    Text(&'static str),
    Number(&'static str),
    Truth(&'static str),
    Texts(&'static str),
    /// A reference to a Secret, as Go prints the struct.
    Secret,
}
use Show::{Number, Secret, Text, Texts, Truth};

type Field = (&'static str, Show);

/// (field, what it is, its lines).
static SOURCES: &[(&str, &str, &[Field])] = &[
    (
        "secret",
        "Secret (a volume populated by a Secret)",
        &[("SecretName", Text("secretName")), ("Optional", Truth("optional"))],
    ),
    (
        "configMap",
        "ConfigMap (a volume populated by a ConfigMap)",
        &[("Name", Text("name")), ("Optional", Truth("optional"))],
    ),
    (
        "persistentVolumeClaim",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName", Text("claimName")), ("ReadOnly", Truth("readOnly"))],
    ),
    (
        "nfs",
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        &[("Server", Text("server")), ("Path", Text("path")), ("ReadOnly", Truth("readOnly"))],
    ),
    (
        "image",
        "Image (a container image or OCI artifact)",
        &[("Reference", Text("reference")), ("PullPolicy", Text("pullPolicy"))],
    ),
    (
        "csi",
        "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver", Text("driver")), ("FSType", Text("fsType")), ("ReadOnly", Truth("readOnly"))],
    ),
    (
        "gcePersistentDisk",
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        &[
            ("PDName", Text("pdName")),
            ("FSType", Text("fsType")),
            ("Partition", Number("partition")),
            ("ReadOnly", Truth("readOnly")),
        ],
    ),
    (
        "awsElasticBlockStore",
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        &[
            ("VolumeID", Text("volumeID")),
            ("FSType", Text("fsType")),
            ("Partition", Number("partition")),
            ("ReadOnly", Truth("readOnly")),
        ],
    ),
    (
        "gitRepo",
        "GitRepo (a volume that is pulled from git when the pod is created)",
        &[("Repository", Text("repository")), ("Revision", Text("revision"))],
    ),
    (
        "glusterfs",
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        &[("EndpointsName", Text("endpoints")), ("Path", Text("path")), ("ReadOnly", Truth("readOnly"))],
    ),
    (
        "rbd",
        "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        &[
            ("CephMonitors", Texts("monitors")),
            ("RBDImage", Text("image")),
            ("FSType", Text("fsType")),
            ("RBDPool", Text("pool")),
            ("RadosUser", Text("user")),
            ("Keyring", Text("keyring")),
            ("SecretRef", Secret),
            ("ReadOnly", Truth("readOnly")),
        ],
    ),
    (
        "quobyte",
        "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        &[("Registry", Text("registry")), ("Volume", Text("volume")), ("ReadOnly", Truth("readOnly"))],
    ),
    (
        "vsphereVolume",
        "vSphereVolume (a Persistent Disk resource in vSphere)",
        &[("VolumePath", Text("volumePath")), ("FSType", Text("fsType")), ("StoragePolicyName", Text("storagePolicyName"))],
    ),
    (
        "cinder",
        "Cinder (a Persistent Disk resource in OpenStack)",
        &[("VolumeID", Text("volumeID")), ("FSType", Text("fsType")), ("ReadOnly", Truth("readOnly")), ("SecretRef", Secret)],
    ),
    (
        "photonPersistentDisk",
        "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        &[("PdID", Text("pdID")), ("FSType", Text("fsType"))],
    ),
    ("portworxVolume", "PortworxVolume (a Portworx Volume resource)", &[("VolumeID", Text("volumeID"))]),
    (
        "cephfs",
        "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        &[
            ("Monitors", Texts("monitors")),
            ("Path", Text("path")),
            ("User", Text("user")),
            ("SecretFile", Text("secretFile")),
            ("SecretRef", Secret),
            ("ReadOnly", Truth("readOnly")),
        ],
    ),
];

/// Writes all volumes; `space` indents the title.
pub fn write(page: &mut Page, volumes: &Value, space: &str) {
    let volumes = list(volumes);
    if volumes.is_empty() {
        page.field(0, &format!("{space}Volumes"), "<none>");
        return;
    }
    page.line(0, format!("{space}Volumes:"));
    for volume in volumes {
        page.line(1, format!("{}{}:", if space.is_empty() { "" } else { " " }, text(&volume["name"])));
        source(page, volume);
    }
}

fn source(page: &mut Page, volume: &Value) {
    if let Some((field, what, lines)) = SOURCES.iter().find(|(field, ..)| volume[field].is_object()) {
        page.field(2, "Type", what);
        for (name, show) in *lines {
            page.field(2, name, shown(show, &volume[field]));
        }
        if *field == "csi" {
            attributes(page, &volume[field]["volumeAttributes"]);
        }
        return;
    }
    let of = |field: &str| Some(&volume[field]).filter(|v| v.is_object());
    if let Some(path) = of("hostPath") {
        page.field(2, "Type", "HostPath (bare host directory volume)");
        page.field(2, "Path", text(&path["path"]));
        page.field(2, "HostPathType", path["type"].as_str().unwrap_or("<none>"));
    } else if let Some(directory) = of("emptyDir") {
        page.field(2, "Type", "EmptyDir (a temporary directory that shares a pod's lifetime)");
        page.field(2, "Medium", text(&directory["medium"]));
        let limit = Quantity::parse(text(&directory["sizeLimit"])).ok().filter(|q| q.sign() > 0);
        page.field(2, "SizeLimit", limit.map_or("<unset>".to_owned(), |q| q.to_string()));
    } else if let Some(projected) = of("projected") {
        page.field(2, "Type", "Projected (a volume that contains injected data from multiple sources)");
        list(&projected["sources"]).iter().for_each(|s| projection(page, s));
    } else if let Some(downward) = of("downwardAPI") {
        page.field(2, "Type", "DownwardAPI (a volume populated by information about the pod)");
        page.line(2, "Items:");
        for item in list(&downward["items"]) {
            for from in [&item["fieldRef"]["fieldPath"], &item["resourceFieldRef"]["resource"]] {
                if from.is_string() {
                    page.line(3, format!("{} -> {}", text(from), text(&item["path"])));
                }
            }
        }
    } else if let Some(ephemeral) = of("ephemeral") {
        page.field(
            2,
            "Type",
            "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        );
        page.nested(2, |page| claim(page, &ephemeral["volumeClaimTemplate"]));
    } else {
        page.line(1, "<unknown>");
    }
}

fn shown(show: &Show, source: &Value) -> String {
    match show {
        Text(field) => text(&source[field]).to_owned(),
        Number(field) => number(&source[field]).to_string(),
        Truth(field) => truth(&source[field]).to_string(),
        Texts(field) => bracketed(&source[field]),
        Secret => match source["secretRef"].is_object() {
            true => format!("&LocalObjectReference{{Name:{},}}", text(&source["secretRef"]["name"])),
            false => "nil".to_owned(),
        },
    }
}

fn projection(page: &mut Page, source: &Value) {
    for (field, name) in [("secret", "SecretName"), ("configMap", "ConfigMapName")] {
        if source[field].is_object() {
            page.field(2, name, text(&source[field]["name"]));
            page.field(2, "Optional", truth(&source[field]["optional"]));
        }
    }
    if source["downwardAPI"].is_object() {
        page.field(2, "DownwardAPI", true);
    }
    if source["serviceAccountToken"].is_object() {
        page.field(2, "TokenExpirationSeconds", number(&source["serviceAccountToken"]["expirationSeconds"]));
    }
}

fn attributes(page: &mut Page, attributes: &Value) {
    let all = entries(attributes);
    page.put(2, "VolumeAttributes:\t");
    if all.is_empty() {
        page.line(0, "<none>");
    }
    for (i, (key, value)) in all.into_iter().enumerate() {
        if i > 0 {
            page.put(2, "");
            page.put(2, "\t");
        }
        page.line(2, shorten(&format!("{key}={}", text(value)), 140));
    }
}

fn claim(page: &mut Page, claim: &Value) {
    let spec = &claim["spec"];
    page.field(0, "StorageClass", text(&spec["storageClassName"]));
    page.field(0, "Volume", text(&spec["volumeName"]));
    labels::labels(page, "Labels", &claim["metadata"]["labels"]);
    labels::annotations(page, "Annotations", &claim["metadata"]["annotations"]);
    page.field(0, "Capacity", "");
    page.field(0, "Access Modes", "");
    if spec["volumeMode"].is_string() {
        page.field(0, "VolumeMode", text_or(&spec["volumeMode"], ""));
    }
}
