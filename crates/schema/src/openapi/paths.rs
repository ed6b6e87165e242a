//! The paths of a document, from the list of resources that are served.

use meta::Gvk;
use meta::names::split_api_version;
use serde_json::{Map, Value, json};

use super::definitions::{Definitions, gvk_value};
use super::{Form, ServedResource, ServedSubresource, builtin};
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
struct Place<'p> {
    schema: &'p Schema,
    /// Middle of the operation ids: `AppsV1NamespacedDeployment`.
    id: String,
    /// `apps_v1`.
    tag: &'p str,
    namespaced: bool,
    named: bool,
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
        let tag = format!("{}_{short}", if group.is_empty() { "core" } else { first_label(group) });
        let id: String = tag.split('_').map(capital).collect();
        let mut writer = Writer { form, definitions, paths: &mut paths };
        writer.discovery(&root, &id, &tag);
        for resource in resources {
            writer.resource(&root, &id, &tag, resource);
        }
    }
    paths
}

struct Writer<'w, 'd> {
    form: Form,
    definitions: &'w mut Definitions<'d>,
    paths: &'w mut Map<String, Value>,
}

impl Writer<'_, '_> {
    fn discovery(&mut self, root: &str, id: &str, tag: &str) {
        let list = self.definitions.refer(&builtin(&format!("{META}.APIResourceList")));
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), json!(format!("get{id}APIResources")));
        operation.insert("tags".to_owned(), json!([tag]));
        operation.insert("responses".to_owned(), json!({"200": self.response("OK", &list)}));
        self.paths.insert(root.to_owned(), json!({"get": operation}));
    }

    fn resource(&mut self, root: &str, id: &str, tag: &str, resource: &ServedResource) {
        let kind = &resource.schema.gvk().kind;
        let scope = if resource.namespaced { "Namespaced" } else { "" };
        let place = |named| Place {
            schema: &resource.schema,
            id: format!("{id}{scope}{kind}"),
            tag,
            namespaced: resource.namespaced,
            named,
        };
        let base = match resource.namespaced {
            true => format!("{root}namespaces/{{namespace}}/{}", resource.resource),
            false => format!("{root}{}", resource.resource),
        };
        self.path(base.clone(), &place(false), &resource.verbs);
        self.path(format!("{base}/{{name}}"), &place(true), &resource.verbs);
        if resource.namespaced && resource.verbs.iter().any(|v| v == "list") {
            let everywhere = Place { namespaced: false, id: format!("{id}{kind}ForAllNamespaces"), ..place(false) };
            self.path(format!("{root}{}", resource.resource), &everywhere, &["list".to_owned()]);
        }
        for subresource in &resource.subresources {
            self.subresource(&base, &place(true), subresource);
        }
    }

    fn subresource(&mut self, base: &str, parent: &Place, subresource: &ServedSubresource) {
        let place = Place {
            schema: subresource.schema.as_ref().unwrap_or(parent.schema),
            id: format!("{}{}", parent.id, capital(&subresource.name)),
            ..*parent
        };
        let mut item = Map::new();
        for verb in &subresource.verbs {
            let Some(known) = VERBS.iter().find(|v| v.verb == verb) else { continue };
            item.insert(known.method.to_owned(), self.operation(&place, known));
        }
        self.insert(format!("{base}/{{name}}/{}", subresource.name), &place, item);
    }

    fn path(&mut self, path: String, place: &Place, verbs: &[String]) {
        let mut item = Map::new();
        for known in VERBS.iter().filter(|v| v.named == place.named && verbs.iter().any(|w| w == v.verb)) {
            item.insert(known.method.to_owned(), self.operation(place, known));
        }
        self.insert(path, place, item);
    }

    fn insert(&mut self, path: String, place: &Place, mut item: Map<String, Value>) {
        if item.is_empty() {
            return;
        }
        let mut parameters = Vec::new();
        for (name, set) in [("name", place.named), ("namespace", place.namespaced)] {
            if set {
                parameters.push(self.parameter(name, "string", "path"));
            }
        }
        parameters.push(self.parameter("pretty", "string", "query"));
        item.insert("parameters".to_owned(), Value::Array(parameters));
        self.paths.insert(path, Value::Object(item));
    }

    fn operation(&mut self, place: &Place, verb: &Verb) -> Value {
        let gvk = place.schema.gvk();
        let connect = gvk.kind.ends_with("Options");
        let own = self.definitions.refer(&place.schema.root);
        let mut parameters: Vec<Value> = queries(verb.verb).iter().map(|(n, t)| self.parameter(n, t, "query")).collect();
        let mut operation = Map::new();
        let body = match verb.verb {
            _ if connect => None,
            "create" | "update" => Some(own.clone()),
            "patch" => Some(self.definitions.patch()),
            "delete" | "deletecollection" => Some(self.definitions.refer(&builtin(&format!("{META}.DeleteOptions")))),
            _ => None,
        };
        if let Some(body) = body {
            self.body(verb, &body, &mut operation, &mut parameters);
        }
        let answer = match verb.verb {
            "list" => self.list_of(gvk).unwrap_or(own),
            "delete" | "deletecollection" => self.definitions.refer(&builtin(&format!("{META}.Status"))),
            _ => own,
        };
        let collection = if verb.verb == "deletecollection" { "Collection" } else { "" };
        let (action, word) = if connect { ("connect", "connect") } else { (verb.action, verb.word) };
        operation.insert("operationId".to_owned(), json!(operation_id(word, collection, verb.method, connect, &place.id)));
        operation.insert("parameters".to_owned(), Value::Array(parameters));
        operation.insert("responses".to_owned(), self.responses(verb, &answer));
        operation.insert("tags".to_owned(), json!([place.tag]));
        operation.insert("x-kubernetes-action".to_owned(), json!(action));
        operation.insert("x-kubernetes-group-version-kind".to_owned(), gvk_value(gvk));
        Value::Object(operation)
    }

    fn list_of(&mut self, gvk: &Gvk) -> Option<Value> {
        let list = Schema::builtin(&Gvk::new(&gvk.group, &gvk.version, &format!("{}List", gvk.kind)))?;
        Some(self.definitions.refer(&list.root))
    }

    fn body(&self, verb: &Verb, body: &Value, operation: &mut Map<String, Value>, parameters: &mut Vec<Value>) {
        let required = matches!(verb.verb, "create" | "update" | "patch");
        let media: &[&str] = match verb.verb {
            "patch" => &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ],
            _ => &["*/*"],
        };
        if self.form == Form::V2 {
            parameters.insert(0, json!({"in": "body", "name": "body", "required": required, "schema": body}));
            operation.insert("consumes".to_owned(), json!(media));
            operation.insert("produces".to_owned(), json!(ANSWERS));
            return;
        }
        let content: Map<String, Value> = media.iter().map(|m| ((*m).to_owned(), json!({"schema": body}))).collect();
        operation.insert("requestBody".to_owned(), json!({"content": content, "required": required}));
    }

    fn responses(&self, verb: &Verb, answer: &Value) -> Value {
        let mut responses = Map::new();
        responses.insert("200".to_owned(), self.response("OK", answer));
        if matches!(verb.verb, "create" | "update" | "patch") {
            responses.insert("201".to_owned(), self.response("Created", answer));
        }
        if matches!(verb.verb, "create" | "delete") {
            responses.insert("202".to_owned(), self.response("Accepted", answer));
        }
        responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
        Value::Object(responses)
    }

    fn response(&self, description: &str, answer: &Value) -> Value {
        if self.form == Form::V2 {
            return json!({"description": description, "schema": answer});
        }
        let content: Map<String, Value> = ANSWERS.iter().map(|m| ((*m).to_owned(), json!({"schema": answer}))).collect();
        json!({"description": description, "content": content})
    }

    fn parameter(&self, name: &str, word: &str, place: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place});
        match self.form {
            Form::V2 => {
                parameter["type"] = json!(word);
                parameter["uniqueItems"] = json!(true);
            }
            Form::V3 => parameter["schema"] = json!({"type": word, "uniqueItems": true}),
        }
        if place == "path" {
            parameter["required"] = json!(true);
        }
        parameter
    }
}

/// Media types of answers.
const ANSWERS: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

fn queries(verb: &str) -> &'static [(&'static str, &'static str)] {
    const WRITE: [(&str, &str); 4] =
        [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")];
    match verb {
        "create" | "update" => &WRITE[..3],
        "patch" => &WRITE,
        "delete" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("orphanDependents", "boolean"),
            ("propagationPolicy", "string"),
        ],
        "list" | "deletecollection" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        _ => &[],
    }
}

/// `deleteAppsV1CollectionNamespacedDeployment`: the word for many stands after the group version.
fn operation_id(word: &str, collection: &str, method: &str, connect: bool, id: &str) -> String {
    let (group, rest) = match (id.find("Namespaced"), collection.is_empty()) {
        (Some(at), false) => id.split_at(at),
        _ => ("", id),
    };
    let method = if connect { capital(method) } else { String::new() };
    format!("{word}{group}{collection}{method}{rest}")
}

fn first_label(group: &str) -> &str {
    group.split('.').next().unwrap_or(group)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
