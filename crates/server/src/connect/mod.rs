//! Subresources that lead to a node or a pod instead of the store: one file each, and one list.

mod attach;
mod exec;
mod html;
mod log;
mod node_proxy;
mod pod_proxy;
mod portforward;
mod proxy;
mod service_proxy;
pub mod socket;
mod target;
mod upgrade;

use futures::future::BoxFuture;
use http::Response;
use meta::Status;
use transport::Body;

use crate::verbs::Work;

/// Answers a request, mostly by passing it on.
pub type Connect = for<'a> fn(Work<'a>) -> BoxFuture<'a, Result<Response<Body>, Status>>;

/// Group, resource and subresource of each.
pub const ALL: &[((&str, &str, &str), Connect)] = &[
    (("", "pods", "log"), |w| Box::pin(log::run(w))),
    (("", "pods", "exec"), |w| Box::pin(exec::run(w))),
    (("", "pods", "attach"), |w| Box::pin(attach::run(w))),
    (("", "pods", "portforward"), |w| Box::pin(portforward::run(w))),
    (("", "pods", "proxy"), |w| Box::pin(pod_proxy::run(w))),
    (("", "services", "proxy"), |w| Box::pin(service_proxy::run(w))),
    (("", "nodes", "proxy"), |w| Box::pin(node_proxy::run(w))),
];

/// The handler of a path, if it is such a path.
pub fn find(place: (&str, &str, &str)) -> Option<Connect> {
    ALL.iter().find(|(p, _)| *p == place).map(|(_, connect)| *connect)
}
