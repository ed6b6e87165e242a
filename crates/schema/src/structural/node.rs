//! Reading a structural schema into the model.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use meta::field::Path;
use serde_json::Value;

use super::check::{Check, Formats};
use super::props::{self, Props};
use crate::decode;
use crate::model::{Field, Kind, ListType, Name, Others, Shape, Type, TypeRef};
use crate::table;

/// The metadata that every object has.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// What a structural schema says of one place, beside the form of the value.
#[derive(Debug)]
pub struct Node {
    /// What a map has here.
    pub fields: Arc<Type>,
    items: Arc<Shape>,
    /// Whether null is a value here. It also is where nothing is known.
    pub nullable: bool,
    /// Set where there is no value, or null where null is none.
    pub default: Option<Value>,
    /// Whether fields that are not known are kept.
    pub kept: bool,
    /// Whether an object of its own is here, with kind and metadata.
    pub embedded: bool,
    /// What a value is: `type`, or `int-or-string`; may be empty.
    pub word: Name,
    /// `type` as it is written.
    pub written: Name,
    /// `x-kubernetes-list-type`.
    pub list_type: Option<ListType>,
    /// `x-kubernetes-list-map-keys`.
    pub map_keys: Vec<Name>,
    /// `x-kubernetes-map-type`; may be empty.
    pub map_type: Name,
    /// `x-kubernetes-validations`: for those who have the language of expressions.
    pub rules: Vec<Rule>,
    /// What is demanded of values.
    pub check: Arc<Check>,
}

/// A rule in CEL (upstream: `ValidationRule`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The expression.
    pub rule: String,
    /// What is said where it does not hold; may be empty.
    pub message: String,
    /// The same as an expression; may be empty.
    pub message_expression: String,
    /// The sort of the error; may be empty.
    pub reason: String,
    /// The field that is named, as errors show it; empty if none is, or none that there is.
    pub field_path: String,
    /// Whether the rule is asked also where there is no old value.
    pub optional_old_self: Option<bool>,
}

/// What nothing is known of: of maps no key is kept.
static NOTHING: LazyLock<Arc<Node>> = LazyLock::new(|| Arc::new(Node::nothing()));
/// The elements of a list of which nothing is known.
static NO_ITEMS: LazyLock<Arc<Shape>> = LazyLock::new(|| Arc::new(Shape { node: Some(NOTHING.clone()), ..Shape::of(Kind::Json) }));
/// The elements of a list whose unknown fields are kept.
static ANY_ITEMS: LazyLock<Arc<Shape>> = LazyLock::new(|| Arc::new(Shape::of(Kind::Json)));

impl Node {
    fn nothing() -> Node {
        Node {
            fields: Arc::new(Type::structural(Vec::new(), Others::Unknown, false)),
            items: Arc::new(Shape::of(Kind::Json)),
            nullable: true,
            default: None,
            kept: false,
            embedded: false,
            word: Cow::Borrowed(""),
            written: Cow::Borrowed(""),
            list_type: None,
            map_keys: Vec::new(),
            map_type: Cow::Borrowed(""),
            rules: Vec::new(),
            check: Arc::new(Check::default()),
        }
    }

    /// Whether this is the place of which nothing is known.
    pub(crate) fn is_nothing(&self) -> bool {
        std::ptr::eq(self, &**NOTHING)
    }

    /// Whether null may stand here until defaults are set.
    pub(crate) fn keeps_null(&self) -> bool {
        self.nullable || self.default.is_some()
    }

    /// What the schema says of a property; `None` also where it does not know it.
    pub fn property(&self, name: &str) -> Option<&Arc<Node>> {
        self.fields.field(name)?.1.shape.node.as_ref()
    }

    /// The properties of which the schema says something.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Arc<Node>)> {
        self.fields.fields.iter().filter_map(|field| Some((&*field.name, field.shape.node.as_ref()?)))
    }

    /// The schema of all other values of a map (`additionalProperties`), if there is one.
    pub fn values(&self) -> Option<&Arc<Node>> {
        match &self.fields.others {
            Others::Each(shape) => shape.node.as_ref().filter(|node| !node.is_nothing()),
            _ => None,
        }
    }

    /// What an element of a list is here.
    pub fn items(&self) -> &Shape {
        if self.is_nothing() { &NO_ITEMS } else { &self.items }
    }

    /// The schema of elements, if there is one.
    pub fn element(&self) -> Option<&Arc<Node>> {
        self.items.node.as_ref().filter(|node| !node.is_nothing())
    }

    /// Whether there is a rule in CEL here, or anywhere below.
    pub fn has_rules(&self) -> bool {
        let below = self.element().into_iter().chain(self.values());
        !self.rules.is_empty() || below.chain(self.properties().map(|(_, node)| node)).any(|node| node.has_rules())
    }
}

/// Reads the schema of a kind: its objects have a kind and metadata, whether it says so or not.
/// Defaults are as they are set, or, where they are looked at themselves, as they are written.
pub fn root(schema: &Props, check: &Arc<Check>, formats: Formats) -> Result<Arc<Node>, String> {
    read(schema, check, Place { kept: false, resource: true, written: formats == Formats::OfDefaults })
}

