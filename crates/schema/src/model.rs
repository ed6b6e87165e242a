//! What is known of a type: the same model for built-in kinds and custom resources.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::proto::{Node, plan};
use crate::structural;
use crate::table;

/// A name: borrowed from the built-in table, or owned by a schema made at run time.
pub type Name = Cow<'static, str>;

/// A type with named fields.
#[derive(Debug)]
pub struct Type {
    /// Full definition name, for example `io.k8s.api.core.v1.PodSpec`.
    pub name: Name,
    /// Name of the Go struct, for error messages: `PodSpec`.
    pub go_name: Name,
    /// Whether upstream's OpenAPI documents have it.
    pub published: bool,
    /// Whether server-side apply takes it as one value (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
    /// `x-kubernetes-unions` as JSON: which fields exclude each other. Empty: none.
    pub unions: Name,
    /// Fields in the order in which they are encoded.
    pub fields: Vec<Field>,
    /// What holds for keys that are none of the fields.
    pub others: Others,
    /// Whether it is of a structural schema: a document's own forms and nulls are kept until it is validated, and keys
    /// are written in the order of the alphabet.
    pub structural: bool,
    /// Indexes into `fields`, by name.
    by_name: Vec<u16>,
    /// Fields by protobuf number, made at the first use.
    plan: OnceLock<Vec<Node>>,
}

impl Type {
    /// Makes a type; the order of the fields is the order of encoding.
    pub fn new(name: Name, published: bool, atomic: bool, fields: Vec<Field>) -> Type {
        let mut by_name: Vec<u16> = (0u16..).take(fields.len()).collect();
        by_name.sort_by(|a, b| fields[usize::from(*a)].name.cmp(&fields[usize::from(*b)].name));
        let go_name = match &name {
            Cow::Borrowed(n) => Cow::Borrowed(n.rsplit('.').next().unwrap_or(n)),
            Cow::Owned(n) => Cow::Owned(n.rsplit('.').next().unwrap_or(n).to_owned()),
        };
        Type {
            name,
            go_name,
            published,
            atomic,
            unions: Cow::Borrowed(""),
            fields,
            others: Others::Unknown,
            structural: false,
            by_name,
            plan: OnceLock::new(),
        }
    }

    /// Makes the type of a map in a custom resource.
    pub(crate) fn structural(fields: Vec<Field>, others: Others, atomic: bool) -> Type {
        let mut made = Type::new(Cow::Borrowed(""), true, atomic, fields);
        made.others = others;
        made.structural = true;
        made
    }

    /// Its fields in the order of the alphabet.
    pub fn sorted(&self) -> impl Iterator<Item = &Field> {
        self.by_name.iter().map(|at| &self.fields[usize::from(*at)])
    }

    /// Position and description of a field; names are case-sensitive.
    pub fn field(&self, name: &str) -> Option<(usize, &Field)> {
        let at = self.by_name.binary_search_by(|i| (*self.fields[usize::from(*i)].name).cmp(name)).ok()?;
        let index = usize::from(self.by_name[at]);
        Some((index, &self.fields[index]))
    }

    /// The fields by protobuf number.
    pub(crate) fn plan(&self) -> &[Node] {
        self.plan.get_or_init(|| plan::of(self))
    }
}

/// What holds for keys of a map that are no fields of its type.
#[derive(Clone, Debug)]
pub enum Others {
    /// They are unknown: dropped and reported.
    Unknown,
    /// They are kept as they are (`x-kubernetes-preserve-unknown-fields`).
    Kept,
    /// Each has a value of this shape (`additionalProperties`).
    Each(Arc<Shape>),
}

/// One field of a type.
#[derive(Debug)]
pub struct Field {
    /// JSON name.
    pub name: Name,
    /// What it holds.
    pub shape: Shape,
    /// A Go pointer: absent and zero differ.
    pub pointer: bool,
    /// Left out when empty (a struct that is no pointer never is).
    pub omitempty: bool,
    /// Left out when zero.
    pub omitzero: bool,
    /// Required by OpenAPI.
    pub required: bool,
    /// OpenAPI gives the zero value as default.
    pub zero_default: bool,
    /// A default that is not zero.
    pub default: Option<Value>,
    /// The values that upstream knows of a string, or of the elements of a list or map. Others are refused where kinds
    /// are validated. Empty: it is no enumeration.
    pub values: Vec<Name>,
    /// Protobuf number, after those of the messages that inline it. Empty: not in protobuf.
    pub tags: Vec<u32>,
    /// Go names of the structs that inline it, outermost first.
    pub embedded: Vec<Name>,
    /// `x-kubernetes-list-type`.
    pub list_type: Option<ListType>,
    /// `x-kubernetes-list-map-keys`.
    pub map_keys: Vec<Name>,
    /// `x-kubernetes-map-type` of the field itself: `atomic`, `granular`, or empty.
    pub map_type: Name,
    /// `x-kubernetes-patch-strategy`: `merge`, `replace`, `retainKeys`, or `merge,retainKeys`.
    pub patch_strategy: Name,
    /// `x-kubernetes-patch-merge-key`.
    pub patch_merge_key: Name,
}

impl Field {
    /// A field of which only name and shape matter.
    pub fn new(name: Name, shape: Shape) -> Field {
        Field {
            name,
            shape,
            pointer: false,
            omitempty: true,
            omitzero: false,
            required: false,
            zero_default: false,
            default: None,
            values: Vec::new(),
            tags: Vec::new(),
            embedded: Vec::new(),
            list_type: None,
            map_keys: Vec::new(),
            map_type: Cow::Borrowed(""),
            patch_strategy: Cow::Borrowed(""),
            patch_merge_key: Cow::Borrowed(""),
        }
    }

