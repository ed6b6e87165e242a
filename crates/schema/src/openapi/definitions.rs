//! The definitions of a document: every type that is referred to.

use std::collections::BTreeMap;

use meta::Gvk;
use serde_json::{Map, Value, json};

use super::descriptions::Descriptions;
use super::{Form, builtin, custom};
use crate::Schema;
use crate::model::{Field, Kind, Shape, Type, TypeRef};
use crate::table;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const CONVENTIONS: &str = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/// Collects definitions while references to them are made.
pub struct Definitions<'d> {
    form: Form,
    /// The group version of the document, if it is that of one.
    scope: Option<(&'d str, &'d str)>,
    done: BTreeMap<String, Value>,
    /// None: without prose.
    descriptions: Option<Descriptions>,
}

/// Groups that are no part of the scheme of upstream's clients.
const SERVERS_OWN: [&str; 4] = ["admission.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "imagepolicy.k8s.io"];

impl<'d> Definitions<'d> {
    /// None yet.
    pub fn new(form: Form, scope: Option<(&'d str, &'d str)>) -> Self {
        Definitions { form, scope, done: BTreeMap::new(), descriptions: None }
    }

    /// With what types and fields mean.
    pub fn described(self) -> Self {
        Definitions { descriptions: Some(Descriptions::unpack()), ..self }
    }

    /// All that were referred to.
    pub fn finish(self) -> Map<String, Value> {
        self.done.into_iter().collect()
    }

    /// A reference to a type; the type becomes part of the document.
    pub fn refer(&mut self, t: &TypeRef) -> Value {
        let fields = t.get();
        if fields.name.is_empty() {
            return self.structure(t, fields);
        }
        if !self.done.contains_key(fields.name.as_ref()) {
            // A mark first: types refer to themselves.
            self.done.insert(fields.name.to_string(), Value::Null);
            let definition = self.structure(t, fields);
            self.done.insert(fields.name.to_string(), definition);
        }
        json!({"$ref": self.form.reference(&fields.name)})
    }

    /// A reference to a kind, which may be a custom resource.
    pub fn kind(&mut self, schema: &Schema) -> Value {
        let Some(published) = &schema.published else { return self.refer(&schema.root) };
        let name = custom::name(schema.gvk());
        if !self.done.contains_key(&name) {
            let common = self.common();
            let mut made = custom::definition(self.form, schema.gvk(), &published.written, &common);
            select(&mut made, &published.selectable);
            self.done.insert(name.clone(), made);
        }
        json!({"$ref": self.form.reference(&name)})
    }

    /// A reference to the list of a custom resource, which is called so in paths.
    pub fn list_of_custom(&mut self, schema: &Schema, resource: &str) -> Value {
        let (gvk, item) = (schema.gvk(), self.kind(schema));
        let Some(published) = &schema.published else { return item };
        let list = Gvk::new(&gvk.group, &gvk.version, &published.list_kind);
        let name = custom::name(&list);
        if !self.done.contains_key(&name) {
            let mut fields = self.common().own;
            let mut metadata = self.refer(&builtin(&format!("{META}.ListMeta")));
            self.wrap(&mut metadata);
            if self.descriptions.is_some() {
                set(&mut metadata, Some(format!("Standard list metadata. More info: {CONVENTIONS}#types-kinds").into()));
            }
            let items = json!({"type": "array", "items": item, "description": format!("List of {resource}. More info: {CONVENTIONS}")});
            fields.extend([("items".to_owned(), items), ("metadata".to_owned(), metadata)]);
            let about = format!("{} is a list of {}", list.kind, gvk.kind);
            let mut made = json!({"type": "object", "description": about, "required": ["items"], "properties": fields,
                "x-kubernetes-group-version-kind": [gvk_value(&list)]});
            select(&mut made, &published.selectable);
            self.done.insert(name.clone(), made);
        }
        json!({"$ref": self.form.reference(&name)})
    }

    /// A reference that something is said beside.
    fn wrap(&self, reference: &mut Value) {
        if let (Form::V3, Value::Object(map)) = (self.form, reference) {
            wrap_reference(map);
        }
    }

    /// What every object has.
    fn common(&mut self) -> custom::Common {
        let mut metadata = self.refer(&builtin(&format!("{META}.ObjectMeta")));
        self.wrap(&mut metadata);
        // It is said of every kind.
        let about = |field: &str| self.description("io.k8s.api.core.v1.Pod", field).map(|(_, text)| text);
        set(&mut metadata, about("metadata"));
        let text = |about: Option<Value>| {
            let mut made = json!({"type": "string"});
            set(&mut made, about);
            made
        };
        let fields = |version, kind| {
            [("apiVersion", text(version)), ("kind", text(kind)), ("metadata", metadata.clone())].map(|(name, field)| (name.to_owned(), field))
        };
        let version = format!("apiVersion defines the versioned schema of this representation of an object. More info: {CONVENTIONS}#resources");
        let kind = format!("kind is a string value representing the type of this object. In CamelCase. More info: {CONVENTIONS}#types-kinds");
        let embedded = fields(Some(version.into()), Some(kind.into()));
        custom::Common { own: fields(about("apiVersion"), about("kind")).into_iter().collect(), embedded: embedded.into_iter().collect() }
    }

    /// A reference to a definition without fields.
    fn special(&mut self, package: &str, name: &str, mut definition: Value) -> Value {
        let name = format!("{package}.{name}");
        let reference = json!({"$ref": self.form.reference(&name)});
        if let (Some((field, text)), Value::Object(map)) = (self.description(&name, ""), &mut definition) {
            map.insert(field, text);
        }
        self.done.entry(name).or_insert(definition);
        reference
    }

    /// A reference to the type of patches.
    pub fn patch(&mut self) -> Value {
        self.special(META, "Patch", json!({"type": "object"}))
    }

    /// What a field of a type means, or the type itself.
    fn description(&self, type_name: &str, field: &str) -> Option<(String, Value)> {
        let text = self.descriptions.as_ref()?.of(type_name, field)?;
        Some(("description".to_owned(), text.into()))
    }

    fn structure(&mut self, reference: &TypeRef, t: &Type) -> Value {
        let mut definition = Map::new();
        definition.insert("type".to_owned(), json!("object"));
        definition.extend(self.description(&t.name, ""));
        let mut properties = Map::new();
        for field in &t.fields {
            properties.insert(field.name.to_string(), self.property(t, field));
        }
        if !properties.is_empty() {
            definition.insert("properties".to_owned(), Value::Object(properties));
        }
        let required: Vec<&str> = t.fields.iter().filter(|f| f.required).map(|f| f.name.as_ref()).collect();
        if !required.is_empty() {
            definition.insert("required".to_owned(), json!(required));
        }
        let kinds = self.kinds(reference);
        if !kinds.is_empty() {
            definition.insert("x-kubernetes-group-version-kind".to_owned(), Value::Array(kinds));
        }
        if let Ok(unions) = serde_json::from_str::<Value>(&t.unions) {
            definition.insert("x-kubernetes-unions".to_owned(), unions);
        }
        if t.atomic {
            definition.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
        }
        Value::Object(definition)
    }

    fn kinds(&self, t: &TypeRef) -> Vec<Value> {
        let TypeRef::Builtin(row) = t else { return Vec::new() };
        let kinds = table::builtin().kinds(*row);
        let everywhere = table::builtin().is_everywhere(*row);
        let gvks = kinds.iter().filter_map(|text| {
            let mut parts = text.split('/');
            Some((parts.next()?, parts.next()?, parts.next()?))
        });
        // An option kind has one in every group version: a document tells of its own.
        let own = |group: &str, version: &str| match self.scope {
            Some(scope) if everywhere => (group, version) == ("", "v1") || (group, version) == scope,
            // Of custom resources upstream tells what its clients' scheme knows.
            None if everywhere && self.form == Form::V3 => !SERVERS_OWN.contains(&group),
            _ => true,
        };
        gvks.filter(|(group, version, _)| own(group, version))
            .map(|(group, version, kind)| gvk_value(&Gvk::new(group, version, kind)))
            .collect()
    }

    fn property(&mut self, t: &Type, field: &Field) -> Value {
        let mut property = self.shape(&field.shape);
        if !field.values.is_empty() {
            innermost(&mut property).insert("enum".to_owned(), json!(field.values));
        }
        let described = self.description(&t.name, &field.name);
        let Value::Object(map) = &mut property else { return property };
        if self.form == Form::V3 {
            let default = if field.zero_default { zero(&field.shape) } else { field.default.clone() };
            // A reference stands alone where nothing is said beside it: upstream has fields without a word.
            if default.is_some() || described.is_some() || self.descriptions.is_none() {
                wrap_reference(map);
            }
            map.extend(default.map(|d| ("default".to_owned(), d)));
        }
        map.extend(described);
        let mut set = |key: &str, value: Value| drop(map.insert(format!("x-kubernetes-{key}"), value));
        if let Some(list_type) = field.list_type {
            set("list-type", json!(list_type.word()));
        }
        if !field.map_keys.is_empty() {
            set("list-map-keys", json!(field.map_keys));
        }
        if !field.map_type.is_empty() {
            set("map-type", json!(field.map_type));
        }
        if !field.patch_strategy.is_empty() {
            set("patch-strategy", json!(field.patch_strategy));
        }
        if !field.patch_merge_key.is_empty() {
            set("patch-merge-key", json!(field.patch_merge_key));
        }
        property
    }

    /// The schema of an element of a list or map, with its default.
    fn element(&mut self, shape: &Shape) -> Value {
        let mut element = self.shape(shape);
        if self.form == Form::V3
            && let Value::Object(map) = &mut element
            && let Some(default) = element_default(shape)
        {
            wrap_reference(map);
            map.insert("default".to_owned(), default);
        }
        element
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        let v3 = self.form == Form::V3;
        match &shape.kind {
            Kind::String => json!({"type": "string"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 | Kind::Int => json!({"type": "integer", "format": "int32"}),
            Kind::Int64 => json!({"type": "integer", "format": "int64"}),
            Kind::Float => json!({"type": "number", "format": "double"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Time => self.special(META, "Time", json!({"type": "string", "format": "date-time"})),
            Kind::MicroTime => self.special(META, "MicroTime", json!({"type": "string", "format": "date-time"})),
            Kind::FieldsV1 => self.special(META, "FieldsV1", json!({"type": "object"})),
            Kind::Raw => self.special("io.k8s.apimachinery.pkg.runtime", "RawExtension", json!({"type": "object"})),
            Kind::Quantity => {
                let v3_form = json!({"oneOf": [{"type": "string"}, {"type": "number"}]});
                let form = if v3 { v3_form } else { json!({"type": "string"}) };
                self.special("io.k8s.apimachinery.pkg.api.resource", "Quantity", form)
            }
            Kind::IntOrString => {
                let v3_form = json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]});
                let form = if v3 { v3_form } else { json!({"type": "string", "format": "int-or-string"}) };
                self.special("io.k8s.apimachinery.pkg.util.intstr", "IntOrString", form)
            }
            Kind::Json => self.special(EXTENSIONS, "JSON", json!({})),
            Kind::SchemaOrArray(_) => self.special(EXTENSIONS, "JSONSchemaPropsOrArray", json!({})),
            Kind::SchemaOrBool(_) => self.special(EXTENSIONS, "JSONSchemaPropsOrBool", json!({})),
            Kind::SchemaOrStrings(_) => self.special(EXTENSIONS, "JSONSchemaPropsOrStringArray", json!({})),
            Kind::Struct(t) => self.refer(t),
            Kind::List { item, .. } => json!({"type": "array", "items": self.element(item)}),
            Kind::Map { value, .. } => json!({"type": "object", "additionalProperties": self.element(value)}),
        }
    }
}

/// By which fields objects are selected.
fn select(definition: &mut Value, fields: &[String]) {
    if !fields.is_empty() {
        definition["x-kubernetes-selectable-fields"] = fields.iter().map(|field| json!({"fieldPath": field})).collect();
    }
}

fn set(schema: &mut Value, description: Option<Value>) {
    if let (Value::Object(map), Some(text)) = (schema, description) {
        map.insert("description".to_owned(), text);
    }
}

/// A group, version and kind as an extension shows them.
pub fn gvk_value(gvk: &Gvk) -> Value {
    json!({"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind})
}

/// The schema of a scalar, or of the elements of a list or map of scalars.
fn innermost(schema: &mut Value) -> &mut Map<String, Value> {
    let below = ["items", "additionalProperties"].into_iter().find(|name| schema.get(*name).is_some());
    match (below, schema) {
        (Some(name), schema) => innermost(&mut schema[name]),
        (None, Value::Object(map)) => map,
        (None, _) => unreachable!("a schema is an object"),
    }
}

/// v3 forbids anything beside `$ref`.
fn wrap_reference(map: &mut Map<String, Value>) {
    if let Some(reference) = map.remove("$ref") {
        map.insert("allOf".to_owned(), json!([{"$ref": reference}]));
    }
}

/// The same for an element; upstream publishes none for types with a JSON form of their own.
fn element_default(shape: &Shape) -> Option<Value> {
    let own_form = matches!(shape.kind, Kind::Time | Kind::MicroTime | Kind::Quantity | Kind::IntOrString | Kind::Raw | Kind::FieldsV1);
    if own_form { None } else { zero(shape) }
}

/// The default that upstream publishes for a value that is no pointer.
fn zero(shape: &Shape) -> Option<Value> {
    match shape.kind {
        Kind::String => Some(json!("")),
        Kind::Bool => Some(json!(false)),
        Kind::Int32 | Kind::Int64 | Kind::Int | Kind::Float => Some(json!(0)),
        Kind::List { .. } | Kind::Map { .. } | Kind::Bytes => None,
        Kind::Json | Kind::SchemaOrArray(_) | Kind::SchemaOrBool(_) | Kind::SchemaOrStrings(_) => None,
        _ => Some(json!({})),
    }
}
