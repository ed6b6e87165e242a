//! How the node agent reads the files of static pods: by the rules that the API server has for pods.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::Pod;
use kinds::Descriptor;
use kubelet::manifest::Reader;
use meta::Object;
use serde_json::Value;

/// With what files are read.
pub const READER: Reader = Reader { parse, decode, check };

static PODS: LazyLock<Descriptor> = LazyLock::new(|| {
    let pods = kinds::all().into_iter().find(|kind| kind.gvk.kind.as_ref() == "Pod");
    pods.unwrap_or_else(|| unreachable!("pods are a kind"))
});

fn parse(text: &str) -> Result<Value, String> {
    // JSON that is well formed says no more and no less as YAML.
    schema::yaml_to_json(text).map(|(value, _)| value)
}

fn decode(tree: &Value) -> Result<(Pod, Vec<String>), String> {
    let decoded = PODS.schema.decode_value(tree).map_err(|e| e.to_string())?;
    let mut object = decoded.object;
    PODS.schema.default(&mut object);
    PODS.rules.default(&mut object);
    let pod = serde_json::from_value(object.into_value()).map_err(|e| e.to_string())?;
    Ok((pod, decoded.strict_errors))
}

fn check(pod: &Pod) -> Result<(), String> {
    let value = serde_json::to_value(pod).map_err(|e| e.to_string())?;
    let object = Object::from_value(value).map_err(|_| "a pod is an object".to_owned())?;
    let mut errors = PODS.rules.validate_name(object.name(), false);
    errors.extend(PODS.rules.validate(&object).iter().map(ToString::to_string));
    if errors.is_empty() { Ok(()) } else { Err(format!("[{}]", errors.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  hostNetwork: yes  # YAML as Go reads it
  containers:
  - name: c
    image: localhost/web:1
    ports: [{containerPort: 8080}]
    colour: red
";

    #[test]
    fn a_file_is_read_as_the_api_server_would() {
        let (pod, unknown) = decode(&parse(FILE).expect("YAML")).expect("a pod");
        assert_eq!(unknown, ["unknown field \"spec.containers[0].colour\""]);
        let spec = pod.spec.clone().expect("a spec");
        assert_eq!((spec.restart_policy.as_deref(), spec.termination_grace_period_seconds), (Some("Always"), Some(30)));
        assert_eq!((spec.host_network, spec.containers[0].image_pull_policy.as_deref()), (Some(true), Some("IfNotPresent")));
        check(&pod).expect("good");
        let mut wrong = pod;
        wrong.spec.get_or_insert_default().containers[0].name = "C".to_owned();
        wrong.metadata.name = Some("Web".to_owned());
        let why = check(&wrong).expect_err("two mistakes");
        assert!(why.contains("spec.containers[0].name: Invalid value: \"C\"") && why.starts_with("[") && why.matches("RFC 1123").count() >= 2, "{why}");
        assert!(parse("a: [").is_err() && decode(&serde_json::json!({"spec": 1})).is_err());
    }
}
