//! Questions to the authorizer (upstream: Kubernetes' `authz.go`).

use super::{Library, Row, method, mismatch};
use crate::authorizer::{Answer, Question, Request, Stage};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Value};

const A: &str = "kubernetes.authorization.Authorizer";
const P: &str = "kubernetes.authorization.PathCheck";
const G: &str = "kubernetes.authorization.GroupCheck";
const R: &str = "kubernetes.authorization.ResourceCheck";
const D: &str = "kubernetes.authorization.Decision";
const RS: &str = "kubernetes.authorization.ResourceCheck, string";

/// Two questions are all that fits into one evaluation.
const QUESTION: Cost = Cost::Fixed(350_000);

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.authz",
    types: &[A, P, G, R, D],
    rows: &[
        one("path", "authorizer_path", "kubernetes.authorization.Authorizer, string", P, path),
        one("group", "authorizer_group", "kubernetes.authorization.Authorizer, string", G, |args| {
            next(args, Stage::Authorizer, Stage::Group, |request, group| request.group = group)
        }),
        one("serviceAccount", "authorizer_serviceaccount", "kubernetes.authorization.Authorizer, string, string", A, service_account),
        one("resource", "groupcheck_resource", "kubernetes.authorization.GroupCheck, string", R, resource),
        one("subresource", "resourcecheck_subresource", RS, R, |args| set(args, |request, text| request.subresource = text)),
        one("namespace", "resourcecheck_namespace", RS, R, |args| set(args, |request, text| request.namespace = text)),
        one("name", "resourcecheck_name", RS, R, |args| set(args, |request, text| request.name = text)),
        method("check", "pathcheck_check", "kubernetes.authorization.PathCheck, string", D, QUESTION, check),
        method("check", "resourcecheck_check", RS, D, QUESTION, check),
        one("errored", "decision_errored", D, "bool", |args| Ok(Value::Bool(answer(args)?.0.error.is_some()))),
        one("error", "decision_error", D, "string", |args| {
            Ok(Value::text(answer(args)?.0.error.clone().unwrap_or_default()))
        }),
        one("allowed", "decision_allowed", D, "bool", |args| Ok(Value::Bool(answer(args)?.0.allowed))),
        one("reason", "decision_reason", D, "string", |args| Ok(Value::text(answer(args)?.0.reason.clone()))),
        method("fieldSelector", "authorizer_fieldselector", RS, R, Cost::Selector, |args| {
            set(args, |request, text| request.fields = text)
        }),
        method("labelSelector", "authorizer_labelselector", RS, R, Cost::Selector, |args| {
            set(args, |request, text| request.labels = text)
        }),
    ],
};

const fn one(name: &'static str, overload: &'static str, args: &'static str, result: &'static str, run: super::Run) -> Row {
    method(name, overload, args, result, Cost::Fixed(1), run)
}

fn question<'s>(args: &'s [Value<'_>], stage: Stage) -> Result<&'s Question, Error> {
    let question = args.first().and_then(Value::as_opaque::<Question>);
    question.filter(|question| question.stage == stage).ok_or(Error::NO_OVERLOAD)
}

fn answer<'s>(args: &'s [Value<'_>]) -> Result<&'s Answer, Error> {
    args.first().and_then(Value::as_opaque::<Answer>).ok_or(Error::NO_OVERLOAD)
}

/// The question with one thing more.
fn next<'a>(args: &[Value<'a>], from: Stage, to: Stage, put: fn(&mut Request, String)) -> Outcome<'a> {
    let mut question = question(args, from)?.clone();
    let [_, Value::String(text)] = args else { return mismatch() };
    question.stage = to;
    put(&mut question.request, text.to_string());
    Ok(Value::opaque(question))
}

fn set<'a>(args: &[Value<'a>], put: fn(&mut Request, String)) -> Outcome<'a> {
    next(args, Stage::Resource, Stage::Resource, put)
}

fn not_empty(args: &[Value<'_>], what: &str) -> Result<(), Error> {
    match args {
        [_, Value::String(text)] if text.trim().is_empty() => Err(Error::made(format!("{what} must not be empty"))),
        _ => Ok(()),
    }
}

fn path<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    not_empty(args, "path")?;
    next(args, Stage::Authorizer, Stage::Path, |request, path| request.path = Some(path))
}

fn resource<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    not_empty(args, "resource")?;
    next(args, Stage::Group, Stage::Resource, |request, resource| request.resource = resource)
}

fn service_account<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let mut question = question(args, Stage::Authorizer)?.clone();
    let [_, Value::String(namespace), Value::String(name)] = args else { return mismatch() };
    if !meta::text::dns1123_subdomain(name, false).is_empty() {
        return Err(Error::fixed("Invalid service account name"));
    }
    if !meta::text::dns1123_label(namespace, false).is_empty() {
        return Err(Error::fixed("Invalid service account namespace"));
    }
    question.request.service_account = Some((namespace.to_string(), name.to_string()));
    Ok(Value::opaque(question))
}

fn check<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [question, Value::String(verb)] = args else { return mismatch() };
    let Some(question) = question.as_opaque::<Question>() else { return mismatch() };
    if !matches!(question.stage, Stage::Path | Stage::Resource) {
        return mismatch();
    }
    let request = Request { verb: verb.to_string(), ..question.request.clone() };
    Ok(Value::opaque(Answer(question.authorizer.decide(&request))))
}
