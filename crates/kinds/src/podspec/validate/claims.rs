//! The resource claims of a pod.

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};
use serde_json::json;

use crate::validate::{dns_label, dns_subdomain};
use crate::view::View;

/// `spec.resourceClaims`. A pod of a file on the node can have none.
pub(super) fn of_pod(claims: &View<'_>, mirror: bool, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for claim in claims.items() {
        if mirror {
            errors.push(Error::forbidden(&Path::new("[]"), "static pods do not support resource claims"));
            continue;
        }
        let name = claim.at("name");
        if name.str().is_empty() {
            errors.push(name.required(""));
        } else if seen.insert(name.str()) {
            dns_label(&name, errors);
        } else {
            errors.push(name.duplicate());
        }
        let (own, template) = (claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName"));
        let wrong = match (&own, &template) {
            (Some(_), Some(_)) => Some("at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
            (None, None) => Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            _ => None,
        };
        // Upstream shows its internal form.
        let text = |field: &Option<View<'_>>| json!(field.as_ref().map(View::str));
        let parts = (json!(name.str()), text(&own), text(&template));
        let shown = || format!(r#"{{"Name":{},"ResourceClaimName":{},"ResourceClaimTemplateName":{}}}"#, parts.0, parts.1, parts.2);
        errors.extend(wrong.map(|why| Error::invalid(&claim.path, json!(null), why).showing(shown())));
        own.iter().chain(&template).for_each(|name| dns_subdomain(name, errors));
    }
}
