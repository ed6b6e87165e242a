//! What every object has, whether its schema says so or not: kind and version, and of its metadata the name. Expressions see
//! nothing else of the metadata (upstream: `apiserver/schema/cel/model`, `WithTypeAndObjectMeta`).

use std::sync::{Arc, LazyLock};

use schema::structural::{Formats, Node, root};
use serde_json::json;

/// The schema of what every object has.
static COMMON: LazyLock<Arc<Node>> = LazyLock::new(|| {
    let text = json!({"type": "string"});
    let metadata = json!({"type": "object", "properties": {"name": text, "generateName": text}});
    let schema = json!({"type": "object", "properties": {"apiVersion": text, "kind": text, "metadata": metadata}});
    match schema.as_object().map(|schema| root(schema, Formats::OfObjects)) {
        Some(Ok(node)) => node,
        _ => unreachable!("the schema is a structural one"),
    }
});

const NAMES: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Whether the schema itself says of all of them what they are.
fn is_whole(node: &Node) -> bool {
    let is = |node: Option<&Arc<Node>>, word: &str| node.is_some_and(|node| node.word == word);
    let metadata = node.property("metadata");
    let in_metadata = |name: &str| is(metadata.and_then(|metadata| metadata.property(name)), "string");
    is(node.property("kind"), "string")
        && is(node.property("apiVersion"), "string")
        && is(metadata, "object")
        && in_metadata("name")
        && in_metadata("generateName")
}

/// The properties that expressions know; `resource`: whether it is an object with kind and metadata.
pub fn properties(node: &Node, resource: bool) -> impl Iterator<Item = (&str, &Arc<Node>)> {
    let common = resource && !is_whole(node);
    let own = node.properties().filter(move |(name, _)| !common || !NAMES.contains(name));
    own.chain(COMMON.properties().filter(move |_| common))
}

/// What is known of one of them.
pub fn property<'n>(node: &'n Node, resource: bool, name: &str) -> Option<&'n Arc<Node>> {
    if resource && NAMES.contains(&name) && !is_whole(node) { COMMON.property(name) } else { node.property(name) }
}

/// Whether any is known.
pub fn has_properties(node: &Node, resource: bool) -> bool {
    resource || node.properties().next().is_some()
}
