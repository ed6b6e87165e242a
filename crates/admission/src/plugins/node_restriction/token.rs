//! A kubelet gets tokens only for pods that run on it, and only for audiences that the pod asks for.

use auth::Authorization;
use meta::{Attributes, Key, Object, Status};
use serde_json::Value;

use super::text;
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Request};

pub(super) async fn check(
    node: &str,
    request: &Request<'_>,
    lookup: &dyn Lookup,
    authorization: &Authorization,
) -> Result<(), Status> {
    let (Operation::Create, Some(wanted)) = (request.operation, request.object.as_deref()) else { return Ok(()) };
    let none = Value::Null;
    let reference = wanted.at("spec.boundObjectRef").unwrap_or(&none);
    let field = |name: &str| text(reference, name);
    if field("apiVersion") != "v1" || field("kind") != "Pod" || field("name").is_empty() {
        return Err(forbidden(request, "node requested token not bound to a pod"));
    }
    if field("uid").is_empty() {
        return Err(forbidden(request, "node requested token with a pod binding without a uid"));
    }
    let pod = lookup.get("", "pods", &Key::new(&request.attributes.namespace, field("name"))).await?;
    let pod = pod.ok_or_else(|| Status::not_found("", "pods", field("name")))?;
    if field("uid") != pod.uid() {
        let why = format!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been \
             deleted and then recreated",
            field("uid")
        );
        return Err(forbidden(request, why));
    }
    if pod.str_at("spec.nodeName") != node {
        return Err(forbidden(request, "node requested token bound to a pod scheduled on a different node"));
    }
    audience(request, wanted, &pod, lookup, authorization).await
}

async fn audience(
    request: &Request<'_>,
    wanted: &Object,
    pod: &Object,
    lookup: &dyn Lookup,
    authorization: &Authorization,
) -> Result<(), Status> {
    let audience = match wanted.list_at("spec.audiences") {
        [] => "",
        [one] => one.as_str().unwrap_or(""),
        _ => return Err(forbidden(request, "node may only request 0 or 1 audiences")),
    };
    if asks_for(pod, audience, lookup).await? {
        return Ok(());
    }
    let a = request.attributes;
    let allowed = authorization.authorize(&Attributes {
        user: a.user.clone(),
        verb: "request-serviceaccounts-token-audience".to_owned(),
        version: "v1".to_owned(),
        resource: audience.to_owned(),
        namespace: a.namespace.clone(),
        name: a.name.clone(),
        ..Attributes::default()
    });
    if allowed.allowed() {
        return Ok(());
    }
    let user = &a.user.name;
    let why = format!(
        "audience {audience:?} not found in pod spec volume, {user} is not authorized to request tokens for this audience"
    );
    Err(forbidden(request, why))
}

/// Whether a volume of the pod needs a token of the audience: a projected token, or a CSI driver's.
async fn asks_for(pod: &Object, audience: &str, lookup: &dyn Lookup) -> Result<bool, Status> {
    for volume in pod.list_at("spec.volumes") {
        let sources = volume.pointer("/projected/sources").and_then(Value::as_array);
        let tokens = sources.into_iter().flatten().filter_map(|source| source.get("serviceAccountToken"));
        if tokens.filter(|token| token.is_object()).any(|token| text(token, "audience") == audience) {
            return Ok(true);
        }
        let Some(driver) = driver(pod, volume, lookup).await? else { continue };
        let driver = lookup.get("storage.k8s.io", "csidrivers", &Key::new("", &driver)).await?;
        let requests = driver.as_ref().map_or(&[][..], |driver| driver.list_at("spec.tokenRequests"));
        if requests.iter().any(|request| text(request, "audience") == audience) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The CSI driver behind a volume: named in the pod, or by its claim's volume.
async fn driver(pod: &Object, volume: &Value, lookup: &dyn Lookup) -> Result<Option<String>, Status> {
    if let Some(csi) = volume.get("csi").filter(|csi| csi.is_object()) {
        return Ok(Some(text(csi, "driver").to_owned()));
    }
    let claim = if volume.get("ephemeral").is_some_and(Value::is_object) {
        format!("{}-{}", pod.name(), text(volume, "name"))
    } else {
        volume.get("persistentVolumeClaim").map_or("", |claim| text(claim, "claimName")).to_owned()
    };
    if claim.is_empty() {
        return Ok(None);
    }
    let claim = lookup.get("", "persistentvolumeclaims", &Key::new(pod.namespace(), &claim)).await?;
    let Some(claim) = claim else { return Ok(None) };
    let bound = lookup.get("", "persistentvolumes", &Key::new("", claim.str_at("spec.volumeName"))).await?;
    Ok(bound.map(|volume| volume.str_at("spec.csi.driver").to_owned()).filter(|driver| !driver.is_empty()))
}
