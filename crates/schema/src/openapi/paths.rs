//! The paths of a document, from the list of resources that are served (upstream: `apiserver/pkg/endpoints/installer.go`).

use meta::Gvk;
use meta::names::split_api_version;
use serde_json::{Map, Value, json};

use super::definitions::{Definitions, gvk_value};
use super::operation::{self, Answer, Operation};
use super::{Form, ServedResource, ServedSubresource, builtin, parameters};
use crate::Schema;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// What a verb is called in a document.
struct Verb {
    /// As discovery names it.
    verb: &'static str,
    method: &'static str,
    action: &'static str,
    /// First part of the operation id.
    word: &'static str,
    /// Whether it is about one object.
    named: bool,
}

const VERBS: [Verb; 7] = [
    Verb { verb: "list", method: "get", action: "list", word: "list", named: false },
    Verb { verb: "create", method: "post", action: "post", word: "create", named: false },
    Verb { verb: "deletecollection", method: "delete", action: "deletecollection", word: "delete", named: false },
    Verb { verb: "get", method: "get", action: "get", word: "read", named: true },
    Verb { verb: "update", method: "put", action: "put", word: "replace", named: true },
    Verb { verb: "patch", method: "patch", action: "patch", word: "patch", named: true },
    Verb { verb: "delete", method: "delete", action: "delete", word: "delete", named: true },
];

/// A path that is written.
#[derive(Clone)]
struct Place<'p> {
    schema: &'p Schema,
    custom: bool,
    /// Lower-case plural.
    resource: &'p str,
    /// Whose fields are parameters.
    options: Option<&'p Schema>,
    /// Begin of the operation ids, after the verb: `AppsV1`.
    group: &'p str,
    /// Their end: `NamespacedDeployment`.
    id: String,
    /// `apps_v1`.
    tag: &'p str,
    namespaced: bool,
    named: bool,
    /// Whether a deletion is answered with the object.
    gives_deleted: bool,
}

/// The paths of some group versions.
pub fn write<'r>(
    form: Form,
    definitions: &mut Definitions,
    versions: impl IntoIterator<Item = (&'r str, &'r [ServedResource])>,
) -> Map<String, Value> {
    let mut paths = Map::new();
    for (version, resources) in versions {
        let (group, short) = split_api_version(version);
        let root = if group.is_empty() { format!("/api/{version}/") } else { format!("/apis/{version}/") };
        let tag = format!("{}_{short}", if group.is_empty() { "core".to_owned() } else { tag(group) });
        let group: String = tag.split('_').map(capital).collect();
        let mut writer = Writer { form, definitions, paths: &mut paths, root, group, tag };
        if !resources.iter().all(is_custom) {
            writer.discovery();
        }
        resources.iter().for_each(|resource| writer.resource(resource));
    }
    paths
}

/// Whether it comes from a definition: upstream describes those by another builder, which knows less.
pub fn is_custom(resource: &ServedResource) -> bool {
    resource.schema.node().is_some()
}

struct Writer<'w, 'd> {
    form: Form,
    definitions: &'w mut Definitions<'d>,
    paths: &'w mut Map<String, Value>,
    root: String,
    group: String,
    tag: String,
}

impl Writer<'_, '_> {
    fn discovery(&mut self) {
        let list = self.definitions.refer(&builtin(&format!("{META}.APIResourceList")));
        let operation = Operation {
            id: format!("get{}APIResources", self.group),
            tag: self.tag.clone(),
            consumes: operation::OBJECTS,
            answer: Answer { codes: &[200], produces: operation::OBJECTS, schema: list },
            ..Operation::default()
        };
        let item = operation::item(self.form, vec![("get", operation)]);
        self.paths.insert(self.root.clone(), item);
    }

