//! Kinds that are questions: posted, answered, never stored. One file each, and one list.

mod access;
mod localsubjectaccessreview;
mod selectors;
mod selfsubjectaccessreview;
mod selfsubjectreview;
mod selfsubjectrulesreview;
mod subjectaccessreview;
mod tokenrequest;
mod tokenreview;

use futures::future::BoxFuture;
use http::{Response, StatusCode};
use meta::{Object, Status, User};
use serde_json::{Value, json};
use tracing::{Instrument, debug_span};
use transport::Body;

use crate::verbs::{Work, body, no_method, warned};
use crate::negotiate::{self, Shape};
use crate::{answer, decode, options, shape};

/// Answers the question in an object by filling in its status.
pub type Review = for<'a> fn(&'a Work<'_>, Object) -> BoxFuture<'a, Result<Object, Status>>;

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// Group, resource and subresource of every question.
pub const ALL: &[((&str, &str, &str), Review)] = &[
    (("", "serviceaccounts", "token"), |w, o| Box::pin(tokenrequest::run(w, o))),
    ((AUTHENTICATION, "tokenreviews", ""), |w, o| Box::pin(tokenreview::run(w, o))),
    ((AUTHENTICATION, "selfsubjectreviews", ""), |w, o| Box::pin(selfsubjectreview::run(w, o))),
    ((AUTHORIZATION, "subjectaccessreviews", ""), |w, o| Box::pin(subjectaccessreview::run(w, o))),
    ((AUTHORIZATION, "selfsubjectaccessreviews", ""), |w, o| Box::pin(selfsubjectaccessreview::run(w, o))),
    ((AUTHORIZATION, "localsubjectaccessreviews", ""), |w, o| Box::pin(localsubjectaccessreview::run(w, o))),
    ((AUTHORIZATION, "selfsubjectrulesreviews", ""), |w, o| Box::pin(selfsubjectrulesreview::run(w, o))),
];

/// The question that a path takes, if it takes one.
pub fn find(place: (&str, &str, &str)) -> Option<Review> {
    ALL.iter().find(|(p, _)| *p == place).map(|(_, review)| *review)
}

/// Reads the question, and answers 201 with it. There is no other form than the object's own.
pub async fn run(mut work: Work<'_>, review: Review) -> Result<Response<Body>, Status> {
    if work.attributes().verb != "create" {
        return Err(no_method());
    }
    let output = negotiate::output(work.headers(), true)?;
    if matches!(output.shape, Shape::Table(_)) {
        return Err(negotiate::not_acceptable());
    }
    let call = options::call(work.ask.route, work.headers(), "CreateOptions", false)?;
    let (mut object, mut warnings) =
        body(&mut work, call.field_validation).instrument(debug_span!("decode+default")).await?;
    let (_, schema) = decode::taken(&work.kind, &work.attributes().subresource)?;
    for field in ["creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        object.remove(&format!("metadata.{field}"));
    }
    if !work.kind.namespaced {
        object.remove("metadata.namespace");
    }
    warnings.extend(registry::dedup_owners(&mut object, true));
    if work.attributes().subresource == "token" {
        // Defaults count among what the client set.
        object.set_default("spec", json!({}));
        object.set_default("spec.expirationSeconds", 3600);
    }
    registry::keep_account(&schema, &call, &mut object);
    let admitted = admit(&work, &mut object, call.dry_run).instrument(debug_span!("mutate admission")).await;
    warnings.extend(admitted.map_err(|status| warned(status, &warnings))?);
    let answered = review(&work, object).await.map_err(|status| warned(status, &warnings))?;
    let mut response = match output.shape {
        Shape::Partial(version) => {
            let metadata = shape::partial(&registry::shown(answered.key(), 0, answer::json_of(&answered)), version)?;
            answer::encoded(StatusCode::CREATED, output.format, metadata)?
        }
        _ => answer::object(StatusCode::CREATED, output.format, &answered)?,
    };
    answer::warn(&mut response, &warnings);
    Ok(response)
}

/// Plug-ins see questions too: a node may ask for the tokens of its own pods alone.
async fn admit(work: &Work<'_>, object: &mut Object, dry_run: bool) -> Result<Vec<String>, Status> {
    let gvk = object.gvk();
    let mut request = admission::Request {
        attributes: work.attributes(),
        gvk: &gvk,
        operation: admission::Operation::Create,
        object: Some(object),
        old: None,
        dry_run,
        warnings: admission::Warnings::default(),
    };
    work.ask.state.registry.admit(&mut request).await
}

/// A user as reviews show it.
fn user_info(user: &User) -> Value {
    let mut out = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        out["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        out["extra"] = json!(user.extra);
    }
    out
}

/// The strings of a list.
fn strings(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}
