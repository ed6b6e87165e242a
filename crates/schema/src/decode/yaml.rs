//! YAML as upstream reads it (`sigs.k8s.io/yaml`, below it `go.yaml.in/yaml/v2`): turned into JSON first. The parser is of
//! YAML 1.2; what scalars mean, keys, merges and aliases are upstream's.

mod error;
mod scalar;

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};
use meta::limits;
use serde_json::{Map, Value};

use super::scan::TOO_DEEP;

/// The reader needs less than this for one level, in bytes of stack.
const STACK_LEFT: usize = 256 << 10;
/// What it gets when there is less left.
const STACK_MORE: usize = 2 << 20;

/// Nodes that names may stand for, all together. Upstream, which has one tree of all, has no such bound.
const KEPT: usize = 1 << 20;
const EXCESSIVE: &str = "document contains excessive aliasing";

/// The documents of a YAML stream; one that holds nothing but comments is no document.
pub fn documents(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = Some(text);
    let pieces = std::iter::from_fn(move || {
        let here = rest?;
        let mut at = 0;
        for line in here.split_inclusive('\n') {
            let end = line.trim_ascii_end();
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
    let line = line.strip_prefix("---").unwrap_or(line).trim_ascii();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%') && line != "..."
}

/// The first document of a YAML stream as a JSON tree, and what upstream says of keys that come twice. The last one counts.
/// The error is one sentence with its line.
pub fn to_json(text: &str) -> Result<(Value, Vec<String>), String> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.block_scalar_eof_without_line_feed = true;
    options.flow_nesting_limit = limits::NESTING_AROUND + 1;
    options.block_nesting_limit = limits::NESTING_AROUND + 1;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // In YAML 1.1 it ends a line.
    let broken = text.contains('\u{85}').then(|| text.replace('\u{85}', "\n"));
    let text = broken.as_deref().unwrap_or(text);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { text, parser, anchors: HashMap::new(), duplicates: Vec::new(), nodes: 0, aliased: 0, bytes: 0, kept: (0, 0) };
    let value = reader.document().map_err(|why| format!("yaml: {why}"))?;
    let strict = match reader.duplicates.is_empty() {
        true => Vec::new(),
        false => vec![format!("yaml: unmarshal errors:\n{}", reader.duplicates.join("\n"))],
    };
    Ok((value, strict))
}

/// A value that a name stands for. `None`: it is not complete.
struct Anchored {
    value: Option<Value>,
    /// How many nodes it has.
    nodes: usize,
    /// How many bytes of text.
    bytes: usize,
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Anchored>,
    duplicates: Vec<String>,
    /// Nodes that were read, those behind aliases counted each time.
    nodes: usize,
    /// How many of them were behind aliases.
    aliased: usize,
    /// Bytes of text, those behind aliases counted each time.
    bytes: usize,
    /// Nodes and bytes of what names stand for: one that stands within another is kept twice.
    kept: (usize, usize),
}

/// What comes next, and its line.
type Next<'t> = (Event<'t>, usize);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Next<'t>, String> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let quoted = matches!(event, Event::Scalar(_, ScalarStyle::DoubleQuoted, ..));
                if quoted && span.slice(self.text).is_some_and(escapes_slash) {
                    return Err(format!("line {}: found unknown escape character", span.start.line()));
                }
                Ok((event, span.start.line()))
            }
            Some(Err(error)) => Err(error::text(&error, self.text)),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    /// After the document upstream looks at one more token, and does not mind where it stands.
    fn end(&mut self) -> Result<(), String> {
        match self.parser.next_event() {
            Some(Err(error)) if !error::is_of_place(error.kind()) => Err(error::text(&error, self.text)),
            _ => Ok(()),
        }
    }

    /// The first document. What comes after it is not looked at.
    fn document(&mut self) -> Result<Value, String> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Value::Null),
                event => {
                    let value = self.node(event, 0)?;
                    return self.end().map(|()| value);
                }
            }
        }
    }

    fn node(&mut self, event: Next<'t>, depth: usize) -> Result<Value, String> {
        // The walk is recursive.
        if depth > limits::NESTING_AROUND {
            return Err(TOO_DEEP.to_owned());
        }
        stacker::maybe_grow(STACK_LEFT, STACK_MORE, || self.node_here(event, depth))
    }

    fn node_here(&mut self, (event, _): Next<'t>, depth: usize) -> Result<Value, String> {
        let before = (self.nodes, self.bytes);
        self.nodes += 1;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.bytes += text.len();
                (anchor, read(&text, style, tag.as_deref())?)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(anchor);
                (anchor, self.sequence(depth)?)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor);
                (anchor, self.mapping(depth)?)
            }
            Event::Alias(anchor) => return self.alias(anchor),
            _ => return Err("did not find expected node content".to_owned()),
        };
        if anchor != 0 {
            let (nodes, bytes) = (self.nodes - before.0, self.bytes - before.1);
            self.kept = (self.kept.0 + nodes, self.kept.1 + bytes);
            if self.kept.0 > KEPT || self.kept.1 > 2 * limits::BODY {
                return Err(EXCESSIVE.to_owned());
            }
            self.anchors.insert(anchor, Anchored { value: Some(value.clone()), nodes, bytes });
        }
        Ok(value)
    }

    fn open(&mut self, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { value: None, nodes: 0, bytes: 0 });
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<Value, String> {
        let Some(Anchored { value, nodes, bytes }) = self.anchors.get(&anchor) else { return Err("unknown anchor referenced".to_owned()) };
        let Some(value) = value else { return Err("anchor value contains itself".to_owned()) };
        self.nodes += nodes;
        self.aliased += nodes;
        self.bytes += bytes;
        // What is more than a body could not be stored.
        if is_excessive(self.aliased, self.nodes) || self.bytes > 2 * limits::BODY {
            return Err(EXCESSIVE.to_owned());
        }
        Ok(value.clone())
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, String> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(list)),
                event => list.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Object(map)),
                event => event,
            };
            let merges = matches!(&key.0, Event::Scalar(text, style, _, tag) if text == "<<" && is_merge(*style, tag.as_deref()));
            let key = self.node(key, depth + 1)?;
            let value = self.next()?;
            let line = value.1;
            let value = self.node(value, depth + 1)?;
            if merges {
                self.merge(&mut map, value, line)?;
                continue;
            }
            let (name, shown) = scalar::key(key)?;
            self.put(&mut map, name, &shown, value, line);
        }
    }

    fn put(&mut self, map: &mut Map<String, Value>, name: String, shown: &str, value: Value, line: usize) {
        if map.insert(name, value).is_some() {
            self.duplicates.push(format!("  line {line}: key {shown} already set in map"));
        }
    }

    /// Takes in the entries of a map, or of several of which the first counts most.
    fn merge(&mut self, map: &mut Map<String, Value>, value: Value, line: usize) -> Result<(), String> {
        let all = match value {
            Value::Array(all) => all,
            one => vec![one],
        };
        for one in all.into_iter().rev() {
            let Value::Object(entries) = one else {
                return Err("map merge requires map or sequence of maps as the value".to_owned());
            };
            for (name, value) in entries {
                let shown = format!("{name:?}");
                self.put(map, name, &shown, value, line);
            }
        }
        Ok(())
    }
}

/// Whether a text in double quotes has the escape `\/`, which YAML 1.1 has not.
fn escapes_slash(quoted: &str) -> bool {
    let mut escaped = false;
    quoted.bytes().any(|byte| {
        let slash = escaped && byte == b'/';
        escaped = !escaped && byte == b'\\';
        slash
    })
}

fn is_merge(style: ScalarStyle, tag: Option<&Tag>) -> bool {
    match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) => scalar::name(tag) == "!!merge",
    }
}

/// Whether most of what was read stands behind aliases (upstream: `decode.go`, `allowedAliasRatio`).
fn is_excessive(aliased: usize, nodes: usize) -> bool {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let all = nodes as f64;
    let allowed = 0.99 - 0.89 * ((all - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
    aliased > 100 && nodes > 1000 && aliased as f64 / all > allowed
}

fn read(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let name = tag.map(scalar::name).unwrap_or_default();
    match &*name {
        "" if style != ScalarStyle::Plain => Ok(Value::String(text.to_owned())),
        // The tag that says nothing: as if it were plain.
        "" | "!" => scalar::resolve("", text),
        name => scalar::resolve(name, text),
    }
}
