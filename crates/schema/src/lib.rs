//! What fields a type has, and every walk over that knowledge: decode, report unknown and duplicate
//! fields, default, merge, encode, publish.
//!
//! Place in the straight line: `decode+default`, and the encoding at `commit`.
//!
//! Invariants: pure; the tables of built-in kinds and the schema of a custom resource ([`structural`]) are walked by
//! the same code; encoding writes fields in upstream's order.
//!
//! Must not know: the behaviour of any kind.

mod decode;
mod default;
mod encode;
mod foreign;
pub mod json_patch;
mod merge_patch;
pub mod go_yaml;
mod model;
pub mod openapi;
pub mod proto;
mod strategic;
pub mod structural;
mod table;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use meta::field::Errors;
use meta::{Gvk, Object};
use serde_json::{Map, Value};

pub use encode::plain as go_json;
pub use openapi::{ServedResource, ServedSubresource, openapi_v2, openapi_v2_proto, openapi_v3};
pub use foreign::foreign;
pub use merge_patch::merge as merge_patch;
pub use strategic::PatchError;
pub use decode::{kind_error, stored, tree as json_tree, word as go_word, yaml_documents, yaml_to_json};
pub use model::{Field, Kind, ListType, Name, Others, Shape, Type, TypeRef};

/// The fields of one kind. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema {
    gvk: Arc<Gvk>,
    root: TypeRef,
    /// Of a custom resource.
    node: Option<Arc<structural::Node>>,
    /// The same for those to whom it is published.
    published: Option<Arc<Published>>,
    /// Of what is published.
    fingerprint: u64,
}

/// What is published of a custom resource.
#[derive(Clone, Debug)]
struct Published {
    /// The schema as it was written.
    written: Map<String, Value>,
    /// What a list of it is called.
    list_kind: String,
    /// Fields by which objects are selected.
    selectable: Vec<String>,
}

/// A decoded document and what was odd in it.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The object, unknown fields dropped. Fields that are left out when empty are absent when they were
    /// null or empty, times are in UTC, quantities canonical: equal trees mean equal objects.
    pub object: Object,
    /// Unknown and duplicate fields, in upstream's wording without prefix: `unknown field "spec.x"`.
    pub strict_errors: Vec<String>,
}

/// A document that cannot be decoded at all; the message is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

impl Schema {
    /// The schema of a built-in kind; `None` if 1.36 has no such kind. `DeleteOptions` and the other
    /// option kinds exist in every group version.
    pub fn builtin(gvk: &Gvk) -> Option<Schema> {
        let row = table::builtin().kind(&format!("{}/{}/{}", gvk.group, gvk.version, gvk.kind))?;
        Some(Schema { gvk: Arc::new(gvk.clone()), root: TypeRef::Builtin(row), node: None, published: None, fingerprint: 0 })
    }

    /// The schema of a built-in type by its definition name, for example `io.k8s.api.core.v1.PodSpec`.
    pub fn definition(name: &str) -> Option<Schema> {
        let row = table::builtin().definition(name)?;
        let kinds = table::builtin().kinds(row);
        let mut parts = kinds.first().map_or("", String::as_str).split('/');
        let mut part = || parts.next().unwrap_or("");
        Some(Schema { gvk: Arc::new(Gvk::new(part(), part(), part())), root: TypeRef::Builtin(row), node: None, published: None, fingerprint: 0 })
    }

    /// The schema of a kind of that type.
    pub fn of(gvk: Gvk, root: Arc<Type>) -> Schema {
        Schema { gvk: Arc::new(gvk), root: TypeRef::Shared(root), node: None, published: None, fingerprint: 0 }
    }

    /// The schema of a kind made at run time: `schema` is a `JSONSchemaProps`. The error says why it is none that a kind can
    /// have, in upstream's words.
    pub fn structural(gvk: Gvk, schema: &Map<String, Value>) -> Result<Schema, String> {
        let node = structural::root(schema, structural::Formats::OfObjects)?;
        let published = Published { written: schema.clone(), list_kind: format!("{}List", gvk.kind), selectable: Vec::new() };
        let (gvk, root) = (Arc::new(gvk), TypeRef::Shared(node.fields.clone()));
        Ok(Schema { gvk, root, node: Some(node), published: Some(Arc::new(published)), fingerprint: fingerprint(schema) })
    }

