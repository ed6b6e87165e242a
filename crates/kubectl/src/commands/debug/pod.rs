//! The pods and containers of debugging sessions (upstream: `kubectl/pkg/cmd/debug/debug.go`). Pure, but for the names.

use serde_json::{Map, Value, json};

use super::profile::Style;
use super::{Options, container_mut};
use crate::failure::Failure;

/// The pod with one more ephemeral container, and the patch that makes it so.
pub fn ephemeral(options: &Options, pod: &Value) -> Result<(Value, Value, String), Failure> {
    let name = container_name(options, pod);
    let mut container = options.new_container(&name);
    set(&mut container, "targetContainerName", &options.target);
    let mut changed = pod.clone();
    let list = &mut changed["spec"]["ephemeralContainers"];
    match list {
        Value::Array(list) => list.push(container),
        other => *other = json!([container]),
    }
    options.profile.apply(&mut changed, &name, Style::Ephemeral, options.keep);
    options.customize(&mut changed, &name)?;
    let all = changed["spec"]["ephemeralContainers"].as_array().cloned().unwrap_or_default();
    let order: Vec<Value> = all.iter().map(|container| json!({"name": container["name"]})).collect();
    // Of two with one name the first was changed: that is for the server to refuse.
    let added: Vec<&Value> = all.iter().find(|container| container["name"] == name).into_iter().collect();
    let patch = json!({"spec": {"$setElementOrder/ephemeralContainers": order, "ephemeralContainers": added}});
    Ok((changed, patch, name))
}

/// A pod of its own on a node.
pub fn on_node(options: &Options, node: &str) -> Result<(Value, String), Failure> {
    let container = if options.container.is_empty() { "debugger" } else { &options.container };
    let name = format!("node-debugger-{node}-{}", meta::random::suffix(5));
    if !options.quiet {
        println!("Creating debugging pod {name} with container {container} on node {node}.");
    }
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "kubectl-debug"}},
        "spec": {
            "containers": [options.new_container(container)],
            "nodeName": node,
            "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}],
        },
    });
    options.profile.apply(&mut pod, container, Style::Node, options.keep);
    options.customize(&mut pod, container)?;
    Ok((pod, container.to_owned()))
}

/// A copy of a pod, with the name of the container that debugs; there is none where only images are changed.
pub fn copy(options: &Options, pod: &Value) -> Result<(Value, Option<String>), Failure> {
    let mut copied = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": pod["spec"]});
    copied["metadata"]["name"] = Value::from(options.copy_to.as_str());
    for field in ["namespace", "annotations", "labels"] {
        if let Some(value) = pod["metadata"].get(field) {
            copied["metadata"][field] = value.clone();
        }
    }
    let fields = copied["spec"].as_object_mut();
    let fields = fields.ok_or_else(|| Failure::message("the pod has no specification"))?;
    fields.remove("ephemeralContainers");
    if let Some(share) = options.share_processes {
        fields.insert("shareProcessNamespace".to_owned(), Value::Bool(share));
    }
    if !options.same_node {
        fields.remove("nodeName");
    }
    let images = &options.set_images;
    for container in copied["spec"]["containers"].as_array_mut().into_iter().flatten() {
        let own = container["name"].as_str().and_then(|name| images.get(name)).or_else(|| images.get("*"));
        if let Some(image) = own.filter(|image| !image.is_empty()).cloned() {
            container["image"] = Value::from(image);
        }
    }
    let mut name = options.container.clone();
    if container_mut(&mut copied, &name).is_none() {
        if options.image.is_empty() {
            return match options.set_images.is_empty() {
                false => Ok((copied, None)),
                true => Err(Failure::message("you must specify image when creating new container")),
            };
        }
        if name.is_empty() {
            name = container_name(options, &copied);
        }
        let container = json!({"name": name, "terminationMessagePolicy": "File"});
        copied["spec"]["containers"].as_array_mut().into_iter().for_each(|list| list.push(container.clone()));
    }
    if let Some(container) = container_mut(&mut copied, &name) {
        change(options, container);
    }
    options.profile.apply(&mut copied, &name, Style::Copy, options.keep);
    options.customize(&mut copied, &name)?;
    Ok((copied, Some(name)))
}

/// What is said on the command line of a container that may be there already.
fn change(options: &Options, container: &mut Value) {
    let Some(fields) = container.as_object_mut() else { return };
    if !options.args.is_empty() {
        fields.insert(if options.arguments_only { "args" } else { "command" }.to_owned(), json!(options.args));
        if !options.arguments_only {
            fields.remove("args");
        }
    }
    if !options.env.is_empty() {
        fields.insert("env".to_owned(), options.environment());
    }
    for (field, value) in [("image", &options.image), ("imagePullPolicy", &options.pull_policy)] {
        if !value.is_empty() {
            fields.insert(field.to_owned(), Value::from(value.as_str()));
        }
    }
    for (field, wanted) in [("stdin", options.stdin), ("tty", options.tty)] {
        fields.remove(field);
        if wanted {
            fields.insert(field.to_owned(), Value::Bool(true));
        }
    }
}

/// A text that is left out where it is empty.
pub fn set(container: &mut Value, field: &str, value: &str) {
    if !value.is_empty() {
        container[field] = Value::from(value);
    }
}

/// The name on the command line, or one that no container of the pod has.
fn container_name(options: &Options, pod: &Value) -> String {
    if !options.container.is_empty() {
        return options.container.clone();
    }
    let taken = |name: &str| crate::pods::containers(pod).iter().any(|container| container.name == name);
    let mut name = String::new();
    while name.is_empty() || taken(&name) {
        name = format!("debugger-{}", meta::random::suffix(5));
    }
    if !options.quiet {
        println!("Defaulting debug container name to {name}.");
    }
    name
}

/// Whether the pod's user takes away what the profile gives.
pub fn is_in_vain(pod: &Value, container: &Value) -> bool {
    let root = |context: &Value| context["runAsUser"].as_i64().unwrap_or(0) == 0;
    let (own, wide) = (&container["securityContext"], &pod["spec"]["securityContext"]);
    if root(wide) || own["runAsUser"] == 0 {
        return false;
    }
    own["privileged"] == true || own["capabilities"]["add"].as_array().is_some_and(|added| !added.is_empty())
}

/// The fields of a container, as upstream's type has them: what it does not know is left out.
pub fn container_of(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let schema = schema::Schema::definition("io.k8s.api.core.v1.Container");
    let schema = schema.ok_or_else(|| "the schema of containers is missing".to_owned())?;
    let decoded = match schema.decode_json(bytes) {
        Ok(decoded) => decoded,
        Err(_) => {
            let text = String::from_utf8_lossy(bytes);
            let (tree, _) = schema::yaml_to_json(&text).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
            let wrong = |e: schema::DecodeError| format!("error unmarshaling JSON: while decoding JSON: {e}");
            schema.decode_value(&tree).map_err(wrong)?
        }
    };
    match decoded.object.into_value() {
        Value::Object(fields) => Ok(fields),
        _ => Err("it is no object".to_owned()),
    }
}
