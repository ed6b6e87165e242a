//! Sample values, and what has to stand around a field so that it can be set at all.

use serde_json::{Map, Value, json};

use super::walk::Leaf;

/// The smallest valid object of the type `of` at `above` in which `field` can be set, without it unless the object
/// cannot be valid without. `leaf` is the path of what is set in the end.
pub fn around(above: &str, of: &str, field: &str, leaf: &str) -> Map<String, Value> {
    let siblings = match of {
        "PodSpec" => pod(leaf),
        "Container" | "EphemeralContainer" => container(above, field),
        "ServiceSpec" => service(leaf),
        "EndpointSlice" => slice(leaf),
        _ => part(above, of, field, leaf),
    };
    siblings.as_object().cloned().unwrap_or_else(|| panic!("siblings of {above}.{field} are an object"))
}

fn pod(leaf: &str) -> Value {
    let mut spec = json!({"containers": [{"name": "c", "image": "example.com/app:1"}]});
    let mut add = |more: Value| spec.as_object_mut().expect("object").extend(more.as_object().cloned().expect("object"));
    let sidecar = json!([{"name": "i", "image": "example.com/app:1", "restartPolicy": "Always", "resources": {"limits": {"cpu": "2"}}}]);
    let other = json!({"name": "w", "emptyDir": {}});
    match leaf {
        _ if leaf.contains("volumeMounts") => add(json!({"volumes": [{"name": "v", "emptyDir": {}}, other]})),
        _ if leaf.contains("fileKeyRef") => add(json!({"volumes": [{"name": "v", "emptyDir": {}}, other]})),
        _ if leaf.contains("volumeDevices") => {
            add(json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}]}));
        }
        _ if leaf.contains("resources.claims[]") => {
            add(json!({"resourceClaims": [{"name": "rc", "resourceClaimName": "a"}, {"name": "other", "resourceClaimName": "b"}]}));
        }
        _ if leaf.contains("hostProcess") => {
            add(json!({"hostNetwork": true, "securityContext": {"windowsOptions": {"hostProcess": true}}}));
        }
        _ if leaf.starts_with("initContainers") && leaf.contains("resourceFieldRef.containerName") => {
            add(json!({"containers": [{"name": "c", "image": "example.com/app:1", "resources": {"limits": {"cpu": "3"}}}]}));
        }
        _ if leaf.contains("resourceFieldRef.containerName") => add(json!({"initContainers": sidecar})),
        _ if leaf.contains("procMount") => add(json!({"hostUsers": false})),
        "setHostnameAsFQDN" => add(json!({"subdomain": "sub"})),
        "automountServiceAccountToken" => add(json!({"serviceAccountName": "default"})),
        "securityContext.fsGroupChangePolicy" => add(json!({
            "securityContext": {"fsGroup": 7}, "volumes": [{"name": "v", "emptyDir": {}}],
        })),
        "imagePullSecrets[].name" => add(json!({"containers": [{"name": "c", "image": "example.com/app:1", "imagePullPolicy": "Always"}]})),
        _ if leaf.starts_with("volumes[].") && leaf != "volumes[].name" => {
            add(json!({"containers": [{"name": "c", "image": "example.com/app:1", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}));
        }
        _ => {}
    }
    if leaf.starts_with("volumes[].") && leaf.contains("resourceFieldRef.containerName") {
        spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    }
    spec
}

fn container(above: &str, field: &str) -> Value {
    let mut own = match above {
        "containers[]" => json!({}),
        "initContainers[]" => json!({"name": "i", "image": "example.com/app:1"}),
        _ => json!({"name": "e", "image": "example.com/app:1"}),
    };
    let long = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy", "ports"];
    if above == "initContainers[]" && long.contains(&field) {
        own["restartPolicy"] = json!("Always");
    }
    match field {
        "restartPolicyRules" => own["restartPolicy"] = json!("Never"),
        "resizePolicy" => own["resources"] = json!({"limits": {"cpu": "1"}}),
        "stdinOnce" | "tty" => own["stdin"] = json!(true),
        _ => {}
    }
    own
}

