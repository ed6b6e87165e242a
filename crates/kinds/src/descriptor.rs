//! Everything the server needs to know of one kind.

use std::sync::Arc;

use meta::{Gvk, Gvr};

use crate::rules::Rules;

/// The verbs of a resource, named as discovery names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbs {
    /// Everything: create, delete, deletecollection, get, list, patch, update, watch.
    All,
    /// Only create: the review kinds.
    CreateOnly,
}

/// A path below an object, for example `pods/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Name in the path.
    pub name: &'static str,
    /// Group, version and kind of what it takes and gives (`""`, `v1`, `Binding`), if not the parent's.
    pub gvk: Option<(&'static str, &'static str, &'static str)>,
    /// Verbs as discovery lists them.
    pub verbs: &'static [&'static str],
}

/// One served kind.
#[derive(Clone)]
pub struct Descriptor {
    /// Group, version, kind.
    pub gvk: Gvk,
    /// Lower-case plural, as in paths.
    pub resource: Arc<str>,
    /// Lower-case singular.
    pub singular: Arc<str>,
    /// Abbreviations for kubectl.
    pub short_names: Vec<Arc<str>>,
    /// Categories (`all`).
    pub categories: Vec<Arc<str>>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What may be done with it.
    pub verbs: Verbs,
    /// Paths below it.
    pub subresources: Vec<Subresource>,
    /// Key prefix in the store, with both slashes: `/registry/configmaps/`. Two kinds with one prefix
    /// (Event in core and events.k8s.io) share objects, which are stored in the form of the first one
    /// in the list.
    pub storage: Arc<str>,
    /// Whether writes may be acknowledged before they are on disk (leases, events).
    pub lazy: bool,
    /// Its fields.
    pub schema: schema::Schema,
    /// Its behaviour.
    pub rules: Arc<dyn Rules>,
}

impl Descriptor {
    /// Group, version, resource.
    pub fn gvr(&self) -> Gvr {
        Gvr { group: self.gvk.group.clone(), version: self.gvk.version.clone(), resource: self.resource.clone() }
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }
}
