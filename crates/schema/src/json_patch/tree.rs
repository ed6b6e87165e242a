//! Documents that are opened only where operations go. What nobody opened is text, and is printed as it was written:
//! that is how upstream's library shows and compares it.
//!
//! All nodes lie in one list and name each other by number: however deep moves build a document, it is let go without
//! recursion.

use std::collections::BTreeMap;
use std::mem;

use bytes::Bytes;
use meta::limits;

use super::Error;
use crate::decode::{Cursor, Syntax, TOO_DEEP};
use crate::encode;

/// The number of a node.
pub type Id = u32;
/// What a map or list holds: `None` is a null that the document had.
pub type Slot = Option<Id>;
type Result<T> = std::result::Result<T, Error>;

/// A piece of one of the texts.
#[derive(Clone, Copy)]
pub struct Span {
    text: u32,
    start: u32,
    end: u32,
}

enum Node {
    /// A null that an operation brought. Upstream tells it from one that the document had.
    Null,
    /// Not opened.
    Text(Span),
    Map(BTreeMap<String, Slot>),
    List(Box<imbl::Vector<Slot>>),
    /// The text `null` after it was opened: a map that nothing can be added to.
    NoMap,
}

/// What a text is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Map,
    List,
    Null,
    Scalar,
}

/// Documents and values of one patch.
#[derive(Default)]
pub struct Tree {
    texts: Vec<Bytes>,
    nodes: Vec<Node>,
}

/// Moves can build a document that is deeper than any text: what is recursive ends here.
fn check(depth: usize) -> Result<()> {
    if depth > limits::NESTING_AROUND { Err(Error::Refused(TOO_DEEP.to_owned())) } else { Ok(()) }
}

fn small(size: usize) -> Result<u32> {
    u32::try_from(size).map_err(|_| Error::Refused("too large".to_owned()))
}

impl Tree {
    /// A text, without the spaces before it.
    pub fn text(&mut self, text: Bytes) -> Result<Span> {
        let start = text.len() - text.trim_ascii_start().len();
        let span = Span { text: small(self.texts.len())?, start: small(start)?, end: small(text.len())? };
        self.texts.push(text);
        Ok(span)
    }