    fn resource(&mut self, resource: &ServedResource) {
        let kind: String = resource.schema.gvk().kind.split(|c: char| !c.is_ascii_alphanumeric()).map(capital).collect();
        let scope = if resource.namespaced { "Namespaced" } else { "" };
        let (group, tag) = (self.group.clone(), self.tag.clone());
        let place = |named| Place {
            schema: &resource.schema,
            custom: is_custom(resource),
            resource: &resource.resource,
            options: None,
            group: &group,
            id: format!("{scope}{kind}"),
            tag: &tag,
            namespaced: resource.namespaced,
            named,
            gives_deleted: resource.gives_deleted,
        };
        let base = match resource.namespaced {
            true => format!("{}namespaces/{{namespace}}/{}", self.root, resource.resource),
            false => format!("{}{}", self.root, resource.resource),
        };
        self.path(base.clone(), &place(false), &resource.verbs);
        self.path(format!("{base}/{{name}}"), &place(true), &resource.verbs);
        if resource.namespaced && resource.verbs.iter().any(|v| v == "list") {
            let everywhere = Place { namespaced: false, id: format!("{kind}ForAllNamespaces"), ..place(false) };
            self.path(format!("{}{}", self.root, resource.resource), &everywhere, &["list".to_owned()]);
        }
        for subresource in &resource.subresources {
            self.subresource(&base, &place(true), subresource);
        }
    }

    fn subresource(&mut self, base: &str, parent: &Place, subresource: &ServedSubresource) {
        let place = Place {
            schema: subresource.schema.as_ref().unwrap_or(parent.schema),
            options: subresource.options.as_ref(),
            id: format!("{}{}", parent.id, capital(&subresource.name)),
            ..parent.clone()
        };
        let path = format!("{base}/{{name}}/{}", subresource.name);
        if place.schema.gvk().kind.ends_with("Options") {
            return self.connect(path, &place, &subresource.verbs);
        }
        let known = VERBS.iter().filter(|v| subresource.verbs.iter().any(|w| w == v.verb));
        let operations = known.map(|verb| (verb.method, self.operation(&place, verb))).collect();
        self.insert(path, operations);
    }

    /// A path that leads to a node, a pod or a service, and takes its parameters from the kind of its options.
    fn connect(&mut self, path: String, place: &Place, verbs: &[String]) {
        let known = VERBS.iter().filter(|v| verbs.iter().any(|w| w == v.verb));
        let mut methods: Vec<&str> = known.map(|verb| verb.method).collect();
        let proxy = verbs.iter().any(|verb| verb == "delete");
        if proxy {
            // What is passed on has methods for which discovery has no verbs.
            methods.extend(["head", "options"]);
        }
        for (path, id, rest) in [(path.clone(), "", false), (format!("{path}/{{path}}"), "WithPath", true)] {
            if rest && !proxy {
                continue;
            }
            let operation = |method: &str| {
                let mut parameters = self.places(place);
                parameters.extend(rest.then(|| parameters::one(self.form, "path", "string", "path")));
                parameters.extend(parameters::fields(self.form, place.schema));
                Operation {
                    id: format!("connect{}{}{}{id}", place.group, capital(method), place.id),
                    tag: place.tag.to_owned(),
                    action: Some(("connect", gvk_value(place.schema.gvk()))),
                    parameters,
                    answer: Answer { codes: &[200], produces: operation::ANY, schema: json!({"type": "string"}) },
                    ..Operation::default()
                }
            };
            let operations = methods.iter().map(|method| (*method, operation(method))).collect();
            self.insert(path, operations);
        }
    }

    fn path(&mut self, path: String, place: &Place, verbs: &[String]) {
        let known = VERBS.iter().filter(|v| v.named == place.named && verbs.iter().any(|w| w == v.verb));
        let operations = known.map(|verb| (verb.method, self.operation(place, verb))).collect();
        self.insert(path, operations);
    }