fn service(leaf: &str) -> Value {
    let mut spec = json!({"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]});
    match leaf {
        "ports[].nodePort" | "externalTrafficPolicy" => spec["type"] = json!("NodePort"),
        "loadBalancerIP" | "loadBalancerSourceRanges[]" | "allocateLoadBalancerNodePorts" | "loadBalancerClass" => {
            spec["type"] = json!("LoadBalancer");
        }
        "healthCheckNodePort" => {
            spec["type"] = json!("LoadBalancer");
            spec["externalTrafficPolicy"] = json!("Local");
        }
        "clusterIPs[]" => spec["clusterIP"] = json!("10.96.0.70"),
        "externalName" => spec = json!({"type": "ExternalName", "externalName": "a.example"}),
        "sessionAffinityConfig.clientIP.timeoutSeconds" => spec["sessionAffinity"] = json!("ClientIP"),
        _ => {}
    }
    spec
}

fn slice(leaf: &str) -> Value {
    let mut endpoint = json!({"addresses": ["10.244.0.9"], "conditions": {"ready": true}, "nodeName": "n1"});
    match leaf {
        "endpoints[].conditions.serving" => endpoint["conditions"] = json!({"ready": false, "terminating": true, "serving": false}),
        "endpoints[].conditions.terminating" => endpoint["conditions"] = json!({"ready": false, "serving": true, "terminating": false}),
        "endpoints[].zone" => drop(endpoint.as_object_mut().and_then(|e| e.remove("nodeName"))),
        _ => {}
    }
    let mut other = json!({"addresses": ["10.244.1.9"], "nodeName": "n2"});
    if leaf.starts_with("endpoints[].hints") {
        let far = |name: &str| json!({"forZones": [{"name": name}], "forNodes": [{"name": name}]});
        (endpoint["hints"], other["hints"]) = (far("far"), far("farther"));
    }
    json!({"addressType": "IPv4", "endpoints": [endpoint, other],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]})
}

fn part(above: &str, of: &str, field: &str, leaf: &str) -> Value {
    let absent = leaf.ends_with(".optional");
    let named = |name: &str| if absent { "absent".to_owned() } else { name.to_owned() };
    match of {
        "ContainerPort" if field == "hostPort" => json!({"containerPort": 80}),
        "ContainerPort" => json!({"containerPort": 80, "hostPort": 8080}),
        "EnvFromSource" if field == "prefix" => json!({"configMapRef": {"name": "cm"}}),
        "ConfigMapEnvSource" | "ConfigMapVolumeSource" | "ConfigMapProjection" => json!({"name": named("cm")}),
        "SecretEnvSource" | "SecretProjection" => json!({"name": named("s")}),
        "SecretVolumeSource" => json!({"secretName": named("s")}),
        "EnvVar" if field == "name" => json!({"name": "A", "value": "x"}),
        "EnvVar" => json!({"name": "A"}),
        "ObjectFieldSelector" => json!({"fieldPath": "metadata.name"}),
        "ResourceFieldSelector" if above.starts_with("volumes") => json!({"resource": "limits.cpu", "containerName": "c"}),
        "ResourceFieldSelector" => json!({"resource": "limits.cpu"}),
        "ConfigMapKeySelector" => json!({"name": named("cm"), "key": "k"}),
        "SecretKeySelector" => json!({"name": named("s"), "key": "k"}),
        "FileKeySelector" => json!({"volumeName": "v", "path": "p", "key": "k"}),
        "KeyToPath" => json!({"key": "k", "path": "f"}),
        "ResourceRequirements" if leaf.ends_with("limits{hugepages-2Mi}") => json!({"limits": {"cpu": "1"}}),
        "ResourceRequirements" if leaf.ends_with("requests{hugepages-2Mi}") => json!({"limits": {"cpu": "1", "hugepages-2Mi": "2Mi"}}),
        "ResourceRequirements" if leaf.ends_with("requests{vendor/device}") => json!({"limits": {"vendor/device": "1"}}),
        "ResourceClaim" => json!({"name": "rc"}),
        "ContainerResizePolicy" if field == "restartPolicy" => json!({"resourceName": "cpu", "restartPolicy": "NotRequired"}),
        "ContainerResizePolicy" => json!({"resourceName": "cpu", "restartPolicy": "RestartContainer"}),
        "ContainerRestartRule" => json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}),
        "VolumeMount" if field == "recursiveReadOnly" => json!({"name": "v", "mountPath": "/m", "readOnly": true}),
        "VolumeMount" => json!({"name": "v", "mountPath": "/m"}),
        "VolumeDevice" => json!({"name": "v", "devicePath": "/dev/x"}),
        "Probe" if !["exec", "httpGet", "tcpSocket", "grpc"].contains(&field) => json!({"exec": {"command": ["a"]}}),
        "ExecAction" => json!({"command": ["a"]}),
        "HTTPGetAction" | "TCPSocketAction" | "GRPCAction" => json!({"port": PORT}),
        "HTTPHeader" => json!({"name": "X-A", "value": "1"}),
        "SleepAction" => json!({"seconds": 1}),
        "SeccompProfile" | "AppArmorProfile" if field == "localhostProfile" => json!({"type": "Localhost", "localhostProfile": "a"}),
        "SeccompProfile" | "AppArmorProfile" => json!({"type": "Unconfined"}),
        "Sysctl" => json!({"name": "net.ipv4.tcp_syncookies", "value": "1"}),
        "NodeSelectorTerm" if above.contains("preferred") || field == "matchFields" => json!({}),
        "NodeSelectorRequirement" if above.ends_with("matchFields[]") => json!({"key": "metadata.name", "operator": "In", "values": ["b"]}),
        "NodeSelectorRequirement" | "LabelSelectorRequirement" => json!({"key": "k", "operator": "In", "values": ["v"]}),
        // Of one term alone the weight says nothing.
        "NodeAffinity" if leaf.ends_with(".weight") => {
            let term = |weight: i32, value: &str| {
                let expression = json!({"key": "k", "operator": if value == "v" { "Exists" } else { "DoesNotExist" }});
                json!({"weight": weight, "preference": {"matchExpressions": [expression]}})
            };
            json!({"preferredDuringSchedulingIgnoredDuringExecution": [term(1, "v"), term(10, "")]})
        }
        "PreferredSchedulingTerm" if field == "weight" => json!({}),
        "PreferredSchedulingTerm" => json!({"weight": 1, "preference": {}}),
        "PodAffinityTerm" => json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}),
        "WeightedPodAffinityTerm" => json!({"weight": 1, "podAffinityTerm": part("", "PodAffinityTerm", "", leaf)}),
        "TopologySpreadConstraint" if field == "whenUnsatisfiable" => json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}),
        "TopologySpreadConstraint" => json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}}),
        "Toleration" if field == "operator" => json!({"key": "k", "effect": "NoSchedule"}),
        "Toleration" if field == "tolerationSeconds" => json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}),
        "Toleration" => json!({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}),
        "HostAlias" => json!({"ip": "192.0.2.7", "hostnames": ["h"]}),
        "PodDNSConfigOption" => json!({"name": "ndots"}),
        "PodReadinessGate" => json!({"conditionType": "example.com/a"}),
        "PodOS" => json!({"name": "linux"}),
        "PodSchedulingGate" => json!({"name": "example.com/a"}),
        "PodResourceClaim" if field == "resourceClaimTemplateName" => json!({"name": "rc", "resourceClaimTemplateName": "a"}),
        "PodResourceClaim" => json!({"name": "rc", "resourceClaimName": "a"}),
        "EndpointPort" => json!({"name": "http", "port": 8080, "protocol": "TCP"}),
        _ => volume(of, field),
    }
}

