//! The fields of a message by number: a field of an inlined struct lies in a message of its own.

use crate::model::Type;

/// One number of a message.
#[derive(Debug)]
pub enum Node {
    /// A field: its index in the type.
    Field(u32, usize),
    /// The fields of an inlined struct.
    Inline(u32, Vec<Node>),
}

impl Node {
    /// The number.
    pub fn number(&self) -> u32 {
        match self {
            Node::Field(number, _) | Node::Inline(number, _) => *number,
        }
    }
}

/// The numbers of a type in ascending order.
pub fn of(t: &Type) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (index, field) in t.fields.iter().enumerate() {
        place(&mut nodes, &field.tags, index);
    }
    nodes
}

fn place(nodes: &mut Vec<Node>, tags: &[u32], index: usize) {
    let Some((number, rest)) = tags.split_first() else { return };
    let at = nodes.partition_point(|n| n.number() < *number);
    if rest.is_empty() {
        return nodes.insert(at, Node::Field(*number, index));
    }
    if nodes.get(at).is_none_or(|n| n.number() != *number) {
        nodes.insert(at, Node::Inline(*number, Vec::new()));
    }
    if let Node::Inline(_, inner) = &mut nodes[at] {
        place(inner, rest, index);
    }
}
