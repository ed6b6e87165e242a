//! The page of a Pod.

use futures::FutureExt;
use serde_json::Value;

use super::page::Page;
use super::time::{date, since};
use super::tree::{controller, list, number, text, text_or};
use super::{Events, Member, containers, labels, marks, template, volumes};

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "Pod",
    events: Events::AnyKind,
    write: |_, object, page| {
        async move {
            identity(page, object);
            state(page, object);
            all_containers(page, object);
            end(page, object);
            Ok(())
        }
        .boxed()
    },
};

fn identity(page: &mut Page, pod: &Value) {
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    page.field(0, "Name", text(&metadata["name"]));
    page.field(0, "Namespace", text(&metadata["namespace"]));
    if let Some(priority) = spec["priority"].as_i64() {
        page.field(0, "Priority", priority);
    }
    page.field_if(0, "Priority Class Name", text(&spec["priorityClassName"]));
    page.field_if(0, "Runtime Class Name", text(&spec["runtimeClassName"]));
    page.field_if(0, "Service Account", text(&spec["serviceAccountName"]));
    match text(&spec["nodeName"]) {
        "" => page.field(0, "Node", "<none>"),
        node => page.field(0, "Node", format!("{node}/{}", text(&status["hostIP"]))),
    }
    if status["startTime"].is_string() {
        page.field(0, "Start Time", date(&status["startTime"]));
    }
    marks(page, pod);
}

fn state(page: &mut Page, pod: &Value) {
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    let phase = text(&status["phase"]);
    if metadata["deletionTimestamp"].is_string() && !matches!(phase, "Failed" | "Succeeded") {
        page.field(0, "Status", format!("Terminating (lasts {})", since(&metadata["deletionTimestamp"])));
        let grace = number(&metadata["deletionGracePeriodSeconds"]);
        page.field(0, "Termination Grace Period", format!("{grace}s"));
    } else {
        page.field(0, "Status", phase);
    }
    page.field_if(0, "Reason", text(&status["reason"]));
    page.field_if(0, "Message", text(&status["message"]));
    let profile = &spec["securityContext"]["seccompProfile"];
    if profile.is_object() {
        page.field(0, "SeccompProfile", text(&profile["type"]));
        page.field_if(0, "LocalhostProfile", text(&profile["localhostProfile"]));
    }
    page.field(0, "IP", text(&status["podIP"]));
    let addresses = list(&status["podIPs"]);
    match addresses.is_empty() {
        true => page.field(0, "IPs", "<none>"),
        false => page.line(0, "IPs:"),
    }
    addresses.iter().for_each(|a| page.field(1, "IP", text(&a["ip"])));
    page.field_if(0, "Controlled By", &controller(pod).unwrap_or_default());
    page.field_if(0, "NominatedNodeName", text(&status["nominatedNodeName"]));
    if spec["resources"].is_object() {
        page.line(0, "Resources:");
        containers::resources(page, 1, &spec["resources"]);
    }
}

fn all_containers(page: &mut Page, pod: &Value) {
    let groups = [
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ];
    for (title, field, statuses) in groups {
        let all = list(&pod["spec"][field]);
        if !all.is_empty() || field == "containers" {
            containers::write(page, title, all, list(&pod["status"][statuses]), Some(pod), "");
        }
    }
}

fn end(page: &mut Page, pod: &Value) {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let conditions = list(&status["conditions"]);
    let gates = list(&spec["readinessGates"]);
    if !gates.is_empty() {
        page.line(0, "Readiness Gates:\n  Type\tStatus");
    }
    for gate in gates {
        let kind = text(&gate["conditionType"]);
        let state = conditions.iter().find(|c| c["type"] == kind).map_or("<none>", |c| text(&c["status"]));
        page.line(1, format!("{kind} \t{state} "));
    }
    if !conditions.is_empty() {
        page.line(0, "Conditions:\n  Type\tStatus");
    }
    for condition in conditions {
        page.line(1, format!("{} \t{} ", text(&condition["type"]), text(&condition["status"])));
    }
    volumes::write(page, &spec["volumes"], "");
    page.field(0, "QoS Class", text_or(&status["qosClass"], "BestEffort"));
    labels::labels(page, "Node-Selectors", &spec["nodeSelector"]);
    labels::tolerations(page, "Tolerations", &spec["tolerations"]);
    template::spread(page, &spec["topologySpreadConstraints"], "");
    template::group(page, spec, "");
}
