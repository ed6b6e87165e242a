//! The 403 of a plug-in (upstream: `apiserver/pkg/admission/errors.go`).

use meta::Status;

use crate::Request;

/// `<resource> "<name>" is forbidden: <why>`. An object without a name yet goes by its `generateName`.
pub fn forbidden(request: &Request<'_>, why: impl AsRef<str>) -> Status {
    let a = request.attributes;
    let object = request.object.as_deref();
    let candidates =
        [a.name.as_str(), object.map_or("", |o| o.name()), object.map_or("", |o| o.str_at("metadata.generateName"))];
    let name = candidates.into_iter().find(|name| !name.is_empty()).unwrap_or("Unknown");
    Status::forbidden(&a.group, &a.resource, name, why.as_ref())
}