    /// The bytes of a piece.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.texts[span.text as usize][span.start as usize..span.end as usize]
    }

    /// A value that an operation brings.
    pub fn node(&mut self, value: Option<Span>) -> Result<Id> {
        self.push(value.map_or(Node::Null, Node::Text))
    }

    fn push(&mut self, node: Node) -> Result<Id> {
        self.nodes.push(node);
        small(self.nodes.len() - 1)
    }

    fn at(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    fn sort(&self, span: Span) -> Sort {
        match self.bytes(span).first() {
            Some(b'{') => Sort::Map,
            Some(b'[') => Sort::List,
            Some(b'n') => Sort::Null,
            _ => Sort::Scalar,
        }
    }

    /// The entries of a text that is a map.
    pub fn entries(&self, span: Span) -> Result<Vec<(String, Option<Span>)>> {
        let bytes = self.bytes(span);
        let mut cursor = Cursor::new(bytes, limits::NESTING_DROPPED);
        let mut entries = Vec::new();
        cursor.open()?;
        while let Some(key) = cursor.key(entries.is_empty())? {
            entries.push((key, self.value(&mut cursor, span)?));
        }
        Ok(entries)
    }

    /// The items of a text that is a list.
    pub fn items(&self, span: Span) -> Result<Vec<Option<Span>>> {
        let bytes = self.bytes(span);
        let mut cursor = Cursor::new(bytes, limits::NESTING_DROPPED);
        let mut items = Vec::new();
        cursor.open()?;
        while cursor.element(items.is_empty())? {
            items.push(self.value(&mut cursor, span)?);
        }
        Ok(items)
    }

    /// The piece of the next value; `None` for null.
    fn value(&self, cursor: &mut Cursor, within: Span) -> Result<Option<Span>> {
        let null = cursor.peek() == Some(b'n');
        let start = cursor.position();
        cursor.skip()?;
        let at = |offset: usize| small(within.start as usize + offset);
        let span = Span { start: at(start)?, end: at(cursor.position())?, ..within };
        Ok((!null).then_some(span))
    }

    fn child(&mut self, value: Option<Span>) -> Result<Slot> {
        value.map(|span| self.push(Node::Text(span))).transpose()
    }

    /// Opens a map; `false` if it is none.
    pub fn open_map(&mut self, id: Id) -> Result<bool> {
        let Node::Text(span) = *self.at(id) else { return Ok(matches!(self.at(id), Node::Map(_) | Node::NoMap)) };
        let opened = match self.sort(span) {
            Sort::Map => {
                let entries = self.entries(span)?.into_iter();
                let children = entries.map(|(key, value)| Ok((key, self.child(value)?)));
                Node::Map(children.collect::<Result<_>>()?)
            }
            Sort::Null => Node::NoMap,
            _ => return Ok(false),
        };
        self.nodes[id as usize] = opened;
        Ok(true)
    }

    /// Opens a list; `false` if it is none.
    pub fn open_list(&mut self, id: Id) -> Result<bool> {
        let Node::Text(span) = *self.at(id) else { return Ok(matches!(self.at(id), Node::List(_))) };
        if self.sort(span) != Sort::List {
            return Ok(false);
        }
        let items = self.items(span)?.into_iter();
        let children: imbl::Vector<Slot> = items.map(|value| self.child(value)).collect::<Result<_>>()?;
        self.nodes[id as usize] = Node::List(Box::new(children));
        Ok(true)
    }

    /// Opens what operations can go into.
    pub fn open(&mut self, id: Id) -> Result<bool> {
        Ok(self.open_list(id)? || self.open_map(id)?)
    }

    /// What a map or list has under a key. A map has null under every other key.
    pub fn get(&self, id: Id, key: &str) -> Result<Slot> {
        match self.at(id) {
            Node::Map(map) => Ok(map.get(key).copied().flatten()),
            Node::List(list) => Ok(list.get(index(key, list.len(), list.len())?).copied().flatten()),
            _ => Ok(None),
        }
    }

    /// Puts a value in the place of another one, or under a new key of a map.
    pub fn set(&mut self, id: Id, key: String, value: Slot) -> Result<()> {
        match &mut self.nodes[id as usize] {
            Node::Map(map) => drop(map.insert(key, value)),
            Node::List(list) => {
                let at = index(&key, list.len(), list.len())?;
                list.set(at, value);
            }
            _ => return Err(Error::Refused("nothing can be set in null".to_owned())),
        }
        Ok(())
    }

    /// Adds a value: before an item of a list, or at its end.
    pub fn add(&mut self, id: Id, key: String, value: Slot) -> Result<()> {
        match &mut self.nodes[id as usize] {
            Node::List(list) if key == "-" => list.push_back(value),
            Node::List(list) => {
                let places = list.len() + 1;
                list.insert(index(&key, places, places)?, value);
            }
            _ => return self.set(id, key, value),
        }
        Ok(())
    }

    /// Takes a value out.
    pub fn remove(&mut self, id: Id, key: &str) -> Result<()> {
        match &mut self.nodes[id as usize] {
            Node::Map(map) if map.contains_key(key) => drop(map.remove(key)),
            Node::List(list) => drop(list.remove(index(key, list.len(), list.len())?)),
            _ => return Err(Error::Refused(format!("Unable to remove nonexistent key: {key}: missing value"))),
        }
        Ok(())
    }

    /// Whether two values are the same. Scalars are compared as they are written.
    pub fn equal(&mut self, left: Id, right: Id) -> Result<bool> {
        self.equal_at(left, right, 1)
    }

    fn equal_at(&mut self, left: Id, right: Id, depth: usize) -> Result<bool> {
        check(depth)?;
        let composite = self.open(left)?;
        if !composite {
            return Ok(match (self.at(left), self.at(right)) {
                (Node::Text(a), Node::Text(b)) => self.bytes(*a) == self.bytes(*b),
                (a, b) => matches!((a, b), (Node::Null, Node::Null)),
            });
        }
        let alike = match self.at(left) {
            Node::List(_) => self.open_list(right)?,
            _ => self.open_map(right)?,
        };
        if !alike {
            return Ok(false);
        }
        match (self.at(left), self.at(right)) {
            (Node::List(a), Node::List(b)) if a.len() == b.len() => {
                let (a, b) = ((**a).clone(), (**b).clone());
                self.all_equal(a.into_iter().zip(b), depth)
            }
            (Node::Map(a), Node::Map(b)) if a.len() == b.len() && a.keys().eq(b.keys()) => {
                let pairs: Vec<(Slot, Slot)> = a.values().copied().zip(b.values().copied()).collect();
                self.all_equal(pairs, depth)
            }
            (Node::NoMap, Node::Map(other)) => Ok(other.is_empty()),
            _ => Ok(false),
        }
    }

    fn all_equal(&mut self, pairs: impl IntoIterator<Item = (Slot, Slot)>, depth: usize) -> Result<bool> {
        for pair in pairs {
            let same = match pair {
                (Some(a), Some(b)) => self.equal_at(a, b, depth + 1)?,
                (a, b) => a.is_none() && b.is_none(),
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A value as text, without spaces, HTML escaped: maps that were opened have their keys sorted.
    pub fn print(&self, id: Id) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.write(id, 1, &mut out)?;
        Ok(out)
    }

    fn write(&self, id: Id, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        check(depth)?;
        let child = |slot: &Slot, out: &mut Vec<u8>| match slot {
            Some(id) => self.write(*id, depth + 1, out),
            None => {
                out.extend_from_slice(b"null");
                Ok(())
            }
        };
        match self.at(id) {
            Node::Null | Node::NoMap => out.extend_from_slice(b"null"),
            Node::Text(span) => compact(self.bytes(*span), out),
            Node::Map(map) => {
                out.push(b'{');
                for (at, (key, slot)) in map.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    encode::string(out, key);
                    out.push(b':');
                    child(slot, out)?;
                }
                out.push(b'}');
            }
            Node::List(list) => {
                out.push(b'[');
                for (at, slot) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    child(slot, out)?;
                }
                out.push(b']');
            }
        }
        Ok(())
    }
}

