//! What expressions may name: variables, objects' types, functions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::check::{self, Checked};
use crate::library::{self, Functions};
use crate::parse;
use crate::source::Issues;
use crate::types::{Declared, Objects, Type};

/// The declarations that expressions are compiled against. Cloning one is cheap.
#[derive(Clone)]
pub struct Env {
    variables: Arc<Vec<(String, Type)>>,
    places: Arc<HashMap<String, usize>>,
    objects: Arc<dyn Objects>,
    mixed: bool,
    patches: bool,
    container: Arc<str>,
}

impl Default for Env {
    fn default() -> Self {
        Env::new(Vec::new())
    }
}

impl Env {
    /// Kubernetes' environment with these variables: their places in this order are their places at run time.
    pub fn new(variables: Vec<(String, Type)>) -> Self {
        let places = variables.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        Env {
            variables: Arc::new(variables),
            places: Arc::new(places),
            objects: Arc::new(Declared::default()),
            mixed: false,
            patches: false,
            container: "".into(),
        }
    }

    /// With the types of objects.
    pub fn objects(mut self, objects: Arc<dyn Objects>) -> Self {
        self.objects = objects;
        self
    }

    /// With literals of lists and maps in which types are mixed, which the language allows and Kubernetes does not.
    pub fn mixed_literals(mut self) -> Self {
        self.mixed = true;
        self
    }

    /// With what only policies that change objects have: the escaping of names in JSON patches.
    pub fn json_patches(mut self) -> Self {
        self.patches = true;
        self
    }

    /// With a container, in which names are looked up first.
    pub fn container(mut self, name: &str) -> Self {
        self.container = name.into();
        self
    }

    /// Reads and checks an expression.
    pub fn compile(&self, text: &str) -> Result<Checked, Issues> {
        check::check(self, parse::parse(text)?)
    }

    /// The variables, by place.
    pub fn variables(&self) -> &[(String, Type)] {
        &self.variables
    }

    pub(crate) fn types(&self) -> &dyn Objects {
        &*self.objects
    }

    pub(crate) fn shared_types(&self) -> Arc<dyn Objects> {
        self.objects.clone()
    }

    pub(crate) fn allows_mixed(&self) -> bool {
        self.mixed
    }

    /// The overloads of a function, if there is one of this name here.
    pub(crate) fn function(&self, name: &str) -> Option<&'static [Arc<library::Overload>]> {
        let functions: &'static Functions = library::functions();
        functions.get(name).filter(|_| self.patches || !name.starts_with("jsonpatch.")).map(Vec::as_slice)
    }

    pub(crate) fn container_name(&self) -> &str {
        &self.container
    }

    /// The names that a name may mean, the longest first.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_prefix('.') {
            return vec![full.to_owned()];
        }
        let mut all = Vec::new();
        let mut container = &*self.container;
        while !container.is_empty() {
            all.push(format!("{container}.{name}"));
            container = container.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        all.push(name.to_owned());
        all
    }

    pub(crate) fn variable(&self, name: &str) -> Option<(usize, &Type)> {
        let place = *self.places.get(name)?;
        Some((place, &self.variables[place].1))
    }

    /// The type that a name is one of.
    pub(crate) fn named_type(&self, name: &str) -> Option<Type> {
        Some(match name {
            "bool" => Type::Bool,
            "bytes" => Type::Bytes,
            "double" => Type::Double,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "string" => Type::String,
            "null_type" => Type::Null,
            "list" => Type::list(Type::Dyn),
            "map" => Type::map(Type::Dyn, Type::Dyn),
            "type" => Type::Type(None),
            "google.protobuf.Duration" => Type::Duration,
            "google.protobuf.Timestamp" => Type::Timestamp,
            "optional_type" => Type::optional(Type::Dyn),
            "net.IP" | "net.CIDR" => Type::Opaque(name.into(), [].into()),
            name if self.objects.exists(name) => Type::object(name),
            _ => return None,
        })
    }
}