/// Volumes and their sources.
fn volume(of: &str, field: &str) -> Value {
    match of {
        "Volume" if field == "name" => json!({"name": "v", "emptyDir": {}}),
        "Volume" => json!({"name": "v"}),
        "HostPathVolumeSource" => json!({"path": "/tmp"}),
        "EmptyDirVolumeSource" if field == "sizeLimit" => json!({"medium": "Memory"}),
        "DownwardAPIVolumeFile" if field == "resourceFieldRef" => json!({"path": "f"}),
        "DownwardAPIVolumeFile" => json!({"path": "f", "fieldRef": {"fieldPath": "metadata.name"}}),
        "DownwardAPIVolumeSource" if field == "defaultMode" => json!({"items": [{"path": "f", "fieldRef": {"fieldPath": "metadata.name"}}]}),
        "ProjectedVolumeSource" if field == "defaultMode" => json!({"sources": [{"configMap": {"name": "cm"}}]}),
        "ServiceAccountTokenProjection" => json!({"path": "token"}),
        "ClusterTrustBundleProjection" => json!({"path": "f", "name": "n"}),
        "PodCertificateProjection" => json!({"signerName": "example.com/s", "keyType": "ED25519", "credentialBundlePath": "f"}),
        "ImageVolumeSource" => json!({"reference": "example.com/files:1"}),
        "GCEPersistentDiskVolumeSource" => json!({"pdName": "a"}),
        "AWSElasticBlockStoreVolumeSource" | "CinderVolumeSource" | "PortworxVolumeSource" => json!({"volumeID": "a"}),
        "GitRepoVolumeSource" => json!({"repository": "a"}),
        "NFSVolumeSource" => json!({"server": "a", "path": "/a"}),
        "ISCSIVolumeSource" => json!({"targetPortal": "a", "iqn": "iqn.2026-01.example:a", "lun": 1}),
        "GlusterfsVolumeSource" => json!({"endpoints": "a", "path": "a"}),
        "PersistentVolumeClaimVolumeSource" => json!({"claimName": "a"}),
        "RBDVolumeSource" => json!({"monitors": ["a"], "image": "a"}),
        "FlexVolumeSource" => json!({"driver": "a"}),
        "CephFSVolumeSource" => json!({"monitors": ["a"]}),
        "FlockerVolumeSource" if field == "datasetUUID" => json!({}),
        "FlockerVolumeSource" => json!({"datasetName": "a"}),
        "FCVolumeSource" if field == "wwids" => json!({}),
        "FCVolumeSource" => json!({"targetWWNs": ["a"], "lun": 1}),
        "AzureFileVolumeSource" => json!({"secretName": "a", "shareName": "a"}),
        "VsphereVirtualDiskVolumeSource" => json!({"volumePath": "a"}),
        "QuobyteVolumeSource" => json!({"registry": "a:1", "volume": "a"}),
        "AzureDiskVolumeSource" if field == "kind" => {
            json!({"diskName": "a", "diskURI": "https://a.blob.core.windows.net/a/a.vhd", "kind": "Shared"})
        }
        "AzureDiskVolumeSource" => json!({"diskName": "a", "diskURI": "/subscriptions/a", "kind": "Managed"}),
        "PhotonPersistentDiskVolumeSource" => json!({"pdID": "a"}),
        "ScaleIOVolumeSource" => json!({"gateway": "a", "system": "a", "secretRef": {"name": "a"}, "volumeName": "a"}),
        "StorageOSVolumeSource" => json!({"volumeName": "a"}),
        "CSIVolumeSource" => json!({"driver": "a"}),
        "EphemeralVolumeSource" => json!({"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}}),
        "TypedLocalObjectReference" | "TypedObjectReference" => json!({"apiGroup": "example.com", "kind": "A", "name": "a"}),
        _ => json!({}),
    }
}

/// Stands for the port of a server that takes down what it is asked.
pub const PORT: u16 = 1;

/// The keys with which a map is tried.
pub fn keys(path: &str) -> &'static [&'static str] {
    match path {
        _ if path.starts_with("volumes[]") && path.contains("resources.") => &["storage"],
        "resources.limits{}" | "resources.requests{}" => &["cpu", "memory", "hugepages-2Mi"],
        _ if path.ends_with("resources.limits{}") || path.ends_with("resources.requests{}") => {
            &["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "vendor/device"]
        }
        "overhead{}" => &["cpu", "memory"],
        "selector{}" => &["app"],
        _ => &["k"],
    }
}

/// Values of a leaf that its object does not hold already.
pub fn values(leaf: &Leaf) -> Vec<Value> {
    let last = leaf.path.rsplit('.').next().unwrap_or_default();
    special(&leaf.path, last).unwrap_or_else(|| match &leaf.kind {
        _ if !leaf.words.is_empty() => leaf.words.iter().map(|word| json!(word)).collect(),
        schema::Kind::Bool => vec![json!(true), json!(false)],
        schema::Kind::Int32 | schema::Kind::Int64 | schema::Kind::Int => vec![json!(5)],
        schema::Kind::IntOrString => vec![json!(2)],
        schema::Kind::Quantity => vec![json!("1")],
        schema::Kind::Time => vec![json!("2026-01-01T00:00:00Z")],
        schema::Kind::FieldsV1 => vec![json!({})],
        _ => vec![json!("x")],
    })
}

fn special(path: &str, last: &str) -> Option<Vec<Value>> {
    let list = match (path, last) {
        (_, "mountPath" | "workingDir" | "terminationMessagePath" | "devicePath") => json!(["/x"]),
        (_, "hostIP") => json!(["192.0.2.1"]),
        (_, "fieldPath") => json!(["metadata.uid"]),
        (_, "apiVersion") => json!(["v2"]),
        (_, "containerName") if !path.starts_with("containers") && !path.starts_with("volumes") => json!(["c"]),
        (_, "containerName") => json!(["i"]),
        (_, "resource") => json!(["limits.memory"]),
        (_, "divisor") => json!(["1m"]),
        (_, "resourceName") => json!(["memory"]),
        (_, "action") => json!(["RestartAllContainers"]),
        (_, "values[]") if path.ends_with("exitCodes.values[]") => json!([43]),
        (_, "values[]") if path.contains("matchFields") => json!(["a"]),
        (_, "operator") if path.ends_with("exitCodes.operator") => json!(["NotIn"]),
        (_, "operator") if path.starts_with("tolerations") => json!(["Exists"]),
        (_, "operator") => json!(["NotIn"]),
        (_, "recursiveReadOnly") => json!(["Enabled"]),
        (_, "mountPropagation") => json!(["HostToContainer"]),
        (_, "scheme") => json!(["HTTPS"]),
        (_, "host") => json!(["127.0.0.2"]),
        (_, "restartPolicy") if path.ends_with("resizePolicy[].restartPolicy") => json!(["RestartContainer"]),
        ("initContainers[].restartPolicy", _) => json!(["Always"]),
        (_, "restartPolicy") => json!(["Never"]),
        (_, "name") if path.ends_with("volumeMounts[].name") => json!(["w"]),
        (_, "name") if path.ends_with("resources.claims[].name") => json!(["other"]),
        (_, "name") if path.ends_with("ports[].name") && !path.starts_with("ports") => json!(["http"]),
        (_, "volumeName") if path.contains("fileKeyRef") => json!(["w"]),
        (_, "targetContainerName") => json!(["c"]),
        (_, "procMount") => json!(["Unmasked"]),
        (_, "type") if path.ends_with("Profile.type") => json!(["RuntimeDefault"]),
        ("os.name", _) => json!(["windows"]),
        ("volumes[].hostPath.type", _) => json!(["File"]),
        ("volumes[].hostPath.path", _) => json!(["/proc"]),
        ("volumes[].emptyDir.medium", _) => json!(["Memory"]),
        (_, "sizeLimit") => json!(["1Mi"]),
        (_, "expirationSeconds") => json!([7200]),
        (_, "fsGroupChangePolicy") => json!(["OnRootMismatch"]),
        (_, "supplementalGroupsPolicy") => json!(["Strict"]),
        (_, "seLinuxChangePolicy") => json!(["Recursive", "MountOption"]),
        ("securityContext.sysctls[].name", _) => json!(["net.ipv4.tcp_fin_timeout"]),
        (_, "drop[]" | "add[]") => json!(["NET_ADMIN"]),
        (_, "allowPrivilegeEscalation" | "enableServiceLinks" | "automountServiceAccountToken" | "hostUsers") => json!([false]),
        ("hostAliases[].ip", _) => json!(["192.0.2.8"]),
        ("dnsConfig.nameservers[]", _) => json!(["192.0.2.9"]),
        ("readinessGates[].conditionType", _) => json!(["example.com/b"]),
        (_, last) if last.ends_with("limits{hugepages-2Mi}") => json!(["2Mi"]),
        (_, last) if last.ends_with("requests{hugepages-2Mi}") => json!(["4Mi"]),
        (_, last) if last.ends_with("requests{vendor/device}") => json!(["2"]),
        ("overhead{memory}", _) => json!(["9Gi"]),
        ("preemptionPolicy", _) => json!(["Never"]),
        (_, "weight") if path.contains("nodeAffinity") => json!([50]),
        ("priority", _) => json!([-100]),
        ("nodeName", _) => json!(["n1"]),
        ("serviceAccountName" | "serviceAccount", _) => json!(["other"]),
        ("tolerations[].effect", _) => json!(["NoExecute", "PreferNoSchedule"]),
        (_, "matchLabelKeys[]" | "mismatchLabelKeys[]") => json!(["version"]),
        ("nodeSelector{k}", _) => json!(["v"]),
        ("topologySpreadConstraints[].whenUnsatisfiable", _) => json!(["DoNotSchedule"]),
        ("imagePullSecrets[].name", _) => json!(["pull"]),
        _ => return others(path, last),
    };
    list.as_array().cloned()
}

/// Services, slices, and volumes that no plug-in makes.
fn others(path: &str, last: &str) -> Option<Vec<Value>> {
    let list = match (path, last) {
        ("ports[].nodePort", _) => json!([30123]),
        ("clusterIP" | "clusterIPs[]", _) => json!(["10.96.0.77"]),
        ("type", _) => json!(["NodePort"]),
        ("externalIPs[]", _) => json!(["192.0.2.50"]),
        ("loadBalancerIP", _) => json!(["192.0.2.51"]),
        ("loadBalancerSourceRanges[]", _) => json!(["198.51.100.0/24"]),
        ("loadBalancerClass", _) => json!(["example.com/a"]),
        ("healthCheckNodePort", _) => json!([30124]),
        ("trafficDistribution", _) => json!(["PreferSameZone"]),
        ("ipFamilies[]", _) => json!(["IPv6"]),
        ("ipFamilyPolicy", _) => json!(["RequireDualStack"]),
        ("addressType", _) => json!(["FQDN"]),
        ("endpoints[].addresses[]", _) => json!(["10.244.0.10"]),
        ("endpoints[].nodeName", _) => json!(["n2"]),
        ("endpoints[].hints.forZones[].name", _) => json!(["z1"]),
        ("endpoints[].hints.forNodes[].name", _) => json!(["n1"]),
        (_, "diskURI") => json!(["/subscriptions/b"]),
        (_, "path") if path.contains("nfs") => json!(["/x"]),
        (_, "iqn") => json!(["iqn.2026-01.example:b"]),
        (_, "registry") => json!(["b:1"]),
        (_, "keyType") => json!(["RSA3072"]),
        (_, "signerName") => json!(["example.com/t"]),
        (_, "maxExpirationSeconds") => json!([3600]),
        (_, "accessModes[]") => json!(["ReadOnlyMany"]),
        (_, "volumeMode") => json!(["Block"]),
        (_, "cachingMode") => json!(["None"]),
        (_, "kind") if path.contains("azureDisk") => json!(["Dedicated"]),
        _ => return None,
    };
    list.as_array().cloned()
}
