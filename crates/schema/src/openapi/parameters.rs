//! Parameters of operations: those of verbs, and those that are the fields of an options kind.

use serde_json::{Value, json};

use super::Form;
use crate::Schema;
use crate::model::{Kind, Shape};

const WRITE: &[(&str, &str)] = &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const FORCE: &[(&str, &str)] = &[("force", "boolean")];
const DELETE: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const SELECT: &[(&str, &str)] = &[
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("shardSelector", "string"),
    ("timeoutSeconds", "integer"),
];
const WATCH: &[(&str, &str)] = &[("allowWatchBookmarks", "boolean"), ("watch", "boolean")];

/// What can be said in the query of a verb.
pub fn of_verb(form: Form, verb: &str) -> impl Iterator<Item = Value> {
    let parts: &[&[(&str, &str)]] = match verb {
        "create" | "update" => &[WRITE],
        "patch" => &[WRITE, FORCE],
        "delete" => &[DELETE],
        "deletecollection" => &[DELETE, SELECT],
        "list" => &[SELECT, WATCH],
        _ => &[],
    };
    let all = parts.iter().flat_map(|part| part.iter()).chain(&[("pretty", "string")]);
    all.map(move |(name, word)| one(form, name, word, "query"))
}

/// The fields of an options kind, but for those with a form of their own, which upstream does not describe (times).
pub fn fields(form: Form, options: &Schema) -> impl Iterator<Item = Value> {
    let own = options.root().fields.iter().filter(|field| !matches!(&*field.name, "kind" | "apiVersion"));
    own.filter_map(move |field| Some(one(form, &field.name, word(&field.shape)?, "query")))
}

/// The type of a value in a query; of a list, that of its items.
fn word(shape: &Shape) -> Option<&'static str> {
    match &shape.kind {
        Kind::Bool => Some("boolean"),
        Kind::Int32 | Kind::Int64 | Kind::Int => Some("integer"),
        Kind::String => Some("string"),
        Kind::List { item, .. } => word(item),
        _ => None,
    }
}

/// A parameter in the path or in the query.
pub fn one(form: Form, name: &str, word: &str, place: &str) -> Value {
    let mut parameter = json!({"name": name, "in": place});
    match form {
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
