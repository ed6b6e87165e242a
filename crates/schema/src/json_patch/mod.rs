//! JSON patch in the dialect of `gopkg.in/evanphx/json-patch.v4`, which upstream's API server uses and which is wider
//! than RFC 6902: an absent field of a map is null, indexes may be negative, `add` needs no value.
//!
//! Work and memory grow with the sizes of document and patch, and with nothing else: what `copy` adds is limited, lists
//! are trees, and a document that gets too deep is refused when it is printed.

mod tree;

use std::borrow::Cow;

use bytes::Bytes;
use meta::limits;

use crate::decode::Cursor;
use tree::{Id, Slot, Span, Tree};

/// Why a patch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no patch: 400.
    #[error("{0}")]
    Malformed(String),
    /// It has that many operations: 413.
    #[error("The allowed maximum operations in a JSON patch is {most}, got {0}", most = limits::PATCH_OPERATIONS)]
    TooMany(usize),
    /// It cannot be applied to the document: 422. Upstream's answer does not say why.
    #[error("{0}")]
    Refused(String),
}

type Result<T> = std::result::Result<T, Error>;

/// The document after the patch, as text: what the patch went into has its keys sorted, all else is as it was written.
/// Both must be JSON documents.
pub fn apply(document: Bytes, patch: Bytes) -> Result<Vec<u8>> {
    let mut tree = Tree::default();
    let patch = tree.text(patch)?;
    let operations = operations(&tree, patch)?;
    let document = tree.text(document)?;
    let mut run = Run { root: tree.node(Some(document))?, tree, copied: 0 };
    if !run.tree.open(run.root)? {
        return Err(Error::Refused("the document has no parts".to_owned()));
    }
    operations.iter().try_for_each(|operation| run.carry_out(operation))?;
    run.tree.print(run.root)
}

/// What is odd in the form of a patch, for those who want to know of it: fields that operations do not have, in
/// upstream's words; or what makes it no patch.
pub fn odd(patch: &Bytes) -> Result<Vec<String>> {
    let mut tree = Tree::default();
    let span = tree.text(patch.clone())?;
    let mut unknown = Vec::new();
    let mut first_wrong = None;
    for (at, item) in items(&tree, span, "handlers.jsonPatchOp")?.into_iter().enumerate() {
        for (name, value) in entries(&tree, item, "handlers.jsonPatchOp")? {
            match &*name {
                "op" | "path" | "from" => {
                    let wrong = value.map(|span| word(tree.bytes(span))).filter(|word| *word != "string");
                    let of = "of type string";
                    first_wrong = first_wrong.or_else(|| wrong.map(|is| format!("json: cannot unmarshal {is} into Go struct field jsonPatchOp.{name} {of}")));
                }
                "value" => {}
                _ => unknown.push(format!("unknown field {:?}", format!("[{at}].{name}"))),
            }
        }
    }
    first_wrong.map_or(Ok(unknown), |why| Err(Error::Malformed(why)))
}

/// One operation; a field that is absent is `None`, one that is null is `Some(None)`.
#[derive(Default)]
struct Operation<'p> {
    kind: Cow<'p, str>,
    path: Option<String>,
    from: Option<String>,
    value: Option<Option<Span>>,
}

fn operations(tree: &Tree, patch: Span) -> Result<Vec<Operation<'static>>> {
    let items = items(tree, patch, "jsonpatch.Patch")?;
    if items.len() > limits::PATCH_OPERATIONS {
        return Err(Error::TooMany(items.len()));
    }
    let mut operations = Vec::with_capacity(items.len());
    for item in items {
        let mut operation = Operation { kind: "unknown".into(), ..Operation::default() };
        for (name, value) in entries(tree, item, "jsonpatch.Operation")? {
            let text = || value.and_then(|span| string(tree.bytes(span)));
            match &*name {
                "op" => operation.kind = text().map_or("unknown".into(), Cow::Owned),
                "path" => operation.path = text(),
                "from" => operation.from = text(),
                "value" => operation.value = Some(value),
                _ => {}
            }
        }
        operations.push(operation);
    }
    Ok(operations)
}

/// The operations of a patch. Null is a patch without any.
fn items(tree: &Tree, patch: Span, go_type: &str) -> Result<Vec<Option<Span>>> {
    match word(tree.bytes(patch)) {
        "array" => tree.items(patch),
        "null" => Ok(Vec::new()),
        other => {
            let list = if go_type.starts_with("handlers") { "[]" } else { "" };
            Err(Error::Malformed(format!("json: cannot unmarshal {other} into Go value of type {list}{go_type}")))
        }
    }
}

fn entries(tree: &Tree, operation: Option<Span>, go_type: &str) -> Result<Vec<(String, Option<Span>)>> {
    let Some(span) = operation else { return Ok(Vec::new()) };
    match word(tree.bytes(span)) {
        "object" => tree.entries(span),
        other => Err(Error::Malformed(format!("json: cannot unmarshal {other} into Go value of type {go_type}"))),
    }
}

