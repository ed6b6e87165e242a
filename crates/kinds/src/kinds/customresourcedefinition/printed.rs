//! Parts of a definition as messages show them: in upstream's internal form, with every field in Go's names and order.

use serde_json::Value;

use super::definition::{Props, Version};

/// The fields of a schema: Go's names in their order, and those of the document.
pub const FIELDS: [(&str, &str); 44] = [
    ("ID", "id"),
    ("Schema", "$schema"),
    ("Ref", "$ref"),
    ("Description", "description"),
    ("Type", "type"),
    ("Nullable", "nullable"),
    ("Format", "format"),
    ("Title", "title"),
    ("Default", "default"),
    ("Maximum", "maximum"),
    ("ExclusiveMaximum", "exclusiveMaximum"),
    ("Minimum", "minimum"),
    ("ExclusiveMinimum", "exclusiveMinimum"),
    ("MaxLength", "maxLength"),
    ("MinLength", "minLength"),
    ("Pattern", "pattern"),
    ("MaxItems", "maxItems"),
    ("MinItems", "minItems"),
    ("UniqueItems", "uniqueItems"),
    ("MultipleOf", "multipleOf"),
    ("Enum", "enum"),
    ("MaxProperties", "maxProperties"),
    ("MinProperties", "minProperties"),
    ("Required", "required"),
    ("Items", "items"),
    ("AllOf", "allOf"),
    ("OneOf", "oneOf"),
    ("AnyOf", "anyOf"),
    ("Not", "not"),
    ("Properties", "properties"),
    ("AdditionalProperties", "additionalProperties"),
    ("PatternProperties", "patternProperties"),
    ("Dependencies", "dependencies"),
    ("AdditionalItems", "additionalItems"),
    ("Definitions", "definitions"),
    ("ExternalDocs", "externalDocs"),
    ("Example", "example"),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields"),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource"),
    ("XIntOrString", "x-kubernetes-int-or-string"),
    ("XListMapKeys", "x-kubernetes-list-map-keys"),
    ("XListType", "x-kubernetes-list-type"),
    ("XMapType", "x-kubernetes-map-type"),
    ("XValidations", "x-kubernetes-validations"),
];

/// Whether a field has Go's zero value. What is behind a pointer is something even when it is empty.
pub fn is_unset(field: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag && !matches!(field, "x-kubernetes-preserve-unknown-fields" | "additionalProperties" | "additionalItems"),
        Value::String(text) => text.is_empty() && !matches!(field, "$ref" | "x-kubernetes-list-type" | "x-kubernetes-map-type"),
        _ => false,
    }
}

fn json(value: &Value) -> String {
    String::from_utf8_lossy(&schema::go_json(value)).into_owned()
}

fn object<'f>(fields: impl Iterator<Item = (&'f str, String)>) -> String {
    let fields: Vec<String> = fields.map(|(name, value)| format!("{}:{value}", json(&name.into()))).collect();
    format!("{{{}}}", fields.join(","))
}

fn list<'v>(values: impl Iterator<Item = &'v Value>, each: impl Fn(&Value) -> String) -> String {
    format!("[{}]", values.map(each).collect::<Vec<_>>().join(","))
}

/// A schema.
pub fn schema(props: &Props) -> String {
    object(FIELDS.iter().map(|(name, field)| (*name, value(field, props.get(*field)))))
}

fn either(value: &Value) -> String {
    value.as_object().map_or_else(|| "null".to_owned(), schema)
}

fn value(field: &str, value: Option<&Value>) -> String {
    let absent = match field {
        "id" | "$schema" | "description" | "type" | "format" | "title" | "pattern" => "\"\"",
        "nullable" | "exclusiveMaximum" | "exclusiveMinimum" | "uniqueItems" | "x-kubernetes-embedded-resource"
        | "x-kubernetes-int-or-string" => "false",
        _ => "null",
    };
    let Some(value) = value.filter(|value| !value.is_null()) else { return absent.to_owned() };
    match (field, value) {
        ("items", Value::Array(items)) => format!("{{\"Schema\":null,\"JSONSchemas\":{}}}", list(items.iter(), either)),
        ("items", value) => format!("{{\"Schema\":{},\"JSONSchemas\":null}}", either(value)),
        ("not", value) => either(value),
        ("allOf" | "oneOf" | "anyOf", Value::Array(items)) => list(items.iter(), either),
        ("properties" | "patternProperties" | "definitions", Value::Object(map)) => {
            object(map.iter().map(|(name, value)| (&**name, either(value))))
        }
        ("additionalProperties" | "additionalItems", value) => {
            let allows = value.as_bool().unwrap_or(true);
            format!("{{\"Allows\":{allows},\"Schema\":{}}}", either(value))
        }
        ("dependencies", Value::Object(map)) => object(map.iter().map(|(name, value)| (&**name, dependency(value)))),
        ("externalDocs", value) => {
            let text = |name: &str| json(value.get(name).unwrap_or(&"".into()));
            object([("Description", text("description")), ("URL", text("url"))].into_iter())
        }
        ("x-kubernetes-validations", Value::Array(rules)) => list(rules.iter(), rule),
        (_, value) => json(value),
    }
}

