//! The tree of an expression after its macros have been expanded: nodes in one vector, so that it is dropped without recursion.

use std::sync::Arc;

use crate::source::Source;

/// A node's place in its tree.
pub type Id = u32;

/// A constant in the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `1`, `-1`, `0x1F`
    Int(i64),
    /// `1u`
    Uint(u64),
    /// `1.0`
    Double(f64),
    /// `'a'`
    String(Arc<str>),
    /// `b'a'`
    Bytes(Arc<[u8]>),
}

/// What is looped over, and how what is found is gathered.
#[derive(Clone, Debug)]
pub struct Comprehension {
    /// The list or map.
    pub range: Id,
    /// The variable: an item of a list, a key of a map; with a second one, an index of a list.
    pub variable: Arc<str>,
    /// The second variable: an item of a list, a value of a map.
    pub second: Option<Arc<str>>,
    /// The variable in which results are gathered.
    pub accumulator: Arc<str>,
    /// What it begins with.
    pub init: Id,
    /// Whether to go on.
    pub condition: Id,
    /// What it becomes in each round.
    pub step: Id,
    /// What comes out at the end.
    pub result: Id,
}

/// A key, a field or an item, and whether it is left out when its value is none.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's expression.
    pub key: Id,
    /// The value's expression.
    pub value: Id,
    /// `?key: value`
    pub optional: bool,
    /// The colon's place.
    pub at: u32,
}

/// A field of a constructed object.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// The value's expression.
    pub value: Id,
    /// `?field: value`
    pub optional: bool,
    /// The colon's place.
    pub at: u32,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A constant.
    Literal(Literal),
    /// A name.
    Ident(Arc<str>),
    /// `operand.field`, or whether there is such a field.
    Select {
        /// What has the field.
        operand: Id,
        /// Its name.
        field: Arc<str>,
        /// `has(operand.field)`
        test: bool,
    },
    /// A call of a function, a method or an operator.
    Call {
        /// Its name; operators have upstream's names.
        function: Arc<str>,
        /// What a method is called on.
        target: Option<Id>,
        /// The arguments.
        args: Vec<Id>,
    },
    /// `[a, ?b]`
    List {
        /// The items.
        items: Vec<Id>,
        /// Which of them are optional.
        optional: Vec<bool>,
    },
    /// `{a: b}`
    Map(Vec<Entry>),
    /// `Type{field: value}`
    Struct {
        /// The type's name.
        name: Arc<str>,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// A loop.
    Comprehension(Box<Comprehension>),
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it is, in bytes.
    pub at: u32,
}

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Ast {
    /// Its text.
    pub source: Source,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// The outermost.
    pub root: Id,
}

impl Ast {
    /// A node.
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    /// What a node is.
    pub fn kind(&self, id: Id) -> &Kind {
        &self.node(id).kind
    }

    /// The name that a chain of selections spells.
    pub fn qualified_name(&self, id: Id) -> Option<String> {
        match self.kind(id) {
            Kind::Ident(name) => Some(name.to_string()),
            Kind::Select { operand, field, test: false } => Some(format!("{}.{field}", self.qualified_name(*operand)?)),
            _ => None,
        }
    }

    /// The nodes directly below one, in the order of the text.
    pub fn children(&self, id: Id) -> Vec<Id> {
        match self.kind(id) {
            Kind::Literal(_) | Kind::Ident(_) => Vec::new(),
            Kind::Select { operand, .. } => vec![*operand],
            Kind::Call { target, args, .. } => target.iter().chain(args).copied().collect(),
            Kind::List { items, .. } => items.clone(),
            Kind::Map(entries) => entries.iter().flat_map(|entry| [entry.key, entry.value]).collect(),
            Kind::Struct { fields, .. } => fields.iter().map(|field| field.value).collect(),
            Kind::Comprehension(c) => vec![c.range, c.init, c.condition, c.step, c.result],
        }
    }
}
