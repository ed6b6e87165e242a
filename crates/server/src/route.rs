//! What a path asks for (upstream: `apiserver/pkg/endpoints/request.RequestInfoFactory`).

use std::sync::Arc;

use http::Method;
use kinds::Descriptor;
use meta::selector::Fields;
use meta::{Attributes, Status};
use percent_encoding::percent_decode_str;

use crate::flow::Class;
use crate::query::Query;

/// A request as far as its first line tells.
#[derive(Clone, Default)]
pub struct Route {
    /// What the authorizer decides upon; the user is filled in later.
    pub attributes: Attributes,
    /// The query string.
    pub query: Query,
    /// What follows the subresource in the path, without a leading slash (`…/proxy/REST`).
    pub rest: String,
    /// The kind that the path names, if it is served; filled in after the path was read.
    pub kind: Option<Arc<Descriptor>>,
    /// Whether the authorizer refused it.
    pub forbidden: bool,
    /// How flow control classified it.
    pub class: Option<Class>,
}

impl Route {
    /// Whether the request may last longer than others: watches and streams.
    pub fn is_long_running(&self) -> bool {
        let a = &self.attributes;
        a.verb == "watch"
            || a.verb == "proxy"
            || matches!(&*a.subresource, "attach" | "exec" | "proxy" | "log" | "portforward")
    }
}

/// Reads method, path and query. A path outside the API is no error: it has no resource.
pub fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Route, Status> {
    let query = Query::parse(query.unwrap_or_default());
    let mut route = Route { query, ..Route::default() };
    route.attributes.path = path.to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let below = match parts.as_slice() {
        ["api", version, below @ ..] if !below.is_empty() => {
            route.attributes.version = decoded(version);
            below
        }
        ["apis", group, version, below @ ..] if !below.is_empty() => {
            route.attributes.group = decoded(group);
            route.attributes.version = decoded(version);
            below
        }
        _ => {
            route.attributes.verb = method.as_str().to_ascii_lowercase();
            return Ok(route);
        }
    };
    resource(&mut route, method, below)?;
    Ok(route)
}

/// Everything below the version.
fn resource(route: &mut Route, method: &Method, mut parts: &[&str]) -> Result<(), Status> {
    let a = &mut route.attributes;
    if let ["watch" | "proxy", below @ ..] = parts {
        if below.is_empty() {
            let why = format!("unable to determine kind and namespace from url, {}", a.path);
            return Err(Status::bad_request(why));
        }
        a.verb = parts[0].to_owned();
        parts = below;
    } else {
        a.verb = verb(method).to_owned();
    }
    if let ["namespaces", namespace, below @ ..] = parts {
        a.namespace = decoded(namespace);
        if !below.is_empty() && !matches!(below[0], "status" | "finalize") {
            parts = below;
        }
    }
    a.resource = decoded(parts[0]);
    if let Some(name) = parts.get(1) {
        a.name = decoded(name);
    }
    if let Some(subresource) = parts.get(2).filter(|_| a.verb != "proxy") {
        a.subresource = decoded(subresource);
        route.rest = parts[3..].join("/");
    }
    collection(route);
    Ok(())
}

/// Without a name, a get is a list or a watch, and a delete is that of a collection.
fn collection(route: &mut Route) {
    let a = &mut route.attributes;
    if !a.name.is_empty() {
        return;
    }
    match &*a.verb {
        "get" => {
            let watch = route.query.boolean("watch");
            a.verb = if watch == Some(true) { "watch" } else { "list" }.to_owned();
        }
        "delete" => a.verb = "deletecollection".to_owned(),
        _ => return,
    }
    let selector = route.query.get("fieldSelector").and_then(|s| Fields::parse(s).ok());
    a.fields = selector.unwrap_or_default();
    let name = a.fields.exact("metadata.name");
    let name = name.filter(|n| a.verb != "deletecollection" && !n.contains(['/', '%']) && *n != "." && *n != "..");
    if let Some(name) = name {
        a.name = name.to_owned();
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: Method, uri: &str) -> [String; 6] {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(p, q)| (p, Some(q)));
        let a = route(&method, path, query).expect("routes").attributes;
        [a.verb, a.group, a.namespace, a.resource, a.name, a.subresource]
    }

    #[test]
    fn paths_become_attributes() {
        for (method, uri, want) in [
            (Method::GET, "/api/v1/namespaces", ["list", "", "", "namespaces", "", ""]),
            (Method::GET, "/api/v1/namespaces/a", ["get", "", "a", "namespaces", "a", ""]),
            (Method::PUT, "/api/v1/namespaces/a/finalize", ["update", "", "a", "namespaces", "a", "finalize"]),
            (Method::POST, "/api/v1/namespaces/a/pods", ["create", "", "a", "pods", "", ""]),
            (Method::GET, "/api/v1/namespaces/a/pods/p/log", ["get", "", "a", "pods", "p", "log"]),
            (Method::GET, "/apis/apps/v1/deployments?watch=1", ["watch", "apps", "", "deployments", "", ""]),
            (Method::GET, "/apis/apps/v1/watch/deployments", ["watch", "apps", "", "deployments", "", ""]),
            (Method::GET, "/api/v1/pods?watch=false&x=y", ["list", "", "", "pods", "", ""]),
            (
                Method::GET,
                "/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dn",
                ["watch", "", "", "nodes", "n", ""],
            ),
            (Method::DELETE, "/api/v1/namespaces/a/pods", ["deletecollection", "", "a", "pods", "", ""]),
            (Method::DELETE, "/api/v1/nodes/a%3Ab", ["delete", "", "", "nodes", "a:b", ""]),
            (Method::GET, "/apis/apps/v1", ["get", "", "", "", "", ""]),
            (Method::GET, "/healthz/ping", ["get", "", "", "", "", ""]),
        ] {
            assert_eq!(read(method, uri), want.map(str::to_owned), "{uri}");
        }
    }

    #[test]
    fn what_follows_a_subresource_is_kept() {
        let route = route(&Method::GET, "/api/v1/nodes/n/proxy/logs/a", None).expect("routes");
        assert_eq!((&*route.attributes.subresource, &*route.rest), ("proxy", "logs/a"));
        assert!(route.is_long_running());
    }
}
