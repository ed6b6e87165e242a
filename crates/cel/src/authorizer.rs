//! What expressions ask an authorizer (upstream: Kubernetes' `authz.go`); who answers is given by the caller.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::value::{Opaque, Value};

/// A request that is asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// A path, if it is not about a resource.
    pub path: Option<String>,
    /// The API group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// Its part.
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// A field selector as it was written.
    pub fields: String,
    /// A label selector as it was written.
    pub labels: String,
    /// The verb.
    pub verb: String,
    /// Namespace and name of the service account that asks; else it is the user of the request.
    pub service_account: Option<(String, String)>,
}

/// What an authorizer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Yes, or not.
    pub allowed: bool,
    /// Why.
    pub reason: String,
    /// What went wrong.
    pub error: Option<String>,
}

/// Somebody who knows what the user of a request may do.
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Decides.
    fn decide(&self, request: &Request) -> Decision;
}

/// How far a question has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Authorizer,
    Path,
    Group,
    Resource,
}

/// A question that is put together step by step.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) stage: Stage,
    pub(crate) request: Request,
    pub(crate) authorizer: Arc<dyn Authorizer>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer(pub(crate) Decision);

impl Opaque for Question {
    fn type_name(&self) -> &'static str {
        match self.stage {
            Stage::Authorizer => "kubernetes.authorization.Authorizer",
            Stage::Path => "kubernetes.authorization.PathCheck",
            Stage::Group => "kubernetes.authorization.GroupCheck",
            Stage::Resource => "kubernetes.authorization.ResourceCheck",
        }
    }
    fn equals(&self, _: &dyn Opaque) -> Option<bool> {
        None
    }
    fn any(&self) -> &dyn Any {
        self
    }
}

impl Opaque for Answer {
    fn type_name(&self) -> &'static str {
        "kubernetes.authorization.Decision"
    }
    fn equals(&self, _: &dyn Opaque) -> Option<bool> {
        None
    }
    fn any(&self) -> &dyn Any {
        self
    }
}

/// The value of the variable `authorizer`.
pub fn authorizer<'a>(authorizer: Arc<dyn Authorizer>) -> Value<'a> {
    Value::opaque(Question { stage: Stage::Authorizer, request: Request::default(), authorizer })
}

/// The value of the variable `authorizer.requestResource`: a question about what the request is about.
pub fn resource<'a>(authorizer: Arc<dyn Authorizer>, request: Request) -> Value<'a> {
    Value::opaque(Question { stage: Stage::Resource, request, authorizer })
}