    /// The schema of a custom resource with what is published beside it: what a list is called, and the fields by which
    /// objects are selected (`spec.size`).
    pub fn publishing(mut self, list_kind: &str, selectable: impl IntoIterator<Item = String>) -> Schema {
        if let Some(published) = &mut self.published {
            let published = Arc::make_mut(published);
            published.list_kind = list_kind.to_owned();
            published.selectable = selectable.into_iter().collect();
            self.fingerprint = fingerprint(&(self.fingerprint, &published.list_kind, &published.selectable));
        }
        self
    }

    /// What the schema of a custom resource says of the whole object; `None` for built-in kinds.
    pub fn node(&self) -> Option<&Arc<structural::Node>> {
        self.node.as_ref()
    }

    /// Another number for every schema of a custom resource, and for what is published beside it; zero for built-in kinds, whose fields never change.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Whether objects can be changed by a strategic merge patch: custom resources have no strategies, and such a patch is
    /// refused as an unsupported media type.
    pub fn has_patch_strategies(&self) -> bool {
        self.node.is_none()
    }

    /// What the schema of a custom resource has against an object, or against a change of one, in upstream's words. Names,
    /// labels and the like of the object itself are not looked at, and rules in CEL ([`structural::Node::rules`]) are the
    /// caller's. `judge` knows what metadata of objects within it must be like. Built-in kinds have rules of their own.
    /// `between` is said after what the schema demands, and before what is said of embedded objects and lists.
    pub fn validate(&self, new: &Object, old: Option<&Object>, between: Errors, judge: structural::Judge) -> Errors {
        let Some(node) = &self.node else { return Errors::new() };
        structural::validate(node, new.fields(), old.map(Object::fields), between, judge)
    }

    /// The same for a change of the status alone: the demands are those of its own schema.
    pub fn validate_status(&self, new: &Object, old: &Object, between: Errors) -> Errors {
        let Some(node) = &self.node else { return Errors::new() };
        structural::validate_status(node, new.fields(), old.fields(), between)
    }

    /// The kind that it describes.
    pub fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    /// Its fields.
    pub fn root(&self) -> &Type {
        self.root.get()
    }

    /// Decodes JSON.
    pub fn decode_json(&self, bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let (map, strict_errors) = decode::json(self.root(), bytes).map_err(DecodeError)?;
        Ok(Decoded { object: object(map), strict_errors })
    }

