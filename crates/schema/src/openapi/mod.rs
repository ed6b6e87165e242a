//! The published form of the schemas: OpenAPI v3, a document for each group version, and v2, one for all.
//!
//! Descriptions are left out. Documents are made on demand and not kept: keep them where they are served.

mod custom;
mod definitions;
mod descriptions;
mod gnostic;
mod operation;
mod parameters;
mod paths;

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::Schema;
use crate::model::TypeRef;
use definitions::Definitions;
use meta::names::split_api_version;

/// A resource that is served, for the paths of a document.
#[derive(Clone, Debug)]
pub struct ServedResource {
    /// Its kind and fields.
    pub schema: Schema,
    /// Lower-case plural, as in paths.
    pub resource: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// As discovery lists them.
    pub verbs: Vec<String>,
    /// Whether a deletion is described as answered with the object; else with a Status.
    pub gives_deleted: bool,
    /// Paths below an object.
    pub subresources: Vec<ServedSubresource>,
}

/// A path below an object.
#[derive(Clone, Debug)]
pub struct ServedSubresource {
    /// Name in the path.
    pub name: String,
    /// What it takes and gives; `None` for the resource's own kind.
    pub schema: Option<Schema>,
    /// The kind whose fields are the parameters of a path that gives text.
    pub options: Option<Schema>,
    /// As discovery lists them.
    pub verbs: Vec<String>,
}

/// Another one in every program that writes the documents of the same kinds otherwise.
pub const STAMP: &str = env!("PUBLISHED");

/// The two forms of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    V2,
    V3,
}

impl Form {
    /// Where definitions are.
    fn reference(self, name: &str) -> String {
        match self {
            Form::V2 => format!("#/definitions/{name}"),
            Form::V3 => format!("#/components/schemas/{name}"),
        }
    }
}

/// The JSON document of one group version (`v1`, `apps/v1`), as at `/openapi/v3/api/v1` and
/// `/openapi/v3/apis/apps/v1`. `resources` are those of this group version.
pub fn openapi_v3(group_version: &str, resources: &[ServedResource]) -> Bytes {
    let (group, version) = split_api_version(group_version);
    // A document of custom resources alone tells of all groups.
    let scope = (!resources.iter().all(paths::is_custom)).then_some((group, version));
    let mut definitions = Definitions::new(Form::V3, scope).described();
    let paths = paths::write(Form::V3, &mut definitions, [(group_version, resources)]);
    let document = json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": definitions.finish(), "securitySchemes": {"BearerToken": security()}},
    });
    text(&document)
}

/// The JSON document of everything, as at `/openapi/v2`.
pub fn openapi_v2(resources: &[ServedResource]) -> Bytes {
    let (paths, definitions) = everything(resources);
    let document = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "definitions": definitions,
        "security": [{"BearerToken": []}],
        "securityDefinitions": {"BearerToken": security()},
    });
    text(&document)
}

/// The definitions of everything in gnostic's protobuf, as at `/openapi/v2` for kubectl.
pub fn openapi_v2_proto(resources: &[ServedResource]) -> Bytes {
    gnostic::document(&everything(resources).1)
}

fn everything(resources: &[ServedResource]) -> (Map<String, Value>, Map<String, Value>) {
    let mut definitions = Definitions::new(Form::V2, None).described();
    let version_of = |r: &ServedResource| r.schema.gvk().api_version();
    let versions: BTreeSet<String> = resources.iter().map(version_of).collect();
    let grouped: Vec<(String, Vec<ServedResource>)> = versions
        .into_iter()
        .map(|version| {
            let members = resources.iter().filter(|r| version_of(r) == version).cloned().collect();
            (version, members)
        })
        .collect();
    let groups = grouped.iter().map(|(version, members)| (version.as_str(), members.as_slice()));
    let paths = paths::write(Form::V2, &mut definitions, groups);
    (paths, definitions.finish())
}

/// One definition and everything that it refers to, as in a v3 document, without prose: for tests and tools.
pub fn definition_v3(schema: &Schema) -> Value {
    let gvk = schema.gvk();
    let mut definitions = Definitions::new(Form::V3, Some((&gvk.group, &gvk.version)));
    definitions.kind(schema);
    Value::Object(definitions.finish())
}

/// The same as in a v2 document.
pub fn definition_v2(schema: &Schema) -> Value {
    let mut definitions = Definitions::new(Form::V2, None);
    definitions.kind(schema);
    Value::Object(definitions.finish())
}

fn security() -> Value {
    json!({"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"})
}

fn text(document: &Value) -> Bytes {
    Bytes::from(document.to_string())
}

/// A built-in type by its definition name.
fn builtin(name: &str) -> TypeRef {
    match crate::table::builtin().definition(name) {
        Some(row) => TypeRef::Builtin(row),
        None => unreachable!("the table has {name}"),
    }
}
