//! What is different where a structural schema describes the document: every form is taken and looked at later, null is a
//! value where the schema lets it be one, and the metadata of objects is read as the built-in type is.

use std::collections::BTreeSet;

use meta::{field, limits};
use serde_json::{Map, Value};

use super::path::Path;
use super::scan::{Cursor, Syntax};
use super::{MAX_STRICT, Seen, Step, Walk, push_strict};
use crate::model::{Field, Kind, Others, Shape, Type, TypeRef};
use crate::structural::{Node, shown};

/// Unknown fields by where upstream finds them, each list in the order of the alphabet.
#[derive(Default)]
pub struct Unknown {
    /// In the metadata of the document.
    metadata: BTreeSet<String>,
    /// In what the schema describes.
    described: BTreeSet<String>,
    /// In the metadata of objects within it.
    embedded: BTreeSet<String>,
}

impl Unknown {
    fn add(&mut self, path: &Path, key: &str) {
        let (set, text) = match path.in_metadata() {
            None => (&mut self.described, path.strict(key)),
            Some(true) => (&mut self.metadata, path.strict(key)),
            Some(false) => (&mut self.embedded, path.below_metadata(key)),
        };
        if set.len() < MAX_STRICT {
            set.insert(text);
        }
    }
}

/// A tree that was read by a node.
pub struct Opened {
    /// What is left of it.
    pub value: Value,
    /// Whether there were fields that the schema does not know.
    pub pruned: bool,
    /// What is wrong with the kind or the metadata of an object in it.
    pub error: Option<field::Error>,
}

/// Reads a tree by a node of a structural schema: drops what is unknown, and reads the metadata of objects. `drops`: what
/// is wrong with kind and metadata is dropped, too.
pub fn tree(node: &Node, value: &Value, path: &field::Path, drops: bool) -> Opened {
    // Whole doubles are none after they were printed as by Go.
    let text = value.to_string();
    let mut walk = Walk::new(text.as_bytes(), limits::NESTING_STORED);
    walk.keeps_null = true;
    walk.drops = drops;
    walk.prefix = path.clone();
    let value = match walk.open(node, &Path::root()) {
        Ok(value) => value,
        Err(Syntax(why)) => {
            let error = Some(field::Error::invalid(path, "", why));
            return Opened { value: Value::Null, pruned: false, error };
        }
    };
    let error = walk.coerced.take();
    Opened { value, pruned: !walk.unknown.described.is_empty(), error }
}

/// Whether null stays where a value of this shape is in a map.
pub fn keeps_null(shape: &Shape) -> bool {
    shape.node.as_deref().is_none_or(Node::keeps_null)
}

impl Walk<'_> {
    /// What was odd, in upstream's order.
    pub(super) fn found(self) -> Vec<String> {
        let Unknown { metadata, described, embedded } = self.unknown;
        let unknown = [metadata, described, embedded].into_iter().flatten();
        let mut all = self.strict;
        all.extend(unknown.map(|path| format!("unknown field \"{path}\"")));
        all
    }

    pub(super) fn unknown_field(&mut self, owner: &Type, path: &Path, key: &str) {
        if owner.structural || path.in_metadata().is_some() {
            self.unknown.add(path, key);
        } else {
            self.report("unknown field", &path.strict(key));
        }
    }

    /// A key that is no field.
    pub(super) fn other(&mut self, owner: &Type, key: String, path: &Path, seen: &mut Seen, map: &mut Map<String, Value>) -> Step<()> {
        if !owner.structural {
            self.unknown_field(owner, path, &key);
            // What is read of a custom resource was read as a tree before: there may be anything twice in it.
            return if self.rooted { self.any(&path.key(&key)).map(drop) } else { self.cursor.skip() };
        }
        if !seen.others.insert(key.clone()) {
            self.report("duplicate field", &path.strict(&key));
        }
        let value = match &owner.others {
            Others::Unknown => {
                self.unknown_field(owner, path, &key);
                return self.any(&path.key(&key)).map(drop);
            }
            Others::Kept => self.any(&path.key(&key))?,
            Others::Each(shape) => {
                let value = self.value(shape, &path.key(&key), &mut None)?.unwrap_or(Value::Null);
                if value.is_null() && !self.keeps_null && !keeps_null(shape) {
                    map.remove(&key);
                    return Ok(());
                }
                value
            }
        };
        map.insert(key, value);
        Ok(())
    }

    /// Any value, with what is in it twice.
    pub(super) fn any(&mut self, path: &Path) -> Step<Value> {
        let strict = &mut self.strict;
        let mut report = |at: &Path, key: &str| push_strict(strict, "duplicate field", &at.strict(key));
        self.cursor.any(path, &mut report)
    }

    /// A value by a node: its form is the document's.
    pub(super) fn open(&mut self, node: &Node, path: &Path) -> Step<Value> {
        match self.cursor.peek() {
            Some(b'{') => self.object(&node.fields, path, &mut None).map(Value::Object),
            Some(b'[') => self.list(node.items(), path, &mut None),
            _ => self.any(path),
        }
    }

    /// A field of a map that a structural schema describes; `None` if it is null and null is no value.
    pub(super) fn open_field(&mut self, owner: &Type, field: &Field, path: &Path) -> Step<Option<Value>> {
        let at = path.field(owner, field);
        let resource = owner.field("metadata").is_some_and(|(_, field)| is_metadata(field));
        if resource && matches!(&*field.name, "apiVersion" | "kind") {
            let value = self.any(&at)?;
            if !value.is_string() && self.drops {
                return Ok(None);
            }
            if !value.is_string() {
                self.coerce(&at, &value, "must be a string".to_owned());
            }
            return Ok(Some(value));
        }
        if is_metadata(field) {
            return self.metadata(&field.shape, &at).map(Some);
        }
        let value = self.value(&field.shape, &at, &mut None)?.unwrap_or(Value::Null);
        Ok(Some(value).filter(|value| !value.is_null() || self.keeps_null || keeps_null(&field.shape)))
    }

    /// The metadata of an object. What is wrong with it is the document's own error only at its root.
    fn metadata(&mut self, shape: &Shape, at: &Path) -> Step<Value> {
        let own = self.rooted && at.in_metadata() == Some(true);
        let before = (self.error.take(), self.fatal.take());
        let from = self.cursor.position();
        let value = self.value(shape, at, &mut None)?.unwrap_or_else(|| Value::Object(Map::new()));
        let wrong = self.fatal.take().or(self.error.take());
        (self.error, self.fatal) = before;
        if let Some(why) = wrong.filter(|_| !self.drops) {
            if own {
                self.error.get_or_insert(why);
            } else {
                let mut again = Cursor::new(&self.cursor.bytes[from..self.cursor.position()], limits::NESTING_STORED);
                let sent = again.any(&Path::root(), &mut |_, _| {})?;
                self.coerce(at, &sent, why);
            }
        }
        Ok(value)
    }

    fn coerce(&mut self, at: &Path, value: &Value, why: String) {
        let path = at.of_errors(&self.prefix);
        self.coerced.get_or_insert_with(|| field::Error::invalid(&path, value.clone(), why).showing(shown(value)));
    }
}

fn is_metadata(field: &Field) -> bool {
    matches!(field.shape.kind, Kind::Struct(TypeRef::Builtin(_)))
}
