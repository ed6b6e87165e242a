//! What holds where no label says anything, and for whom nothing does (upstream: `PodSecurityConfiguration` of
//! `pod-security.admission.config.k8s.io`).

use meta::Object;
use meta::field::Errors;
use serde_json::Value;

use super::level::{Level, Policy, Standard, Version};
use kinds::view::View;

/// The versions of the configuration; they say the same.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];
const GROUP: &str = "pod-security.admission.config.k8s.io";

/// The configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where a namespace says nothing.
    pub defaults: Policy,
    users: Vec<String>,
    namespaces: Vec<String>,
    classes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config { defaults: Policy::OPEN, users: Vec::new(), namespaces: Vec::new(), classes: Vec::new() }
    }
}

/// Fields that it may have, at the place that the first one is.
const FIELDS: &[(&str, &[&str])] = &[
    ("", &["apiVersion", "kind", "defaults", "exemptions"]),
    ("defaults", &["enforce", "enforce-version", "audit", "audit-version", "warn", "warn-version"]),
    ("exemptions", &["usernames", "namespaces", "runtimeClasses"]),
];

impl Config {
    /// Reads a `PodSecurityConfiguration`. An error says all that is wrong with it.
    pub fn read(tree: Value) -> Result<Self, String> {
        let object = Object::from_value(tree).map_err(|_| "a PodSecurityConfiguration is an object".to_owned())?;
        let gvk = object.gvk();
        if &*gvk.kind != "PodSecurityConfiguration" || &*gvk.group != GROUP || !VERSIONS.contains(&&*gvk.version) {
            let (kind, version) = (object.str_at("kind"), object.str_at("apiVersion"));
            return Err(format!("no kind {kind:?} is registered for version {version:?}"));
        }
        known(&object)?;
        let mut errors = Errors::new();
        let said = View::of(&object, "defaults");
        let mut standard = |mode: &str| standard(&said, mode, &mut errors);
        let (enforce, warn, audit) = (standard("enforce"), standard("warn"), standard("audit"));
        let defaults = Policy { enforce, audit, warn };
        let exempt = View::of(&object, "exemptions");
        let mut names = |field: &str, check: fn(&str) -> Vec<String>| names(&exempt.at(field), check, &mut errors);
        let namespaces = names("namespaces", |name| meta::text::dns1123_label(name, false));
        let classes = names("runtimeClasses", |name| meta::text::dns1123_subdomain(name, false));
        let users = names("usernames", |name| {
            if name.is_empty() { vec!["username must not be empty".to_owned()] } else { Vec::new() }
        });
        if errors.is_empty() {
            return Ok(Config { defaults, users, namespaces, classes });
        }
        Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }

    /// Whether nothing holds for a namespace's pods.
    pub fn exempts_namespace(&self, name: &str) -> bool {
        !name.is_empty() && self.namespaces.iter().any(|one| one == name)
    }

    /// Whether nothing holds for what a user writes.
    pub fn exempts_user(&self, name: &str) -> bool {
        !name.is_empty() && self.users.iter().any(|one| one == name)
    }

    /// Whether nothing holds for pods of a runtime class.
    pub fn exempts_class(&self, name: &str) -> bool {
        !name.is_empty() && self.classes.iter().any(|one| one == name)
    }
}

/// Refuses what nobody would read.
fn known(object: &Object) -> Result<(), String> {
    for (place, fields) in FIELDS {
        let inner = object.fields().get(*place).and_then(Value::as_object);
        let map = if place.is_empty() { Some(object.fields()) } else { inner };
        if let Some(odd) = map.into_iter().flat_map(|map| map.keys()).find(|key| !fields.contains(&key.as_str())) {
            let path = if place.is_empty() { odd.clone() } else { format!("{place}.{odd}") };
            return Err(format!("strict decoding error: unknown field {path:?}"));
        }
    }
    Ok(())
}

fn standard(said: &View<'_>, mode: &str, errors: &mut Errors) -> Standard {
    let version = format!("{mode}-version");
    let (level_at, version_at) = (said.at(mode), said.at(&version));
    let level = match level_at.str() {
        "" => Ok(Level::Privileged),
        text => Level::read(text),
    };
    let number = match version_at.str() {
        "" => Ok(Version::Latest),
        text => Version::read(text),
    };
    Standard {
        level: level.unwrap_or_else(|why| {
            errors.push(level_at.invalid(why));
            Level::Restricted
        }),
        version: number.unwrap_or_else(|why| {
            errors.push(version_at.invalid(why));
            Version::Latest
        }),
    }
}

/// Names of a list: good ones, and each once.
fn names(list: &View<'_>, check: fn(&str) -> Vec<String>, errors: &mut Errors) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for item in list.items() {
        let wrong = check(item.str());
        if !wrong.is_empty() {
            errors.push(item.invalid(wrong.join(", ")));
        } else if all.iter().any(|one| one == item.str()) {
            errors.push(item.duplicate());
        } else {
            all.push(item.str().to_owned());
        }
    }
    all
}
