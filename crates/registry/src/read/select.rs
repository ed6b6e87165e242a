//! What a list or watch selects, compiled once.

use std::sync::Arc;

use meta::selector::Labels;
use meta::{Encoded, Key, Status};

use crate::api::Scope;
use crate::cache::{Audience, NODE_FIELD};
use crate::codec::Stored;
use crate::kind::Kind;

/// A compiled selection.
pub(crate) struct Selection {
    pub namespace: Option<Arc<str>>,
    /// The only name that can match.
    pub name: Option<Arc<str>>,
    labels: Labels,
    /// Terms beyond the one that `name` stands for.
    terms: Vec<(String, String, bool)>,
    node: Option<Box<str>>,
    codec: Arc<Stored>,
}

impl Selection {
    /// Refuses field selectors that the kind does not know.
    pub fn new(kind: &Kind, scope: &Scope) -> Result<Self, Status> {
        let mut terms = Vec::new();
        let mut name = None;
        for (field, value, equal) in &scope.fields.terms {
            if !known(kind, field) {
                return Err(unknown_field(kind, field));
            }
            if field == "metadata.name" && *equal && name.is_none() {
                name = Some(value.as_str().into());
            } else {
                terms.push((field.clone(), value.clone(), *equal));
            }
        }
        let namespace = scope.namespace.as_deref().filter(|_| kind.descriptor.namespaced);
        let node = scope.fields.exact(NODE_FIELD).filter(|_| kind.cache.knows_nodes());
        Ok(Selection {
            namespace: namespace.or_else(|| scope.fields.exact("metadata.namespace")).filter(|n| !n.is_empty()).map(Into::into),
            name,
            labels: scope.labels.clone(),
            terms,
            node: node.map(Into::into),
            codec: kind.cache.codec.clone(),
        })
    }

    /// Whether all objects of the namespace (or of all) are selected.
    pub fn is_plain(&self) -> bool {
        self.name.is_none() && self.labels.is_empty() && self.terms.is_empty()
    }

    /// Whether it takes more than an object's name and namespace to see if it is selected.
    pub fn looks_inside(&self) -> bool {
        let is_key = |field: &str| matches!(field, "metadata.name" | "metadata.namespace");
        !self.labels.is_empty() || self.terms.iter().any(|(field, ..)| !is_key(field))
    }

    /// The one object that can match, if it is known.
    pub fn object(&self, namespaced: bool) -> Option<Key> {
        let name = self.name.clone()?;
        match &self.namespace {
            Some(namespace) => Some(Key { namespace: namespace.clone(), name }),
            None if !namespaced => Some(Key { namespace: "".into(), name }),
            None => None,
        }
    }

    /// The node that objects must name, if one is selected.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// What labels must be like.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Whose changes have to be looked at.
    pub fn audience(&self, namespaced: bool) -> Audience {
        match (self.object(namespaced), &self.node, &self.namespace) {
            (Some(key), _, _) => Audience::Object(key),
            (None, Some(node), _) => Audience::Node(node.clone()),
            (None, None, Some(namespace)) => Audience::Namespace(namespace.clone()),
            (None, None, None) => Audience::All,
        }
    }

    /// Whether an object is selected. Bytes are looked into only for labels and the kind's own fields.
    pub fn matches(&self, encoded: &Encoded) -> bool {
        if self.namespace.as_ref().is_some_and(|n| *n != encoded.key.namespace)
            || self.name.as_ref().is_some_and(|n| *n != encoded.key.name)
        {
            return false;
        }
        if self.labels.is_empty() && self.terms.is_empty() {
            return true;
        }
        let has = |name: &str, value: &str| match name {
            "metadata.name" => *encoded.key.name == *value,
            "metadata.namespace" => *encoded.key.namespace == *value,
            NODE_FIELD => *self.codec.node(encoded) == *value,
            other => encoded.field(other) == value,
        };
        self.terms.iter().all(|(name, value, equal)| has(name, value) == *equal)
            && (self.labels.is_empty() || self.labels.matches(|key| encoded.label(key)))
    }
}

fn known(kind: &Kind, field: &str) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace") || kind.selectable.iter().any(|known| known == field)
}

fn unknown_field(kind: &Kind, field: &str) -> Status {
    Status::bad_request(if kind.selectable.is_empty() {
        format!(r#""{field}" is not a known field selector: only "metadata.name", "metadata.namespace""#)
    } else {
        format!("field label not supported: {field}")
    })
}
