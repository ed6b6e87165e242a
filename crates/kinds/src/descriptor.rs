//! Everything the server needs to know of one kind.

use std::sync::Arc;

use meta::{Gvk, Gvr};

use crate::rules::{Rules, Word};
use crate::scale::Scale;

/// The verbs of a resource, named as discovery names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbs {
    /// Everything: create, delete, deletecollection, get, list, patch, update, watch.
    All,
    /// All but deletecollection: namespaces.
    NoDeleteCollection,
    /// Only create: the review kinds and Binding.
    CreateOnly,
}

impl Verbs {
    /// The verbs in the order of discovery.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Verbs::All => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            Verbs::NoDeleteCollection => &["create", "delete", "get", "list", "patch", "update", "watch"],
            Verbs::CreateOnly => &["create"],
        }
    }
}

/// Subresource verbs of an endpoint that only reads.
pub const READ: &[&str] = &["get"];
/// Subresource verbs of an endpoint that only takes.
pub const CREATE: &[&str] = &["create"];
/// Subresource verbs of a part of the object.
pub const CHANGE: &[&str] = &["get", "patch", "update"];
/// Subresource verbs of a stream.
pub const CONNECT: &[&str] = &["create", "get"];
/// Subresource verbs of an HTTP proxy.
pub const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

/// A path below an object, for example `pods/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Name in the path.
    pub name: &'static str,
    /// Group, version and kind of what it takes and gives (`""`, `v1`, `Binding`), if not the parent's.
    pub gvk: Option<(&'static str, &'static str, &'static str)>,
    /// Kind of the core group whose fields are its parameters (`PodLogOptions`), unless it is `gvk` itself.
    pub options: Option<&'static str>,
    /// Verbs as discovery lists them.
    pub verbs: &'static [&'static str],
}

/// Where an object says how often it is to run: paths of plain names (`spec.replicas`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// How many are wanted.
    pub wanted: Word,
    /// How many there are.
    pub present: Word,
    /// How they are selected.
    pub selector: Selector,
}

/// How an object says what it selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A `LabelSelector` at a path.
    Labels(Word),
    /// A selector as a text at a path.
    Text(Word),
    /// Not at all.
    None,
}

impl Default for Replicas {
    /// Where built-in kinds have them.
    fn default() -> Self {
        let selector = Selector::Labels("spec.selector".into());
        Replicas { wanted: "spec.replicas".into(), present: "status.replicas".into(), selector }
    }
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
    /// What a list of it is called, if not after the kind.
    pub list_kind: Option<Arc<str>>,
    /// Abbreviations for kubectl.
    pub short_names: Vec<Arc<str>>,
    /// Categories (`all`).
    pub categories: Vec<Arc<str>>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What may be done with it.
    pub verbs: Verbs,
    /// Whether clients see it. Objects may be stored in the form of a version that is not served any more.
    pub served: bool,
    /// Paths below it.
    pub subresources: Vec<Subresource>,
    /// Key prefix in the store, with both slashes: `/registry/configmaps/`. Two kinds with one prefix
    /// (Event in core and events.k8s.io) share objects, which are stored in the form of the first one
    /// in the list.
    pub storage: Arc<str>,
    /// Whether writes may be acknowledged before they are on disk (leases, events).
    pub lazy: bool,
    /// Where its replicas are, for the subresource `scale`.
    pub replicas: Replicas,
    /// Its fields.
    pub schema: schema::Schema,
    /// Its behaviour.
    pub rules: Arc<dyn Rules>,
}

impl Descriptor {
    /// A built-in, namespaced, fully served kind, stored under `/registry/<resource>/`. The methods below
    /// say what is different.
    pub(crate) fn builtin(api_version: &str, kind: &str, resource: &str, rules: impl Rules) -> Self {
        let gvk = Gvk::from_api_version(api_version, kind);
        let Some(schema) = schema::Schema::builtin(&gvk) else { unreachable!("the tables have every kind of 1.36: {gvk}") };
        Descriptor {
            gvk,
            resource: resource.into(),
            singular: kind.to_lowercase().into(),
            list_kind: None,
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: true,
            verbs: Verbs::All,
            served: true,
            subresources: Vec::new(),
            storage: format!("/registry/{resource}/").into(),
            lazy: false,
            replicas: Replicas::default(),
            schema,
            rules: Arc::new(rules),
        }
    }

    /// What a list of it is called.
    pub fn list_kind(&self) -> Arc<str> {
        self.list_kind.clone().unwrap_or_else(|| format!("{}List", self.gvk.kind).into())
    }

    /// Whether it comes from a definition at run time: a custom resource.
    pub fn is_custom(&self) -> bool {
        self.schema.node().is_some()
    }

    /// Objects live outside of namespaces.
    pub(crate) fn cluster_scoped(mut self) -> Self {
        self.namespaced = false;
        self
    }

    /// Adds an abbreviation.
    pub(crate) fn short(mut self, name: &str) -> Self {
        self.short_names.push(name.into());
        self
    }

    /// `kubectl get all` shows it.
    pub(crate) fn in_all(mut self) -> Self {
        self.categories.push("all".into());
        self
    }

    /// `kubectl get` of that category shows it.
    pub(crate) fn in_category(mut self, name: &str) -> Self {
        self.categories.push(name.into());
        self
    }

    /// Serves fewer verbs.
    pub(crate) fn verbs(mut self, verbs: Verbs) -> Self {
        self.verbs = verbs;
        self
    }

    /// Stored under another prefix than its resource name says.
    pub(crate) fn stored_at(mut self, prefix: &str) -> Self {
        self.storage = prefix.into();
        self
    }

    /// Writes may be acknowledged before they are on disk.
    pub(crate) fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// Adds a subresource that takes and gives the parent's kind.
    pub(crate) fn sub(mut self, name: &'static str, verbs: &'static [&'static str]) -> Self {
        self.subresources.push(Subresource { name, gvk: None, options: None, verbs });
        self
    }

    /// Adds a subresource that is read as text, with parameters of its own.
    pub(crate) fn sub_text(mut self, name: &'static str, options: &'static str) -> Self {
        self.subresources.push(Subresource { name, gvk: None, options: Some(options), verbs: READ });
        self
    }

    /// Adds a subresource of another kind: its group, version and kind.
    pub(crate) fn sub_of(
        mut self,
        name: &'static str,
        gvk: (&'static str, &'static str, &'static str),
        verbs: &'static [&'static str],
    ) -> Self {
        self.subresources.push(Subresource { name, gvk: Some(gvk), options: None, verbs });
        self
    }

    /// Group, version, resource.
    pub fn gvr(&self) -> Gvr {
        Gvr { group: self.gvk.group.clone(), version: self.gvk.version.clone(), resource: self.resource.clone() }
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Who makes the table of what is at a path of it: the kind itself, unless there are objects of another one.
    pub fn printer(&self, subresource: &str) -> Arc<dyn Rules> {
        let other = self.subresource(subresource).and_then(|subresource| subresource.gvk);
        if other.is_some_and(|(_, _, kind)| kind == "Scale") { Arc::new(Scale) } else { self.rules.clone() }
    }
}