    /// Whether strategic merge patch merges it instead of replacing it.
    pub fn merges(&self) -> bool {
        self.patch_strategy.split(',').any(|s| s == "merge")
    }

    /// Whether a strategic merge patch says which keys of it stay.
    pub fn retains_keys(&self) -> bool {
        self.patch_strategy.split(',').any(|s| s == "retainKeys")
    }
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum ListType {
    Atomic,
    Set,
    Map,
}

impl ListType {
    /// Upstream's word.
    pub fn word(self) -> &'static str {
        match self {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        }
    }
}

/// The form of a value.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The form.
    pub kind: Kind,
    /// How Go prints the type, where the form does not say it: `v1.PullPolicy`.
    pub printed: Name,
    /// What a structural schema says beyond the form. `None` of what is built in.
    pub node: Option<Arc<structural::Node>>,
}

impl Shape {
    /// A shape without a name of its own.
    pub fn of(kind: Kind) -> Shape {
        Shape { kind, printed: Cow::Borrowed(""), node: None }
    }

    /// The node of a structural schema by which a document is read here: it takes any form, and is validated later. The
    /// metadata of a custom resource is read as the built-in type is.
    pub fn open(&self) -> Option<&structural::Node> {
        self.node.as_deref().filter(|_| !matches!(self.kind, Kind::Struct(TypeRef::Builtin(_))))
    }

    /// How Go prints the type.
    pub fn go_type(&self) -> String {
        if !self.printed.is_empty() {
            return self.printed.clone().into_owned();
        }
        match &self.kind {
            Kind::Struct(t) => {
                let t = t.get();
                let package = t.name.rsplit('.').nth(1).unwrap_or_default();
                format!("{package}.{}", t.go_name)
            }
            Kind::List { item, .. } => format!("[]{}", item.go_type()),
            Kind::Map { key, value } => {
                format!("map[{}]{}", if key.is_empty() { "string" } else { key }, value.go_type())
            }
            simple => simple.go_word().to_owned(),
        }
    }

    /// The type whose fields a value of this shape has.
    pub fn fields(&self) -> Option<&Type> {
        match &self.kind {
            Kind::Struct(t) => Some(t.get()),
            _ => None,
        }
    }
}

/// The forms that values have.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A string.
    String,
    /// A boolean.
    Bool,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits (Go's `int64`).
    Int64,
    /// An integer of 64 bits (Go's `int`).
    Int,
    /// A double.
    Float,
    /// Base64 in JSON.
    Bytes,
    /// `metav1.Time`.
    Time,
    /// `metav1.MicroTime`.
    MicroTime,
    /// `resource.Quantity`.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// Any object, kept as it is (`runtime.RawExtension`).
    Raw,
    /// `metav1.FieldsV1`.
    FieldsV1,
    /// Anything.
    Json,
    /// `JSONSchemaPropsOrArray`.
    SchemaOrArray(TypeRef),
    /// `JSONSchemaPropsOrBool`.
    SchemaOrBool(TypeRef),
    /// `JSONSchemaPropsOrStringArray`.
    SchemaOrStrings(TypeRef),
    /// A type with named fields.
    Struct(TypeRef),
    /// A list.
    List {
        /// Of what.
        item: Arc<Shape>,
        /// Protobuf has it as a message of its own.
        wrapped: bool,
    },
    /// A map with string keys.
    Map {
        /// How Go prints the type of its keys; empty for `string`.
        key: Name,
        /// Of what.
        value: Arc<Shape>,
    },
}

impl Kind {
    /// Whether null takes a value of this form away that was there, also where it is no pointer: what can be nil, and what
    /// has a decoder of its own that says so. (A quantity forgets its number then, but
    /// not the text that it was written as, if that was the shortest.)
    pub(crate) fn ends_with_null(&self) -> bool {
        let nil = matches!(self, Kind::Bytes | Kind::List { .. } | Kind::Map { .. } | Kind::Json);
        nil || matches!(self, Kind::Time | Kind::MicroTime)
    }

    /// What Go calls it.
    pub(crate) fn go_word(&self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Bool => "bool",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Int => "int",
            Kind::Float => "float64",
            Kind::Bytes => "[]uint8",
            Kind::Time => "v1.Time",
            Kind::MicroTime => "v1.MicroTime",
            Kind::Quantity => "resource.Quantity",
            Kind::IntOrString => "intstr.IntOrString",
            Kind::Raw => "runtime.RawExtension",
            Kind::FieldsV1 => "v1.FieldsV1",
            Kind::Json => "interface {}",
            Kind::SchemaOrArray(_) => "v1.JSONSchemaPropsOrArray",
            Kind::SchemaOrBool(_) => "v1.JSONSchemaPropsOrBool",
            Kind::SchemaOrStrings(_) => "v1.JSONSchemaPropsOrStringArray",
            Kind::Struct(_) => "struct",
            Kind::List { .. } => "slice",
            Kind::Map { .. } => "map",
        }
    }
}

/// A reference to a type.
#[derive(Clone, Debug)]
pub enum TypeRef {
    /// A row of the built-in table.
    Builtin(u32),
    /// Made at run time.
    Shared(Arc<Type>),
}

impl TypeRef {
    /// The type; a built-in one is parsed at its first use.
    pub fn get(&self) -> &Type {
        match self {
            TypeRef::Builtin(index) => table::builtin().get(*index),
            TypeRef::Shared(t) => t,
        }
    }
}
