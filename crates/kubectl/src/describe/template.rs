//! The pod template in the page of a workload, and what it shares with the page of a pod.

use serde_json::Value;

use super::page::Page;
use super::tree::{is_empty, list, number, text};
use super::{containers, labels, volumes};

/// Writes the template.
pub fn write(page: &mut Page, template: &Value) {
    let spec = &template["spec"];
    page.line(0, "Pod Template:");
    labels::labels(page, "  Labels", &template["metadata"]["labels"]);
    if !is_empty(&template["metadata"]["annotations"]) {
        labels::annotations(page, "  Annotations", &template["metadata"]["annotations"]);
    }
    page.field_if(1, "Service Account", text(&spec["serviceAccountName"]));
    if !list(&spec["initContainers"]).is_empty() {
        containers::write(page, "Init Containers", list(&spec["initContainers"]), &[], None, "  ");
    }
    containers::write(page, "Containers", list(&spec["containers"]), &[], None, "  ");
    volumes::write(page, &spec["volumes"], "  ");
    spread(page, &spec["topologySpreadConstraints"], "  ");
    page.field_if(1, "Priority Class Name", text(&spec["priorityClassName"]));
    labels::labels(page, "  Node-Selectors", &spec["nodeSelector"]);
    labels::tolerations(page, "  Tolerations", &spec["tolerations"]);
    group(page, spec, "  ");
}

/// How pods are to be spread over the cluster.
pub fn spread(page: &mut Page, constraints: &Value, space: &str) {
    let mut all: Vec<&Value> = list(constraints).iter().collect();
    if all.is_empty() {
        return;
    }
    all.sort_by_key(|c| text(&c["topologyKey"]));
    page.put(0, &format!("{space}Topology Spread Constraints:\t"));
    for (i, constraint) in all.into_iter().enumerate() {
        if i > 0 {
            page.put(0, &format!("{space}\t"));
        }
        let selector = match constraint["labelSelector"].is_object() {
            true => format!(" for selector {}", labels::selector_or_none(&constraint["labelSelector"])),
            false => String::new(),
        };
        let (key, action) = (text(&constraint["topologyKey"]), text(&constraint["whenUnsatisfiable"]));
        page.line(0, format!("{key}:{action} when max skew {} is exceeded{selector}", number(&constraint["maxSkew"])));
    }
}

/// The group that the pod is scheduled with.
pub fn group(page: &mut Page, spec: &Value, space: &str) {
    if spec["schedulingGroup"].is_object() {
        page.line(0, format!("{space}SchedulingGroup:"));
        page.field(1, "PodGroupName", text(&spec["schedulingGroup"]["podGroupName"]));
    }
}
