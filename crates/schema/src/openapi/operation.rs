//! One operation of a path in both forms of a document.

use serde_json::{Map, Value, json};

use super::Form;

/// Forms in which objects are given.
pub const OBJECTS: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// Lists may be streams of changes.
pub const LISTS: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
/// Texts; their errors are objects.
pub const TEXTS: &[&str] = &["text/plain", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// Languages of patches.
pub const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
/// Forms in which custom resources are described to be given.
pub const CUSTOM: &[&str] = &["application/json", "application/yaml"];
/// Languages of their patches.
pub const CUSTOM_PATCHES: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
/// Whatever comes.
pub const ANY: &[&str] = &["*/*"];

/// What a method of a path does.
pub struct Operation {
    pub id: String,
    pub tag: String,
    /// `x-kubernetes-action`, and the kind that it is about.
    pub action: Option<(&'static str, Value)>,
    /// Those in the path and the query.
    pub parameters: Vec<Value>,
    /// Its schema, and whether it is required.
    pub body: Option<(Value, bool)>,
    pub consumes: &'static [&'static str],
    pub answer: Answer,
}

impl Default for Operation {
    fn default() -> Self {
        Operation {
            id: String::new(),
            tag: String::new(),
            action: None,
            parameters: Vec::new(),
            body: None,
            consumes: ANY,
            answer: Answer { codes: &[], produces: ANY, schema: Value::Null },
        }
    }
}

/// What comes back.
pub struct Answer {
    pub codes: &'static [u16],
    pub produces: &'static [&'static str],
    pub schema: Value,
}

/// The operations of a path. What parameters all have in common is said once.
pub fn item(form: Form, mut operations: Vec<(&'static str, Operation)>) -> Value {
    let mut shared = operations.first().map(|(_, first)| first.parameters.clone()).unwrap_or_default();
    shared.retain(|one| operations.iter().all(|(_, operation)| operation.parameters.contains(one)));
    let mut item = Map::new();
    for (method, operation) in &mut operations {
        operation.parameters.retain(|one| !shared.contains(one));
        item.insert((*method).to_owned(), operation.write(form));
    }
    put_parameters(&mut item, shared);
    Value::Object(item)
}

/// By name, as upstream's builder sorts them.
fn put_parameters(into: &mut Map<String, Value>, mut parameters: Vec<Value>) {
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    parameters.sort_by_key(|one| (text(one, "name"), text(one, "in")));
    if !parameters.is_empty() {
        into.insert("parameters".to_owned(), Value::Array(parameters));
    }
}

impl Operation {
    fn write(&self, form: Form) -> Value {
        let mut out = Map::new();
        let mut parameters = self.parameters.clone();
        let content = |media: &[&str], schema: &Value| -> Map<String, Value> {
            media.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect()
        };
        match (form, &self.body) {
            (Form::V2, body) => {
                out.insert("consumes".to_owned(), json!(self.consumes));
                out.insert("produces".to_owned(), json!(self.answer.produces));
                out.insert("schemes".to_owned(), json!(["https"]));
                parameters.extend(body.as_ref().map(|(schema, required)| {
                    marked(json!({"in": "body", "name": "body", "schema": schema}), *required)
                }));
            }
            (Form::V3, Some((schema, required))) => {
                let body = marked(json!({"content": content(self.consumes, schema)}), *required);
                out.insert("requestBody".to_owned(), body);
            }
            (Form::V3, None) => {}
        }
        put_parameters(&mut out, parameters);
        let mut responses = Map::new();
        for code in self.answer.codes {
            let description = match code {
                201 => "Created",
                202 => "Accepted",
                _ => "OK",
            };
            let (name, value) = match form {
                Form::V2 => ("schema", self.answer.schema.clone()),
                Form::V3 => ("content", Value::Object(content(self.answer.produces, &self.answer.schema))),
            };
            responses.insert(code.to_string(), json!({"description": description, name: value}));
        }
        responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
        out.insert("responses".to_owned(), Value::Object(responses));
        out.insert("operationId".to_owned(), json!(self.id));
        out.insert("tags".to_owned(), json!([self.tag]));
        if let Some((action, kind)) = &self.action {
            out.insert("x-kubernetes-action".to_owned(), json!(action));
            out.insert("x-kubernetes-group-version-kind".to_owned(), kind.clone());
        }
        Value::Object(out)
    }
}

fn marked(mut value: Value, required: bool) -> Value {
    if required {
        value["required"] = json!(true);
    }
    value
}
