//! What a request to a kubelet's port means as a request to the API.

use meta::{Attributes, User};

/// Path of the kubelet's port and the subresource of `nodes` that guards it; all others are `proxy`.
const GUARDED: &[(&str, &str)] = &[
    ("/stats", "stats"),
    ("/metrics", "metrics"),
    ("/logs", "log"),
    ("/checkpoint", "checkpoint"),
    ("/statusz", "statusz"),
    ("/flagz", "configz"),
];

/// Paths that a finer subresource opens besides `proxy`.
const FINE: &[(&str, &str)] =
    &[("/pods", "pods"), ("/runningpods", "pods"), ("/healthz", "healthz"), ("/configz", "configz")];

/// What the user must be allowed to do with the node for this request: any one of these.
pub fn kubelet_attributes(user: &User, method: &str, path: &str, node: &str) -> Vec<Attributes> {
    let verb = match method {
        "POST" => "create",
        "GET" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    };
    let named = |table: &[(&str, &'static str)]| {
        table.iter().find(|(prefix, _)| below(path, prefix)).map(|(_, subresource)| *subresource)
    };
    let subresources = named(FINE).into_iter().chain([named(GUARDED).unwrap_or("proxy")]);
    let one = |subresource: &str| Attributes {
        user: user.clone(),
        verb: verb.to_owned(),
        version: "v1".to_owned(),
        resource: "nodes".to_owned(),
        subresource: subresource.to_owned(),
        name: node.to_owned(),
        path: path.to_owned(),
        ..Attributes::default()
    };
    subresources.map(one).collect()
}

fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
