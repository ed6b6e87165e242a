//! TokenRequest: a token for a service account, perhaps bound to a pod, a secret or a node
//! (upstream: `pkg/registry/core/serviceaccount/storage/token.go`).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::field::{Error, Path};
use meta::{Gvk, Key, Object, Status};
use serde_json::{Value, json};

use super::Tokens;
use super::claims::{Bound, Claims, Reference};
use crate::identity::service_account_name;
use crate::lookup::Lookup;

const GROUP: &str = "authentication.k8s.io";
/// A pod's token for the API server is asked for this long: an hour and a few seconds marks clients
/// that may not reload it.
const WARN_AFTER: i64 = 60 * 60 + 7;
/// So long does such a token live in truth.
const EXTENDED: i64 = 365 * 24 * 60 * 60;

/// The objects that a token names.
#[derive(Default)]
struct Objects {
    pod: Option<Arc<Object>>,
    secret: Option<Arc<Object>>,
    node: Option<Reference>,
}

/// A TokenRequest that passed all checks but admission: the object to admit, and what to sign.
pub struct Issuance {
    /// The request, complete, without status.
    pub request: Object,
    claims: Claims,
    expires: Timestamp,
}

impl Tokens {
    /// Checks a `POST …/serviceaccounts/<name>/token`. Admission follows, then [`Tokens::issue`].
    pub async fn prepare(
        &self,
        mut request: Object,
        account: &Key,
        lookup: &dyn Lookup,
        now: Timestamp,
    ) -> Result<Issuance, Status> {
        matches_url(&request, account)?;
        let found = lookup.get("", "serviceaccounts", account).await?;
        let found = found.ok_or_else(|| Status::not_found("", "serviceaccounts", &account.name))?;
        if !request.uid().is_empty() && request.uid() != found.uid() {
            let why = format!(
                "the UID in the token request ({}) does not match the UID of the service account ({})",
                request.uid(),
                found.uid()
            );
            return Err(Status::conflict(GROUP, "TokenRequest", &account.name, &why));
        }
        request.set_default("spec.expirationSeconds", 3600);
        for (field, value) in [("name", found.name()), ("namespace", found.namespace()), ("uid", found.uid())] {
            request.set(&format!("metadata.{field}"), value);
        }
        request.set("metadata.creationTimestamp", meta::time::seconds(now));
        request.remove("status");
        let seconds = request.i64_at("spec.expirationSeconds").unwrap_or(0);
        valid(seconds)?;
        let objects = bound_objects(&request, account, lookup).await?;
        let claims = self.claims(&request, &found, &objects, seconds, now);
        Ok(Issuance { request, claims, expires: now + SignedDuration::from_secs(seconds) })
    }

    /// Signs; the result is the TokenRequest with its status.
    pub fn issue(&self, issuance: Issuance) -> Result<Object, Status> {
        let Issuance { mut request, claims, expires } = issuance;
        let token = self.sign(&claims).map_err(|e| Status::internal(format!("failed to generate token: {e}")))?;
        // Only now: admission is to see whether the caller named audiences.
        request.set("spec.audiences", claims.aud.as_slice());
        request.set("status", json!({"token": token, "expirationTimestamp": meta::time::seconds(expires)}));
        Ok(request)
    }

    fn claims(&self, request: &Object, account: &Object, objects: &Objects, seconds: i64, now: Timestamp) -> Claims {
        let mut aud: Vec<String> =
            request.list_at("spec.audiences").iter().filter_map(|a| a.as_str().map(str::to_owned)).collect();
        if aud.is_empty() {
            aud = self.audiences().to_vec();
        }
        let ours = aud.iter().all(|audience| self.audiences().contains(audience));
        let extended = objects.pod.is_some() && seconds == WARN_AFTER && ours;
        let now = now.as_second();
        Claims {
            aud,
            exp: now + if extended { EXTENDED } else { seconds },
            iat: now,
            iss: String::new(),
            jti: uuid::Uuid::new_v4().to_string(),
            kubernetes: Bound {
                namespace: account.namespace().to_owned(),
                node: objects.node.clone(),
                pod: objects.pod.as_deref().map(Reference::to),
                secret: objects.secret.as_deref().map(Reference::to),
                serviceaccount: Reference::to(account),
                warnafter: extended.then_some(now + WARN_AFTER),
            },
            nbf: now,
            sub: service_account_name(account.namespace(), account.name()),
        }
    }
}

fn invalid(name: &str, error: Error) -> Status {
    Status::invalid(GROUP, "TokenRequest", name, &[error])
}

fn matches_url(request: &Object, account: &Key) -> Result<(), Status> {
    for (field, given, wanted) in
        [("name", request.name(), &account.name), ("namespace", request.namespace(), &account.namespace)]
    {
        if !given.is_empty() && given != &**wanted {
            let path = Path::new("metadata").child(field);
            let detail = format!("must match the service account {field} if specified");
            return Err(invalid(&account.name, Error::invalid(&path, given, detail)));
        }
    }
    Ok(())
}

fn valid(seconds: i64) -> Result<(), Status> {
    let refuse = |detail: &str| {
        let path = Path::new("spec").child("expirationSeconds");
        Err(invalid("", Error::invalid(&path, seconds, detail)))
    };
    match seconds {
        s if s < 600 => refuse("may not specify a duration less than 10 minutes"),
        s if s > 1 << 32 => refuse("may not specify a duration larger than 2^32 seconds"),
        _ => Ok(()),
    }
}

async fn bound_objects(request: &Object, account: &Key, lookup: &dyn Lookup) -> Result<Objects, Status> {
    let mut objects = Objects::default();
    let Some(reference) = request.at("spec.boundObjectRef").filter(|r| r.is_object()) else {
        return Ok(objects);
    };
    let text = |field: &str| reference.get(field).and_then(Value::as_str).unwrap_or("");
    let gvk = Gvk::from_api_version(text("apiVersion"), text("kind"));
    let (resource, namespace) = match (&*gvk.group, &*gvk.kind) {
        ("", "Pod") => ("pods", &*account.namespace),
        ("", "Secret") => ("secrets", &*account.namespace),
        ("", "Node") => ("nodes", ""),
        _ => {
            let Gvk { group, version, kind } = gvk;
            let why = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(Status::bad_request(why));
        }
    };
    let name = text("name");
    let found = lookup.get("", resource, &Key::new(namespace, name)).await?;
    let found = found.ok_or_else(|| Status::not_found("", resource, name))?;
    if resource == "pods" && found.str_at("spec.serviceAccountName") != &*account.name {
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            account.name
        )));
    }
    let uid = text("uid");
    if !uid.is_empty() && uid != found.uid() {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have \
             been deleted and then recreated"
        );
        return Err(Status::conflict(&gvk.group, &gvk.kind, name, &why));
    }
    match resource {
        "pods" => {
            objects.node = node_of(&found, lookup).await?;
            objects.pod = Some(found);
        }
        "secrets" => objects.secret = Some(found),
        _ => objects.node = Some(Reference::to(&found)),
    }
    Ok(objects)
}

/// The pod's node; of one that does not exist the name alone.
async fn node_of(pod: &Object, lookup: &dyn Lookup) -> Result<Option<Reference>, Status> {
    let name = pod.str_at("spec.nodeName");
    if name.is_empty() {
        return Ok(None);
    }
    let node = lookup.get("", "nodes", &Key::new("", name)).await?;
    Ok(Some(node.map_or_else(|| Reference { name: name.to_owned(), uid: String::new() }, |n| Reference::to(&n))))
}
