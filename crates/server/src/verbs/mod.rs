//! From an authorized request to its verb: finds the kind, checks that the path exists and takes the
//! method, and hands over.

mod create;
mod delete;
mod get;
mod list;
mod patch;
mod update;
mod watch;

pub use create::{body, warned};

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http::{HeaderMap, Response};
use kinds::Descriptor;
use meta::{Attributes, Reason, Status};
use transport::Body;

use crate::pipeline::Ask;
use crate::{answer, connect, paths, reviews};

/// An answer on its way.
pub type Answering<'a> = BoxFuture<'a, Result<Response<Body>, Status>>;

/// Answers a request for one kind.
type Verb = for<'a> fn(Work<'a>) -> Answering<'a>;

/// Every verb.
const ALL: &[(&str, Verb)] = &[
    ("get", |w| Box::pin(get::run(w))),
    ("list", |w| Box::pin(list::run(w))),
    ("watch", |w| Box::pin(watch::run(w))),
    ("create", |w| Box::pin(create::run(w))),
    ("update", |w| Box::pin(update::run(w))),
    ("patch", |w| Box::pin(patch::run(w))),
    ("delete", |w| Box::pin(delete::run(w))),
    ("deletecollection", |w| Box::pin(delete::run_collection(w))),
];

/// A request for one kind.
pub struct Work<'a> {
    /// The request.
    pub ask: Ask<'a>,
    /// The kind that the path names.
    pub kind: Arc<Descriptor>,
}

impl Work<'_> {
    /// What the request is about.
    pub fn attributes(&self) -> &Attributes {
        &self.ask.route.attributes
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.ask.head.headers
    }

    /// The request's id in lists of special paths: group, resource, subresource.
    fn place(&self) -> (&str, &str, &str) {
        let a = self.attributes();
        (&a.group, &a.resource, &a.subresource)
    }
}

/// Carries the request out. What is decided at once is decided before anything is put aside for a future.
pub fn run(ask: Ask<'_>) -> Answering<'_> {
    begin(ask).unwrap_or_else(|status| ready(Err(status)).boxed())
}

fn begin(ask: Ask<'_>) -> Result<Answering<'_>, Status> {
    let a = &ask.route.attributes;
    if !a.is_resource() {
        return Ok(ready(paths::run(&ask)).boxed());
    }
    let Some(kind) = ask.route.kind.clone() else {
        // Custom resources are looked for beside what is built in: whoever finds none knows nothing of the path.
        let is_in = |k: &Descriptor| *k.gvk.group == *a.group && *k.gvk.version == *a.version && !k.is_custom();
        let served = ask.state.registry.kinds().iter().any(is_in);
        return if served { Err(no_resource()) } else { Ok(ready(Ok(answer::page_not_found())).boxed()) };
    };
    let work = Work { ask, kind };
    exists(&work)?;
    if let Some(connect) = connect::find(work.place()) {
        return Ok(connect(work));
    }
    if let Some(review) = reviews::find(work.place()) {
        return Ok(reviews::run(work, review).boxed());
    }
    let verb = ALL.iter().find(|(name, _)| *name == work.attributes().verb).ok_or_else(no_method)?.1;
    Ok(verb(work))
}

/// Whether the path is one of the kind's, and takes the method.
fn exists(work: &Work<'_>) -> Result<(), Status> {
    let (a, kind) = (work.attributes(), &work.kind);
    // A proxy takes every method.
    if a.subresource == "proxy" && kind.subresource("proxy").is_some() {
        return Ok(());
    }
    if work.ask.head.method == http::Method::HEAD {
        return Err(no_method());
    }
    if !a.subresource.is_empty() {
        let none = || if kind.is_custom() { Status::not_found(&a.group, &a.resource, &a.name) } else { no_resource() };
        let subresource = kind.subresource(&a.subresource).ok_or_else(none)?;
        let served = subresource.verbs.contains(&&*a.verb);
        return if served { Ok(()) } else { Err(no_method()) };
    }
    let of_all = matches!(&*a.verb, "list" | "watch");
    if kind.namespaced && a.namespace.is_empty() && !of_all {
        let collection = matches!(&*a.verb, "create" | "deletecollection");
        return Err(if collection { no_method() } else { no_resource() });
    }
    if !kind.namespaced && !a.namespace.is_empty() && &*kind.resource != "namespaces" {
        return Err(no_resource());
    }
    let named = matches!(&*a.verb, "get" | "update" | "patch" | "delete");
    let misplaced = named && a.name.is_empty() || a.verb == "create" && !a.name.is_empty();
    if misplaced || !kind.verbs.names().contains(&&*a.verb) {
        return Err(no_method());
    }
    Ok(())
}

/// 404 for a path that is none of a served group's.
pub fn no_resource() -> Status {
    Status::no_such_resource()
}

/// 405, in the words of upstream's router.
pub fn no_method() -> Status {
    Status::generic(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}