    fn insert(&mut self, path: String, operations: Vec<(&'static str, Operation)>) {
        if !operations.is_empty() {
            self.paths.insert(path, operation::item(self.form, operations));
        }
    }

    /// The parameters in the path.
    fn places(&self, place: &Place) -> Vec<Value> {
        let named = [("name", place.named), ("namespace", place.namespaced)];
        named.iter().filter(|(_, set)| *set).map(|(name, _)| parameters::one(self.form, name, "string", "path")).collect()
    }

    fn operation(&mut self, place: &Place, verb: &Verb) -> Operation {
        let gvk = place.schema.gvk();
        let mut parameters = self.places(place);
        let described = match verb.verb {
            "deletecollection" if place.custom => "list",
            other => other,
        };
        parameters.extend(parameters::of_verb(self.form, described));
        if place.custom && verb.verb == "get" {
            parameters.push(parameters::one(self.form, "resourceVersion", "string", "query"));
        }
        parameters.extend(place.options.into_iter().flat_map(|options| parameters::fields(self.form, options)));
        let deletes = verb.verb.starts_with("delete");
        let body = match verb.verb {
            "create" | "update" => Some(self.definitions.kind(place.schema)),
            "patch" => Some(self.definitions.patch()),
            "deletecollection" if place.custom => None,
            _ if deletes => Some(self.definitions.refer(&builtin(&format!("{META}.DeleteOptions")))),
            _ => None,
        };
        let status = verb.verb == "deletecollection" || verb.verb == "delete" && !place.gives_deleted;
        let schema = match verb.verb {
            _ if place.options.is_some() => json!({"type": "string"}),
            "list" => self.list_of(place),
            _ if status => self.definitions.refer(&builtin(&format!("{META}.Status"))),
            _ => self.definitions.kind(place.schema),
        };
        let collection = if verb.verb == "deletecollection" { "Collection" } else { "" };
        Operation {
            id: format!("{}{}{collection}{}", verb.word, place.group, place.id),
            tag: place.tag.to_owned(),
            action: Some((verb.action, gvk_value(gvk))),
            parameters,
            body: body.map(|schema| (schema, !deletes)),
            consumes: consumes(place, verb),
            answer: Answer { codes: codes(place, verb.verb), produces: produces(place, verb), schema },
        }
    }

    fn list_of(&mut self, place: &Place) -> Value {
        let gvk = place.schema.gvk();
        if place.schema.node().is_some() {
            return self.definitions.list_of_custom(place.schema, place.resource);
        }
        match Schema::builtin(&Gvk::new(&gvk.group, &gvk.version, &format!("{}List", gvk.kind))) {
            Some(list) => self.definitions.refer(&list.root),
            None => json!({"type": "object"}),
        }
    }
}

fn consumes(place: &Place, verb: &Verb) -> &'static [&'static str] {
    match verb.verb {
        "patch" if place.custom => operation::CUSTOM_PATCHES,
        "patch" => operation::PATCHES,
        _ if place.custom => operation::CUSTOM,
        _ => operation::ANY,
    }
}

fn codes(place: &Place, verb: &str) -> &'static [u16] {
    match verb {
        "patch" if place.custom => &[200],
        "create" => &[200, 201, 202],
        "update" | "patch" => &[200, 201],
        "delete" => &[200, 202],
        _ => &[200],
    }
}

fn produces(place: &Place, verb: &Verb) -> &'static [&'static str] {
    match verb.verb {
        _ if place.options.is_some() => operation::TEXTS,
        _ if place.custom => operation::CUSTOM,
        "list" => operation::LISTS,
        _ => operation::OBJECTS,
    }
}

/// `rbacAuthorization` for `rbac.authorization.k8s.io`.
fn tag(group: &str) -> String {
    let labels: Vec<&str> = group.trim_end_matches(".k8s.io").split('.').collect();
    labels.iter().enumerate().map(|(at, label)| if at == 0 { (*label).to_owned() } else { capital(label) }).collect()
}

/// A word with a capital letter at its begin.
fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
