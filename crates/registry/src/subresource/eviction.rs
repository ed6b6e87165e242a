//! `eviction` of a pod: a deletion that announces itself.

use admission::{Operation, Request, Warnings};
use async_trait::async_trait;
use meta::{Gvk, Object, Status};
use serde_json::Value;

use super::binding::set_condition;
use super::{Subresource, success};
use crate::api::{Call, DeleteOptions, Propagation, Written};
use crate::kind::Kind;
use crate::registry::Registry;
use crate::write::edit::Internal;

pub(super) struct Eviction;

#[async_trait]
impl Subresource for Eviction {
    fn name(&self) -> &'static str {
        "eviction"
    }

    async fn create(&self, registry: &Registry, call: &Call, kind: &Kind, mut object: Object) -> Result<Written, Status> {
        if object.name() != call.attributes.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let gvk = Gvk::new("policy", "v1", "Eviction");
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
        let mut options = options_of(&object)?;
        let mut call = call.clone();
        call.dry_run |= object.list_at("deleteOptions.dryRun").iter().any(|v| v == "All");
        if !call.dry_run {
            let wanted = (options.uid.clone(), options.resource_version.clone());
            let mut announce = Internal(|pod: &Object| disrupted(pod, &wanted.0, &wanted.1));
            let written = registry.change(&call, kind, "eviction", &mut announce).await?;
            // The announcement was our own write: the precondition goes on with it.
            let revision = written.object.revision.to_string();
            options.resource_version = options.resource_version.map(|_| revision);
        }
        let deleted = registry.delete_object(&call, kind, options).await?;
        Ok(success(deleted.object.key.clone()))
    }
}

fn options_of(eviction: &Object) -> Result<DeleteOptions, Status> {
    let text = |path: &str| Some(eviction.str_at(path).to_owned()).filter(|s| !s.is_empty());
    let orphan = eviction.bool_at("deleteOptions.orphanDependents");
    let propagation = match eviction.str_at("deleteOptions.propagationPolicy") {
        "" => orphan.map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background }),
        "Orphan" => Some(Propagation::Orphan),
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        other => return Err(Status::bad_request(format!("invalid propagationPolicy {other:?}"))),
    };
    Ok(DeleteOptions {
        grace_period: eviction.at("deleteOptions.gracePeriodSeconds").and_then(Value::as_i64),
        propagation,
        uid: text("deleteOptions.preconditions.uid"),
        resource_version: text("deleteOptions.preconditions.resourceVersion"),
    })
}

/// The pod with the condition that says why it goes.
fn disrupted(pod: &Object, uid: &Option<String>, version: &Option<String>) -> Result<Object, Status> {
    let check = |what: &str, wanted: &Option<String>, is: &str, since: &str| match wanted {
        Some(wanted) if wanted != is => {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). The object might \
                 have been {since}"
            );
            Err(Status::conflict("", "Pod", pod.name(), &why))
        }
        _ => Ok(()),
    };
    check("UID", uid, pod.uid(), "deleted and then recreated")?;
    check("ResourceVersion", version, pod.resource_version(), "modified")?;
    let mut pod = pod.clone();
    let why = [("reason", "EvictionByEvictionAPI"), ("message", "Eviction API: evicting")];
    set_condition(&mut pod, "DisruptionTarget", &why);
    Ok(pod)
}