/// What Go calls a value in its errors.
fn word(text: &[u8]) -> &'static str {
    match text.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b'n') => "null",
        Some(b't' | b'f') => "bool",
        _ => "number",
    }
}

fn string(text: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(text, 0);
    (cursor.peek() == Some(b'"')).then(|| cursor.string().ok()).flatten()
}

/// A patch that is being carried out.
struct Run {
    tree: Tree,
    root: Id,
    /// Bytes that were copied.
    copied: usize,
}

fn missing(what: &str, path: &str) -> Error {
    Error::Refused(format!("{what}: {path:?}: missing value"))
}

impl Run {
    fn carry_out(&mut self, operation: &Operation) -> Result<()> {
        let path = || operation.path.as_deref().ok_or_else(|| missing("operation missing path field", ""));
        let from = || operation.from.as_deref().ok_or_else(|| missing("operation missing from field", ""));
        match &*operation.kind {
            "add" => {
                let (place, key) = self.place(path()?)?;
                let value = self.value(operation)?;
                self.tree.add(place, key, value)
            }
            "remove" => {
                let (place, key) = self.place(path()?)?;
                self.tree.remove(place, &key)
            }
            "replace" if path()?.is_empty() => self.replace_all(operation),
            "replace" => {
                let (place, key) = self.place(path()?)?;
                self.tree.get(place, &key)?;
                let value = self.value(operation)?;
                self.tree.set(place, key, value)
            }
            "move" => {
                let (place, key) = self.place(from()?)?;
                let value = self.tree.get(place, &key)?;
                self.tree.remove(place, &key)?;
                let (place, key) = self.place(path()?)?;
                self.tree.add(place, key, value)
            }
            "test" => self.test(path()?, operation),
            "copy" => {
                let (place, key) = self.place(from()?)?;
                let value = self.tree.get(place, &key)?;
                let (place, key) = self.place(path()?)?;
                let copy = self.copy(value)?;
                self.tree.add(place, key, copy)
            }
            other => Err(Error::Refused(format!("Unexpected kind: {other}"))),
        }
    }

    /// The map or list that a path leads into, opened, and the key in it.
    fn place(&mut self, path: &str) -> Result<(Id, String)> {
        let mut steps = path.split('/').skip(1).peekable();
        let mut here = self.root;
        loop {
            let Some(step) = steps.next() else { return Err(missing("doc is missing path", path)) };
            let key = unescaped(step);
            if steps.peek().is_none() {
                return Ok((here, key));
            }
            let next = self.tree.get(here, &key).ok().flatten();
            here = match next {
                Some(next) if self.tree.open(next)? => next,
                _ => return Err(missing("doc is missing path", path)),
            };
        }
    }

    /// The operation's value; one that it does not say is a null of the document's sort.
    fn value(&mut self, operation: &Operation) -> Result<Slot> {
        operation.value.map(|value| self.tree.node(value)).transpose()
    }

    fn replace_all(&mut self, operation: &Operation) -> Result<()> {
        match self.value(operation)? {
            Some(value) if self.tree.open(value)? => self.root = value,
            _ => return Err(Error::Refused("replace operation value must be object or array".to_owned())),
        }
        Ok(())
    }

    fn test(&mut self, path: &str, operation: &Operation) -> Result<()> {
        let present = if path.is_empty() {
            Some(self.root)
        } else {
            let (place, key) = self.place(path)?;
            self.tree.get(place, &key)?
        };
        let wanted = self.value(operation)?;
        let same = match (present, wanted) {
            (Some(present), Some(wanted)) => self.tree.equal(present, wanted)?,
            (None, _) => operation.value.flatten().is_none(),
            (Some(_), None) => false,
        };
        if same { Ok(()) } else { Err(Error::Refused(format!("testing value {path} failed: test failed"))) }
    }

    fn copy(&mut self, value: Slot) -> Result<Slot> {
        let Some(value) = value else { return Ok(None) };
        let text = self.tree.print(value)?;
        self.copied += text.len();
        if self.copied > limits::PATCH_COPIED {
            return Err(Error::Refused(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {}, exceeding the limit {}",
                self.copied,
                limits::PATCH_COPIED
            )));
        }
        let span = self.tree.text(text.into())?;
        self.tree.node(Some(span)).map(Some)
    }
}

/// A step of a path with `~1` and `~0` read, from left to right.
fn unescaped(step: &str) -> String {
    let mut out = String::with_capacity(step.len());
    let mut rest = step;
    while let Some(at) = rest.find('~') {
        let (sign, read) = match rest.as_bytes().get(at + 1) {
            Some(b'1') => ("/", 2),
            Some(b'0') => ("~", 2),
            _ => ("~", 1),
        };
        out.push_str(&rest[..at]);
        out.push_str(sign);
        rest = &rest[at + read..];
    }
    out + rest
}
