//! YAML as upstream reads it: turned into JSON first.

use std::cell::RefCell;
use std::fmt;

use meta::limits;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::{DuplicateKeyPolicy, Options};
use serde_saphyr::Spanned;

use super::scan::TOO_DEEP;

/// The reader needs less than this for one level, in bytes of stack.
const STACK_LEFT: usize = 256 << 10;
/// What it gets when there is less left.
const STACK_MORE: usize = 2 << 20;

/// The documents of a YAML stream; one that holds nothing but comments is no document.
pub fn documents(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = Some(text);
    let pieces = std::iter::from_fn(move || {
        let here = rest?;
        let mut at = 0;
        for line in here.split_inclusive('\n') {
            let end = line.trim_end();
            // The first line is where the piece before ended.
            if at > 0 && (end == "---" || end.starts_with("--- ")) {
                rest = Some(&here[at..]);
                return Some(&here[..at]);
            }
            at += line.len();
        }
        rest = None;
        Some(here)
    });
    pieces.filter(|piece| piece.lines().any(has_content))
}

fn has_content(line: &str) -> bool {
    let line = line.strip_prefix("---").unwrap_or(line).trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%') && line != "..."
}

/// One YAML document (the first of a stream) as a JSON tree, and what upstream says of keys that come twice. The last one counts.
/// The error is one sentence with line and column.
pub fn to_json(text: &str) -> Result<(Value, Vec<String>), String> {
    let mut options = Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.legacy_octal_numbers = true;
    options.with_snippet = false;
    // As deep and as much as JSON; the walk stops before, in our words. What aliases add is the reader's own limit.
    options.budget = serde_saphyr::budget! {
        max_depth: limits::NESTING_AROUND + 1,
        flow_nesting_limit: limits::NESTING_AROUND + 1,
        max_nodes: limits::BODY,
        max_events: 2 * limits::BODY,
    };
    let text = documents(text).next().unwrap_or("");
    let duplicates = RefCell::new(Vec::new());
    let seed = Tree { duplicates: &duplicates, depth: 0 };
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |de| seed.deserialize(de))
        .map_err(|e| format!("yaml: {}", in_upstream_form(&e.to_string())))?;
    let lines = duplicates.into_inner();
    let strict = match lines.is_empty() {
        true => Vec::new(),
        false => vec![format!("yaml: unmarshal errors:\n{}", lines.join("\n"))],
    };
    Ok((value, strict))
}

/// `text at line 1, column 5` as `line 1: text`.
fn in_upstream_form(error: &str) -> String {
    let line = error.lines().next().unwrap_or(error);
    match line.rsplit_once(" at line ") {
        Some((text, place)) => format!("line {}: {text}", place.split(',').next().unwrap_or(place)),
        None => line.to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Tree<'a> {
    duplicates: &'a RefCell<Vec<String>>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        stacker::maybe_grow(STACK_LEFT, STACK_MORE, || deserializer.deserialize_any(self))
    }
}

impl Tree<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        // The walk is recursive.
        if self.depth >= limits::NESTING_AROUND {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(Tree { depth: self.depth + 1, ..self })
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<Spanned<Key>>()? {
            let line = key.referenced.line();
            let Key(name) = key.value;
            if map.contains_key(&name) {
                self.duplicates.borrow_mut().push(format!("  line {line}: key {name:?} already set in map"));
            }
            map.insert(name, access.next_value_seed(inner)?);
        }
        Ok(Value::Object(map))
    }
}

/// A key, printed as JSON prints it.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a scalar key")
            }

            fn visit_str<E>(self, v: &str) -> Result<Key, E> {
                Ok(Key(v.to_owned()))
            }

            fn visit_bool<E>(self, v: bool) -> Result<Key, E> {
                Ok(Key(v.to_string()))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Key, E> {
                Ok(Key(v.to_string()))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Key, E> {
                Ok(Key(v.to_string()))
            }

            fn visit_f64<E>(self, v: f64) -> Result<Key, E> {
                Ok(Key(v.to_string()))
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}