fn dependency(value: &Value) -> String {
    match value {
        Value::Array(_) => format!("{{\"Schema\":null,\"Property\":{}}}", json(value)),
        value => format!("{{\"Schema\":{},\"Property\":null}}", either(value)),
    }
}

/// A rule in CEL.
pub fn rule(rule: &Value) -> String {
    let text = |name: &str| json(rule.get(name).unwrap_or(&"".into()));
    let pointer = |name: &str| json(rule.get(name).unwrap_or(&Value::Null));
    object(
        [
            ("Rule", text("rule")),
            ("Message", text("message")),
            ("MessageExpression", text("messageExpression")),
            ("Reason", pointer("reason")),
            ("FieldPath", text("fieldPath")),
            ("OptionalOldSelf", pointer("optionalOldSelf")),
        ]
        .into_iter(),
    )
}

/// The items of a list, or the one schema of them.
pub fn items(items: &Value) -> String {
    value("items", Some(items))
}

/// All versions.
pub fn versions(versions: &[Version]) -> String {
    let all: Vec<String> = versions.iter().map(version).collect();
    format!("[{}]", all.join(","))
}

fn version(version: &Version) -> String {
    let flag = |name: &str| json(&Value::Bool(version.value.get(name).is_some_and(|value| *value == true)));
    let or_null = |value: Option<&Value>, show: &dyn Fn(&Value) -> String| value.map_or_else(|| "null".to_owned(), show);
    let parts = version.parts;
    let schema = |value: &Value| {
        let inner = value.get("openAPIV3Schema").map_or_else(|| "null".to_owned(), either);
        format!("{{\"OpenAPIV3Schema\":{inner}}}")
    };
    let each = |show: fn(&Value) -> String| move |value: &Value| list(value.as_array().into_iter().flatten(), show);
    object(
        [
            ("Name", json(&version.name.into())),
            ("Served", flag("served")),
            ("Storage", flag("storage")),
            ("Deprecated", flag("deprecated")),
            ("DeprecationWarning", json(version.value.get("deprecationWarning").unwrap_or(&Value::Null))),
            ("Schema", or_null(parts.schema, &schema)),
            ("Subresources", or_null(parts.subresources, &subresources)),
            ("AdditionalPrinterColumns", or_null(parts.columns, &each(column))),
            ("SelectableFields", or_null(parts.selectable, &each(selectable))),
        ]
        .into_iter(),
    )
}

fn subresources(value: &Value) -> String {
    let status = value.get("status").map_or("null", |_| "{}").to_owned();
    let scale = value.get("scale").filter(|scale| !scale.is_null()).map_or_else(|| "null".to_owned(), |scale| {
        let text = |name: &str| json(scale.get(name).unwrap_or(&"".into()));
        let selector = json(scale.get("labelSelectorPath").unwrap_or(&Value::Null));
        object([("SpecReplicasPath", text("specReplicasPath")), ("StatusReplicasPath", text("statusReplicasPath")), ("LabelSelectorPath", selector)].into_iter())
    });
    object([("Status", status), ("Scale", scale)].into_iter())
}

fn column(value: &Value) -> String {
    let text = |name: &str| json(value.get(name).unwrap_or(&"".into()));
    let priority = json(value.get("priority").unwrap_or(&0.into()));
    object(
        [
            ("Name", text("name")),
            ("Type", text("type")),
            ("Format", text("format")),
            ("Description", text("description")),
            ("Priority", priority),
            ("JSONPath", text("jsonPath")),
        ]
        .into_iter(),
    )
}

fn selectable(value: &Value) -> String {
    object(std::iter::once(("JSONPath", json(value.get("jsonPath").unwrap_or(&"".into())))))
}
