//! `binding` of a pod: puts it on a node.

use admission::{Operation, Request, Warnings};
use async_trait::async_trait;
use jiff::Timestamp;
use meta::object::string_map;
use meta::{Gvk, Object, Reason, Status, time};
use serde_json::{Map, Value, json};

use super::{Subresource, success};
use crate::api::{Call, Written};
use crate::kind::Kind;
use crate::registry::Registry;
use crate::write::edit::Internal;

pub(super) struct Binding;

#[async_trait]
impl Subresource for Binding {
    fn name(&self) -> &'static str {
        "binding"
    }

    async fn create(&self, registry: &Registry, call: &Call, kind: &Kind, mut object: Object) -> Result<Written, Status> {
        let name = &*call.attributes.name;
        if object.name() != name {
            return Err(Status::bad_request("name in URL does not match name in Binding object"));
        }
        check(&object)?;
        let gvk = Gvk::new("", "v1", "Binding");
        let mut request = Request {
            attributes: &call.attributes,
            gvk: &gvk,
            operation: Operation::Create,
            object: Some(&mut object),
            old: None,
            dry_run: call.dry_run,
            warnings: Warnings::default(),
        };
        registry.mutate(&mut request).await?;
        registry.approve(&mut request).await?;
        let binding = object;
        let mut edit = Internal(|pod: &Object| bind(pod, &binding));
        let written = registry.change(call, kind, "binding", &mut edit).await?;
        Ok(success(written.object.key.clone()))
    }
}

fn check(binding: &Object) -> Result<(), Status> {
    // Upstream's answer carries no reason.
    let refuse = |why: String| Err(Status::new(Reason::Unknown, why));
    match binding.str_at("target.kind") {
        "" | "Node" => {}
        other => return refuse(format!("target.kind: Unsupported value: {other:?}: supported values: \"Node\", \"<empty>\"")),
    }
    if binding.str_at("target.name").is_empty() {
        return refuse("target.name: Required value".to_owned());
    }
    Ok(())
}

/// The pod on its node; 409 if it cannot go there.
fn bind(pod: &Object, binding: &Object) -> Result<Object, Status> {
    let name = pod.name();
    let conflict = |why: String| Err(Status::conflict("", "pods/binding", name, &why));
    let precondition = |what: &str, wanted: &str, is: &str| {
        let key = format!("/registry/pods/{}/{name}", pod.namespace());
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
             {what} in precondition: {wanted}, {what} in object meta: {is}"
        );
        Err(Status::conflict("", "pods", name, &why))
    };
    if !matches!(binding.uid(), "") && binding.uid() != pod.uid() {
        return precondition("UID", binding.uid(), pod.uid());
    }
    if !matches!(binding.resource_version(), "") && binding.resource_version() != pod.resource_version() {
        return precondition("ResourceVersion", binding.resource_version(), pod.resource_version());
    }
    if pod.deletion_timestamp().is_some() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let node = pod.str_at("spec.nodeName");
    if !node.is_empty() {
        return conflict(format!("pod {name} is already assigned to node {node:?}"));
    }
    if !pod.list_at("spec.schedulingGates").is_empty() {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut bound = pod.clone();
    bound.set("spec.nodeName", binding.str_at("target.name"));
    bound.remove("status.nominatedNodeName");
    for map in ["metadata.annotations", "metadata.labels"] {
        let added: Map<String, Value> = string_map(binding.at(map)).map(|(k, v)| (k.to_owned(), v.into())).collect();
        if !added.is_empty() {
            let mut all = bound.at(map).and_then(Value::as_object).cloned().unwrap_or_default();
            all.extend(added);
            bound.set(map, all);
        }
    }
    set_condition(&mut bound, "PodScheduled", &[]);
    Ok(bound)
}

/// Sets a pod condition to True, with further fields. The transition time changes with the status alone.
pub(super) fn set_condition(pod: &mut Object, sort: &str, further: &[(&str, &str)]) {
    let mut conditions = pod.list_at("status.conditions").to_vec();
    let present = conditions.iter_mut().find(|c| c["type"] == sort);
    let was_true = present.as_ref().is_some_and(|c| c["status"] == "True");
    let mut condition = json!({"type": sort, "status": "True", "lastProbeTime": null});
    for (field, text) in further {
        condition[*field] = (*text).into();
    }
    condition["lastTransitionTime"] = match &present {
        Some(old) if was_true => old["lastTransitionTime"].clone(),
        _ => time::seconds(Timestamp::now()).into(),
    };
    match present {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
    pod.set("status.conditions", conditions);
}