    /// Decodes one YAML document.
    pub fn decode_yaml(&self, bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            DecodeError(format!("yaml: invalid UTF-8 at byte {}", e.valid_up_to()))
        })?;
        let (value, mut strict_errors) = decode::yaml_to_json(text).map_err(DecodeError)?;
        let decoded = self.decode_value(&value)?;
        strict_errors.extend(decoded.strict_errors);
        Ok(Decoded { object: decoded.object, strict_errors })
    }

    /// Decodes a tree, for example the result of a patch. A tree has no duplicate fields.
    pub fn decode_value(&self, value: &Value) -> Result<Decoded, DecodeError> {
        self.decode_json(&encode::plain(value))
    }

    /// Decodes a tree as upstream does with the result of a strategic merge patch: numbers are fitted into their
    /// fields, and what is wrong is said in other words than of a document. A custom resource is a tree already.
    pub fn convert_value(&self, value: &Value) -> Result<Decoded, DecodeError> {
        if self.node.is_some() {
            return self.decode_value(value);
        }
        self.decode_value(value).or_else(|_| self.decode_value(&decode::fit(self.root(), value).map_err(DecodeError)?))
    }

    /// Sets the defaults that the schema itself has (a kind's own defaults are its rules' matter).
    pub fn default(&self, object: &mut Object) {
        default::apply(self.root(), object.fields_mut());
    }

    /// Applies a strategic merge patch. Unknown fields of the patch stay in the result: decode it with
    /// [`Schema::decode_value`] to find and drop them.
    pub fn strategic_merge(&self, original: &Object, patch: &Value) -> Result<Object, PatchError> {
        strategic::apply(self.root(), original.fields(), patch).map(object)
    }

    /// A strategic merge patch as upstream shows it after it was applied.
    pub fn spent_patch(&self, original: &Object, patch: &Value) -> Value {
        strategic::spent(self.root(), original.fields(), patch)
    }

    /// The strategic merge patch of client-side apply: gives `current` what `modified` has, and takes away
    /// what `original` (the configuration applied last) had and `modified` has no longer. An empty object
    /// means that nothing is to do.
    pub fn three_way_strategic(
        &self,
        original: &Object,
        modified: &Object,
        current: &Object,
    ) -> Result<Value, PatchError> {
        strategic::three_way(self.root(), original.fields(), modified.fields(), current.fields()).map(Value::Object)
    }

    /// Decodes protobuf in its envelope (`k8s\0`). [`proto::open`] tells the kind before.
    pub fn decode_proto(&self, bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let map = proto::read(self.root(), bytes).map_err(DecodeError)?;
        Ok(Decoded { object: object(map), strict_errors: Vec::new() })
    }

    /// Encodes as protobuf in its envelope; kind and version are those in the object. `None` if the kind
    /// has no protobuf form (custom resources, `Table`). [`proto::message`] leaves the envelope out.
    pub fn encode_proto(&self, object: &Object) -> Option<Bytes> {
        self.has_proto().then(|| proto::envelope(self.root(), object))
    }

    /// Whether the kind has a protobuf form.
    pub fn has_proto(&self) -> bool {
        matches!(self.root, TypeRef::Builtin(_)) && proto::has_form(self.root())
    }

    /// The numbers of the protobuf fields on a path of plain names that ends at a string (`spec.nodeName`). `None` if
    /// there is none.
    pub fn proto_path(&self, path: &str) -> Option<Vec<u32>> {
        let (mut numbers, mut shape) = (Vec::new(), Shape::of(Kind::Struct(self.root.clone())));
        for step in path.split('.') {
            let field = shape.fields()?.field(step)?.1;
            numbers.extend(&field.tags);
            shape = field.shape.clone();
        }
        (self.has_proto() && matches!(shape.kind, Kind::String)).then_some(numbers)
    }

    /// The part of an object at a path as messages name it (`spec.ports[0]`), in upstream's field order. `None` if the
    /// path leads nowhere, or the value is none that belongs there.
    pub fn encode_at(&self, path: &str, value: &Value) -> Option<String> {
        let mut shape = Shape::of(Kind::Struct(self.root.clone()));
        for step in path.split('.') {
            let (name, mut indexes) = step.split_once('[').unwrap_or((step, ""));
            shape = shape.fields()?.field(name)?.1.shape.clone();
            while !indexes.is_empty() {
                shape = match &shape.kind {
                    Kind::List { item, .. } => Shape::clone(item),
                    Kind::Map { value, .. } => Shape::clone(value),
                    _ => return None,
                };
                indexes = indexes.split_once('[').map_or("", |(_, rest)| rest);
            }
        }
        let known = match (value, shape.fields()) {
            (Value::Object(map), Some(t)) => map.keys().all(|name| t.field(name).is_some()),
            (Value::Array(_), None) => matches!(shape.kind, Kind::List { .. }),
            _ => false,
        };
        known.then(|| String::from_utf8(encode::part(&shape, value)).ok()).flatten()
    }

    /// Encodes in upstream's field order. With `splice` any `metadata.resourceVersion` is left out and the
    /// second value is the offset at which a decimal revision is to be inserted (inside the quotes).
    pub fn encode(&self, object: &Object, splice: bool) -> (Bytes, Option<usize>) {
        let (bytes, at) = encode::Writer::encode(self.root(), object.fields(), splice);
        (Bytes::from(bytes), at)
    }
}

fn fingerprint(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What a client is warned of when its document was odd: one line each of what the YAML decoder says in one error.
pub fn strict_warnings(errors: Vec<String>) -> Vec<String> {
    let split = |error: String| match error.strip_prefix("yaml: unmarshal errors:\n") {
        Some(lines) => lines.lines().map(|line| line.trim().to_owned()).collect(),
        None => vec![error],
    };
    errors.into_iter().flat_map(split).collect()
}

fn object(map: Map<String, Value>) -> Object {
    let mut object = Object::default();
    *object.fields_mut() = map;
    object
}
