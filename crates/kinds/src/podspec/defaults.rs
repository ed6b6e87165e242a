//! Defaults of pods and pod templates (upstream: `pkg/apis/core/v1/defaults.go`).

use serde_json::{Value, json};

use super::{CONTAINER_LISTS, image, resources, volume_defaults};
use crate::tree::{Fields, child_mut, child_or_new, default_absent, default_zero, each_mut};

/// Defaults of a pod's own specification; a template's lack some of them until it becomes a pod.
pub fn pod(spec: &mut Fields) {
    for list in ["containers", "initContainers"] {
        each_mut(spec, list).for_each(resources::requests_from_limits);
    }
    resources::pod_level(spec);
    default_absent(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for list in ["containers", "initContainers"] {
            for port in each_mut(spec, list).flat_map(|c| each_mut(c, "ports")) {
                let inside = port.get("containerPort").cloned().unwrap_or_default();
                default_zero(port, "hostPort", inside);
            }
        }
    }
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|s| s < 0) {
        spec.insert("terminationGracePeriodSeconds".to_owned(), 1.into());
    }
    template(spec);
}

/// Defaults of the pod specification in `<path>.spec` of a workload.
pub fn template_in(workload_spec: &mut Fields) {
    template(child_or_new(child_or_new(workload_spec, "template"), "spec"));
}

/// Defaults of any pod specification.
pub fn template(spec: &mut Fields) {
    default_zero(spec, "dnsPolicy", "ClusterFirst");
    default_zero(spec, "restartPolicy", "Always");
    default_absent(spec, "securityContext", json!({}));
    default_absent(spec, "terminationGracePeriodSeconds", 30);
    default_zero(spec, "schedulerName", "default-scheduler");
    account(spec);
    each_mut(spec, "volumes").for_each(volume_defaults::volume);
    for list in CONTAINER_LISTS {
        each_mut(spec, list).for_each(container);
    }
    if let Some(overhead) = child_mut(spec, "overhead") {
        resources::canonical(overhead);
    }
    if let Some(own) = child_mut(spec, "resources") {
        resources::canonical_both(own);
    }
}

/// Keeps the old field `serviceAccount` equal to `serviceAccountName`.
fn account(spec: &mut Fields) {
    let get = |name: &str| spec.get(name).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
    if let Some(name) = get("serviceAccountName").or_else(|| get("serviceAccount")) {
        spec.insert("serviceAccountName".to_owned(), name.clone().into());
        spec.insert("serviceAccount".to_owned(), name.into());
    } else {
        spec.remove("serviceAccount");
    }
}

fn container(container: &mut Fields) {
    let name = container.get("image").and_then(Value::as_str).unwrap_or("").to_owned();
    default_zero(container, "imagePullPolicy", image::pull_policy(&name));
    default_zero(container, "terminationMessagePath", "/dev/termination-log");
    default_zero(container, "terminationMessagePolicy", "File");
    default_absent(container, "resources", json!({}));
    for port in each_mut(container, "ports") {
        default_zero(port, "protocol", "TCP");
    }
    for variable in each_mut(container, "env") {
        let Some(source) = child_mut(variable, "valueFrom") else { continue };
        if let Some(field) = child_mut(source, "fieldRef") {
            default_zero(field, "apiVersion", "v1");
        }
        if let Some(file) = child_mut(source, "fileKeyRef") {
            default_absent(file, "optional", false);
        }
        if let Some(field) = child_mut(source, "resourceFieldRef") {
            default_absent(field, "divisor", "0");
        }
    }
    if let Some(own) = child_mut(container, "resources") {
        resources::canonical_both(own);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(own) = child_mut(container, name) {
            probe(own);
        }
    }
    if let Some(lifecycle) = child_mut(container, "lifecycle") {
        for name in ["postStart", "preStop"] {
            if let Some(get) = child_mut(lifecycle, name).and_then(|h| child_mut(h, "httpGet")) {
                http_get(get);
            }
        }
    }
}

fn probe(probe: &mut Fields) {
    for (name, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)] {
        default_zero(probe, name, value);
    }
    if let Some(get) = child_mut(probe, "httpGet") {
        http_get(get);
    }
    if let Some(grpc) = child_mut(probe, "grpc") {
        default_absent(grpc, "service", "");
    }
}

fn http_get(get: &mut Fields) {
    default_zero(get, "path", "/");
    default_zero(get, "scheme", "HTTP");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_pod_becomes_complete() {
        let mut spec = json!({"containers": [{
            "name": "a", "image": "x:1", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1000m", "memory": "1024Ki"}, "requests": {"cpu": 0.5}},
            "readinessProbe": {"httpGet": {"port": 80}}
        }], "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "s"}}]});
        let fields = spec.as_object_mut().expect("an object");
        pod(fields);
        let once = fields.clone();
        pod(fields);
        assert_eq!(*fields, once, "idempotent");
        let want = json!({
            "containers": [{
                "name": "a", "image": "x:1", "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Mi"}, "requests": {"cpu": "500m", "memory": "1Mi"}},
                "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s", "defaultMode": 420}}],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {}, "enableServiceLinks": true,
            "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler",
        });
        assert_eq!(spec, want);
    }
}
