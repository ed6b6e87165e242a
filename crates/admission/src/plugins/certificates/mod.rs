//! Requests for certificates: who may approve and sign them, and which are asked in vain (upstream:
//! `plugin/pkg/admission/certificates`).

pub(super) mod approval;
pub(super) mod signing;
pub(super) mod subject;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use auth::Authorization;
use meta::Attributes;

use crate::{Operation, Request};

const GROUP: &str = "certificates.k8s.io";

/// Whether the request does that to a request for a certificate, or to such a part of it.
fn is_about(request: &Request<'_>, operation: Operation, subresource: &str) -> bool {
    let a = request.attributes;
    let place = (&*a.group, &*a.resource, &*a.subresource);
    request.operation == operation && place == (GROUP, "certificatesigningrequests", subresource)
}

/// Whether whoever asks may do something for a signer: by its name, or for all of its domain.
fn may(authorization: &Arc<Authorization>, a: &Attributes, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let wanted = Attributes {
            user: a.user.clone(),
            verb: verb.to_owned(),
            group: GROUP.to_owned(),
            version: "*".to_owned(),
            resource: "signers".to_owned(),
            name,
            ..Attributes::default()
        };
        authorization.authorize(&wanted).allowed()
    })
}
