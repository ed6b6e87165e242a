//! Objects within a custom resource (`x-kubernetes-embedded-resource`): each has a kind, and metadata that is right
//! (upstream: `apiserver/schema/objectmeta`).

use meta::field::{Errors, Path};
use serde_json::{Map, Value};

use super::Node;
use crate::model::{Others, Type};

/// Says what is wrong with the kind and the metadata of an object at a place. What is right is known where kinds are.
pub type Judge<'j> = &'j dyn Fn(&Path, &Map<String, Value>) -> Errors;

/// What is wrong with the objects within a value, and with the value itself if the node says that it is one.
pub fn validate(node: &Node, path: &Path, value: &Value, judge: Judge) -> Errors {
    let mut errors = Errors::new();
    below(Some(node), path, value, judge, &mut errors);
    errors
}

fn of_map(t: &Type, path: &Path, map: &Map<String, Value>, judge: Judge, errors: &mut Errors) {
    for (name, value) in map {
        match (t.field(name), &t.others) {
            (Some((_, field)), _) => below(field.shape.node.as_deref(), &path.child(name), value, judge, errors),
            (None, Others::Each(shape)) => below(shape.node.as_deref(), &path.key(name), value, judge, errors),
            (None, _) => {}
        }
    }
}

fn below(node: Option<&Node>, path: &Path, value: &Value, judge: Judge, errors: &mut Errors) {
    let Some(node) = node else { return };
    match value {
        Value::Object(map) => {
            if node.embedded {
                errors.extend(judge(path, map));
            }
            of_map(&node.fields, path, map, judge, errors);
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                below(node.element().map(|node| &**node), &path.index(index), value, judge, errors);
            }
        }
        _ => {}
    }
}