impl From<Syntax> for Error {
    fn from(Syntax(why): Syntax) -> Self {
        Error::Malformed(why)
    }
}

/// The place in a list that a key means: any whole number as Go's `strconv.Atoi` reads it, negative ones from the end.
fn index(key: &str, places: usize, end: usize) -> Result<usize> {
    let wrong = || Error::Refused(format!("Unable to access invalid index: {key}: invalid index referenced"));
    let asked: i64 = key.parse().map_err(|_| wrong())?;
    let from_end = usize::try_from(asked.unsigned_abs()).ok().and_then(|back| end.checked_sub(back));
    let at = if asked < 0 { from_end } else { usize::try_from(asked).ok() };
    at.filter(|at| *at < places).ok_or_else(wrong)
}

/// JSON without the spaces between its tokens, and with HTML escaped in its strings, as Go prints text that it holds.
fn compact(text: &[u8], out: &mut Vec<u8>) {
    let (mut inside, mut escaped) = (false, false);
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' if !inside => continue,
            b'"' if !escaped => inside = !inside,
            b'<' | b'>' | b'&' => {
                out.extend_from_slice(match byte {
                    b'<' => b"\\u003c",
                    b'>' => b"\\u003e",
                    _ => b"\\u0026",
                });
                escaped = false;
                continue;
            }
            0xe2 if matches!(rest, [0x80, 0xa8 | 0xa9, ..]) => {
                out.extend_from_slice(if rest[1] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                rest = &rest[2..];
                continue;
            }
            _ => {}
        }
        escaped = inside && *byte == b'\\' && !mem::take(&mut escaped);
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_go_reads_them() {
        for (key, places, at) in [("0", 2, Some(0)), ("00", 2, Some(0)), ("+1", 2, Some(1)), ("-1", 2, Some(1)), ("-0", 2, Some(0)), ("-2", 2, Some(0)), ("-3", 2, None), ("2", 2, None), ("", 2, None), ("1_0", 20, None), ("9223372036854775808", 2, None)] {
            assert_eq!(index(key, places, places).ok(), at, "{key}");
        }
    }

    #[test]
    fn text_is_printed_without_spaces_and_safe_in_html() {
        let mut out = Vec::new();
        compact("{ \"a b\\\" \" :\t[1 , \"<&>\u{2028}\"] }".as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), r#"{"a b\" ":[1,"\u003c\u0026\u003e\u2028"]}"#);
    }
}