#[derive(Clone, Copy)]
struct Place {
    /// Elements of a list whose unknown fields are kept.
    kept: bool,
    /// Whether an object is here, though the schema does not say so.
    resource: bool,
    /// Whether defaults are left as they are written.
    written: bool,
}

fn read(schema: &Props, check: &Arc<Check>, place: Place) -> Result<Arc<Node>, String> {
    let embedded = props::flag(schema, "x-kubernetes-embedded-resource");
    let kept = place.kept || props::flag(schema, "x-kubernetes-preserve-unknown-fields");
    let items = match (props::schema(schema, "items"), &check.items) {
        (Some(below), Some(check)) => Arc::new(shape(read(below, check, Place { kept, resource: false, ..place })?)),
        _ if kept => ANY_ITEMS.clone(),
        _ => NO_ITEMS.clone(),
    };
    let mut fields = Vec::new();
    for (name, below) in props::map(schema, "properties") {
        let Some(check) = check.properties.get(name) else { unreachable!("the checks were read from the same schema") };
        let node = read(below, check, Place { kept: false, resource: false, ..place })?;
        fields.push(field(name, node));
    }
    if embedded || place.resource {
        resource(&mut fields);
    }
    let others = match (&check.additional, props::schema(schema, "additionalProperties")) {
        (Some((_, Some(check))), Some(below)) => Others::Each(Arc::new(shape(read(below, check, Place { kept: false, resource: false, ..place })?))),
        (Some(_), _) => Others::Each(NO_ITEMS.clone()),
        (None, _) if kept => Others::Kept,
        (None, _) => Others::Unknown,
    };
    let map_type = props::text(schema, "x-kubernetes-map-type");
    let mut node = Node {
        fields: Arc::new(Type::structural(fields, others, map_type == "atomic")),
        items,
        nullable: props::flag(schema, "nullable"),
        default: props::value(schema, "default").cloned(),
        kept,
        embedded,
        word: Cow::Owned(word(schema).to_owned()),
        written: Cow::Owned(props::text(schema, "type").to_owned()),
        list_type: list_type(props::text(schema, "x-kubernetes-list-type")),
        map_keys: props::texts(schema, "x-kubernetes-list-map-keys").map(|key| Cow::Owned(key.to_owned())).collect(),
        map_type: Cow::Owned(map_type.to_owned()),
        rules: props::list(schema, "x-kubernetes-validations").map(|of| rule(of, schema)).collect(),
        check: check.clone(),
    };
    // What is unknown in a default is not set.
    if let Some(default) = node.default.as_ref().filter(|_| !place.written) {
        node.default = Some(decode::open(&node, default, &Path::default(), true).value);
    }
    Ok(Arc::new(node))
}

/// `type`, or the word for a number or a text.
fn word(schema: &Props) -> &str {
    if props::flag(schema, "x-kubernetes-int-or-string") { "int-or-string" } else { props::text(schema, "type") }
}

/// The form by which server-side apply, tables and documents know the values of a node.
fn shape(node: Arc<Node>) -> Shape {
    let kind = match (&*node.word, &node.fields.others) {
        ("string", _) => Kind::String,
        ("integer", _) => Kind::Int64,
        ("number", _) => Kind::Float,
        ("boolean", _) => Kind::Bool,
        ("int-or-string", _) => Kind::IntOrString,
        ("array", _) => Kind::List { item: node.items.clone(), wrapped: false },
        ("object", Others::Each(value)) if node.fields.fields.is_empty() => Kind::Map { key: Cow::Borrowed(""), value: value.clone() },
        ("object", _) => Kind::Struct(TypeRef::Shared(node.fields.clone())),
        _ => Kind::Json,
    };
    Shape { node: Some(node), ..Shape::of(kind) }
}

fn field(name: &str, node: Arc<Node>) -> Field {
    Field {
        pointer: true,
        default: node.default.clone(),
        list_type: node.list_type,
        map_keys: node.map_keys.clone(),
        map_type: node.map_type.clone(),
        ..Field::new(Cow::Owned(name.to_owned()), shape(node))
    }
}

/// Adds what an object has. Its metadata is read as the built-in type is, whatever the schema says of it.
fn resource(fields: &mut Vec<Field>) {
    let metadata = table::builtin().definition(METADATA).map(|row| Kind::Struct(TypeRef::Builtin(row)));
    let Some(metadata) = metadata else { unreachable!("the tables have the metadata of objects") };
    for (name, kind) in [("apiVersion", Kind::String), ("kind", Kind::String), ("metadata", metadata)] {
        match fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.shape.kind = kind,
            None => fields.push(Field { pointer: true, ..Field::new(Cow::Borrowed(name), Shape::of(kind)) }),
        }
    }
}

fn list_type(word: &str) -> Option<ListType> {
    [ListType::Atomic, ListType::Set, ListType::Map].into_iter().find(|of| of.word() == word)
}

/// A rule, and the schema that has it.
fn rule(rule: &Props, schema: &Props) -> Rule {
    let text = |name: &str| props::text(rule, name).to_owned();
    let path = Some(text("fieldPath")).filter(|path| !path.is_empty());
    let path = path.and_then(|path| Some(super::field_path(&path, schema, true).ok()?.0));
    Rule {
        rule: text("rule"),
        message: text("message"),
        message_expression: text("messageExpression"),
        reason: text("reason"),
        field_path: path.unwrap_or_default(),
        optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool),
    }
}
