//! Pod specifications and what is wrong with them.

use meta::Object;
use serde_json::{Value, json};

use crate::podspec::defaults;
use crate::view::View;

fn pod(spec: Value) -> Vec<String> {
    let mut object = Object::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap_or_default();
    let spec = object.at_mut("spec").and_then(Value::as_object_mut);
    defaults::pod(spec.expect("an object"));
    super::pod(&object).iter().map(ToString::to_string).collect()
}

fn container(change: Value) -> Vec<String> {
    let mut container = json!({"name": "a", "image": "x"});
    for (key, value) in change.as_object().into_iter().flatten() {
        container[key] = value.clone();
    }
    pod(json!({"containers": [container]}))
}

#[test]
fn a_pod_needs_containers_with_name_and_image() {
    assert_eq!(pod(json!({"containers": [{"name": "a", "image": "x"}]})), [""; 0]);
    assert_eq!(pod(json!({})), ["spec.containers: Required value"]);
    assert_eq!(
        pod(json!({"containers": [{"name": "a"}, {"image": "x"}, {"name": "a", "image": " x"}]})),
        [
            "spec.containers[0].image: Required value",
            "spec.containers[1].name: Required value",
            "spec.containers[2].name: Duplicate value: \"a\"",
            "spec.containers[2].image: Invalid value: \" x\": must not have leading or trailing whitespace",
        ]
    );
}

#[test]
fn words_must_be_known() {
    assert_eq!(
        pod(json!({"containers": [{"name": "a", "image": "x"}], "restartPolicy": "Sometimes", "dnsPolicy": "None"})),
        [
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        ]
    );
}

#[test]
fn ports_probes_and_hooks() {
    assert_eq!(
        container(json!({"ports": [{"containerPort": 0}, {"containerPort": 80, "protocol": "X"}, {"containerPort": 70000}]})),
        [
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.containers[0].ports[2].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ]
    );
    assert_eq!(
        container(json!({"livenessProbe": {"httpGet": {"port": 80}, "tcpSocket": {"port": 1}, "successThreshold": 2},
            "readinessProbe": {}, "lifecycle": {"preStop": {"sleep": {"seconds": 31}}}})),
        [
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than \
             terminationGracePeriodSeconds (30)",
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "spec.containers[0].readinessProbe: Required value: must specify a handler type",
        ]
    );
}

#[test]
fn volumes_and_mounts_fit() {
    let spec = json!({
        "containers": [{"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/v"}]}],
        "volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}, {"name": "w", "secret": {}, "configMap": {"name": "c"}}],
    });
    assert_eq!(
        pod(spec),
        [
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            "spec.volumes[1].secret.secretName: Required value",
            "spec.volumes[1].configMap: Forbidden: may not specify more than 1 volume type",
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
            "spec.containers[0].volumeMounts[1].name: Not found: \"w\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/v\": must be unique",
        ]
    );
}

#[test]
fn claims_of_containers_and_of_the_pod() {
    let claims = json!([{"name": "b", "resourceClaimName": "x"}, {"name": "a", "resourceClaimName": "x"}]);
    let used = json!([{"name": "a", "request": "r"}, {"name": "a"}, {"name": "a", "request": "s"}, {"name": "z"}]);
    let containers = json!([{"name": "a", "image": "x", "resources": {"claims": used}}]);
    assert_eq!(
        pod(json!({"containers": containers, "resourceClaims": claims, "resources": {"claims": [{"name": "a"}]}})),
        [
            "spec.containers[0].resources.claims[1]: Duplicate value: \"a\"",
            "spec.containers[0].resources.claims[2]: Duplicate value: \"a\"",
            "spec.containers[0].resources.claims[3]: Not found: \"z\": must be one of the names in pod.spec.resourceClaims: a, b",
            "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level",
        ]
    );
}

#[test]
fn resources_and_environment() {
    assert_eq!(
        container(json!({"resources": {"limits": {"cpu": "1", "x": "1"}, "requests": {"cpu": "2", "example.com/a": "1"}}})),
        [
            "spec.containers[0].resources.limits[x]: Invalid value: \"x\": must be a standard resource type or fully qualified",
            "spec.containers[0].resources.limits[x]: Invalid value: \"x\": must be a standard resource for containers",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
            "spec.containers[0].resources.requests[x]: Invalid value: \"x\": must be a standard resource type or fully qualified",
            "spec.containers[0].resources.requests[x]: Invalid value: \"x\": must be a standard resource for containers",
        ]
    );
    assert_eq!(
        container(json!({"env": [{"name": ""}, {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]})),
        [
            "spec.containers[0].env[0].name: Required value",
            "spec.containers[0].env[1].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting fieldPath: field \
             label not supported: spec.x",
        ]
    );
}

#[test]
fn templates_of_workloads() {
    let template = json!({"metadata": {"labels": {"a": "b c"}}, "spec": {"containers": [{"name": "A"}]}});
    let mut template = template;
    defaults::template(template["spec"].as_object_mut().expect("an object"));
    let mut errors = meta::field::Errors::new();
    super::template(&View::new(Some(&template), meta::field::Path::new("spec").child("template")), &mut errors);
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3);
    assert!(texts[0].starts_with("spec.template.labels: Invalid value: \"b c\": a valid label must be"), "{}", texts[0]);
    assert!(texts[1].starts_with("spec.template.spec.containers[0].name: Invalid value: \"A\": a lowercase RFC 1123 label"));
    assert_eq!(texts[2], "spec.template.spec.containers[0].image: Required value");
}

#[test]
fn restart_rules_of_an_init_container_need_a_policy_first() {
    let with_rules = json!({"name": "b", "image": "x", "restartPolicyRules": [{"action": "X", "exitCodes": {"operator": "In"}}]});
    let list = |name: &str| {
        let mut spec = json!({"containers": [{"name": "a", "image": "x"}]});
        spec[name] = json!([with_rules]);
        pod(spec)
    };
    let required = |name: &str| format!("spec.{name}[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used");
    assert_eq!(list("initContainers"), [required("initContainers")]);
    let action = r#"spec.containers[0].restartPolicyRules[0].action: Unsupported value: "X": supported values: "Restart", "RestartAllContainers""#;
    assert_eq!(list("containers"), [required("containers"), action.to_owned()]);
}

#[test]
fn amounts_beyond_counting_are_whole() {
    let of = |amount: &str| container(json!({"resources": {"limits": {"example.com/a": amount}, "requests": {"example.com/a": amount}}}));
    assert_eq!(of("1e30"), [""; 0]);
    for odd in ["500m", "12345678901234567890", "1Ei"] {
        assert_eq!(of(odd).len(), 2, "{odd}");
    }
}

#[test]
fn old_volumes_are_checked_like_new_ones() {
    let of = |source: Value| {
        let mut volume = json!({"name": "v"});
        volume.as_object_mut().expect("an object").extend(source.as_object().cloned().unwrap_or_default());
        pod(json!({"containers": [{"name": "a", "image": "x"}], "volumes": [volume]}))
    };
    assert_eq!(
        of(json!({"azureDisk": {"diskName": "d", "diskURI": "u", "kind": "Managed", "cachingMode": "X"}})),
        [
            r#"spec.volumes[0].azureDisk.cachingMode: Unsupported value: "X": supported values: "None", "ReadOnly", "ReadWrite""#,
            r#"spec.volumes[0].azureDisk.diskURI: Unsupported value: "u": supported values: "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}""#,
        ]
    );
    let wrong = of(json!({"storageos": {"volumeName": "A", "secretRef": {}}}));
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert_eq!(wrong[1], "spec.volumes[0].storageos.secretRef.name: Required value");
}
