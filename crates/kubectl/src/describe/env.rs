//! Environment variables of a container.

use meta::Quantity;
use serde_json::Value;

use super::page::Page;
use super::tree::{entries, list, text, truth};

/// Writes where variables come from, and the variables. `pod` gives the values of its own fields.
pub fn write(page: &mut Page, container: &Value, pod: Option<&Value>) {
    let sources = list(&container["envFrom"]);
    if !sources.is_empty() {
        page.line(2, "Environment Variables from:");
    }
    for source in sources {
        let (kind, reference) = match source["configMapRef"].is_object() {
            true => ("ConfigMap", &source["configMapRef"]),
            false if source["secretRef"].is_object() => ("Secret", &source["secretRef"]),
            false => ("", &Value::Null),
        };
        let prefix = match text(&source["prefix"]) {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        let optional = truth(&reference["optional"]);
        page.line(3, format!("{}\t{kind}{prefix}\tOptional: {optional}", text(&reference["name"])));
    }
    let variables = list(&container["env"]);
    page.line(2, if variables.is_empty() { "Environment:\t<none>" } else { "Environment:" });
    variables.iter().for_each(|v| variable(page, v, container, pod));
}

fn variable(page: &mut Page, variable: &Value, container: &Value, pod: Option<&Value>) {
    let (name, from) = (text(&variable["name"]), &variable["valueFrom"]);
    if !from.is_object() {
        for (i, line) in text(&variable["value"]).split('\n').enumerate() {
            page.line(3, if i == 0 { format!("{name}:\t{line}") } else { format!("\t{line}") });
        }
        return;
    }
    let (field, resource) = (&from["fieldRef"], &from["resourceFieldRef"]);
    if field.is_object() {
        let path = text(&field["fieldPath"]);
        let value = pod.map_or_else(String::new, |pod| pod_field(pod, path));
        page.line(3, format!("{name}:\t{value} ({}:{path})", text(&field["apiVersion"])));
    } else if resource.is_object() {
        let wanted = text(&resource["resource"]);
        let mut value = amount(container, wanted, text(&resource["divisor"])).unwrap_or_default();
        if value == "0" && matches!(wanted, "limits.cpu" | "limits.memory") {
            value = "node allocatable".to_owned();
        }
        page.line(3, format!("{name}:\t{value} ({wanted})"));
    }
    for (field, joined, kind) in [("secretKeyRef", "in", "secret"), ("configMapKeyRef", "of", "config map")] {
        let reference = &from[field];
        if reference.is_object() {
            let (key, owner) = (text(&reference["key"]), text(&reference["name"]));
            let optional = truth(&reference["optional"]);
            page.line(3, format!("{name}:\t<set to the key '{key}' {joined} {kind} '{owner}'>\tOptional: {optional}"));
        }
    }
}

/// The field of a pod. As upstream: fields of its status and single labels are not looked up.
fn pod_field(pod: &Value, path: &str) -> String {
    let metadata = &pod["metadata"];
    let quoted = |map: &Value| {
        entries(map).into_iter().map(|(k, v)| format!("{k}={:?}", text(v))).collect::<Vec<_>>().join("\n")
    };
    match path {
        "metadata.annotations" => quoted(&metadata["annotations"]),
        "metadata.labels" => quoted(&metadata["labels"]),
        "metadata.name" | "metadata.namespace" | "metadata.uid" => {
            text(&metadata[path.trim_start_matches("metadata.")]).to_owned()
        }
        _ => String::new(),
    }
}

/// A resource of the container in units of the divisor, rounded up.
fn amount(container: &Value, wanted: &str, divisor: &str) -> Option<String> {
    let (list, resource) = wanted.split_once('.')?;
    if !matches!(resource, "cpu" | "memory" | "ephemeral-storage") && !resource.starts_with("hugepages-") {
        return None;
    }
    let read = |t: &str| Quantity::parse(t).ok().filter(|q| !q.is_zero());
    let unit = read(divisor).or_else(|| read("1"))?;
    let amount = read(text(&container["resources"][list][resource]));
    let (amount, unit) = match resource {
        "cpu" => (amount.map_or(0, |a| a.milli_value()), unit.milli_value()),
        _ => (amount.map_or(0, |a| a.value()), unit.value()),
    };
    Some(((amount as f64 / unit as f64).ceil() as i64).to_string())
}
