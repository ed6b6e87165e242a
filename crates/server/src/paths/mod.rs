//! Paths outside of resources: one file each, and one list.

mod debug;
pub mod discovery;
pub mod health;
mod metrics;
mod oidc;
mod openapi;
mod root;
mod version;

use http::{Method, Response};
use meta::Status;
use transport::Body;

pub use version::GIT_VERSION;

use crate::pipeline::Ask;
use crate::{answer, verbs};

/// Answers a GET.
type Handler = fn(&Ask<'_>) -> Result<Response<Body>, Status>;

/// Every path. One that ends in `/*` covers everything below it.
pub const ALL: &[(&str, Handler)] = &[
    ("/", root::run),
    ("/api", discovery::core),
    ("/api/*", discovery::version),
    ("/apis", discovery::groups),
    ("/apis/*", discovery::group_or_version),
    ("/version", version::run),
    ("/healthz", health::run),
    ("/healthz/*", health::run),
    ("/livez", health::run),
    ("/livez/*", health::run),
    ("/readyz", health::run),
    ("/readyz/*", health::run),
    ("/metrics", metrics::run),
    ("/debug/api_priority_and_fairness/*", debug::run),
    ("/openapi/v2", openapi::v2),
    ("/openapi/v3", openapi::index),
    ("/openapi/v3/*", openapi::document),
    ("/.well-known/openid-configuration", oidc::discovery),
    ("/openid/v1/jwks", oidc::keys),
];

/// Answers a request for no resource.
pub fn run(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let path = match ask.route.attributes.path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let covers = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == pattern,
    };
    match ALL.iter().find(|(pattern, _)| covers(pattern)) {
        None => Ok(answer::page_not_found()),
        Some(_) if !matches!(ask.head.method, Method::GET | Method::HEAD) => Err(verbs::no_method()),
        Some((_, handler)) => handler(ask),
    }
}
