//! Protobuf without its schema, as a tree: fields by number, texts as texts.

use super::tree::Tree;

/// What opens Kubernetes' envelope.
pub const MAGIC: &[u8] = b"k8s\0";

/// The tree of an answer in protobuf; `None` if it is none.
pub fn tree(body: &[u8]) -> Option<Tree> {
    message(body.strip_prefix(MAGIC)?, 0)
}

/// The trees of the frames of a watch, each after its length in four bytes.
pub fn frames(mut body: &[u8]) -> Option<Tree> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let (head, rest) = body.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*head)).ok()?;
        let frame = rest.get(..length)?;
        out.push(message(frame.strip_prefix(MAGIC).unwrap_or(frame), 0)?);
        body = &rest[length..];
    }
    Some(Tree::List(out))
}

fn message(mut bytes: &[u8], depth: usize) -> Option<Tree> {
    if depth > 40 {
        return None;
    }
    let mut fields = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, kind) = (key >> 3, key & 7);
        if number == 0 {
            return None;
        }
        let value = match kind {
            0 => Tree::Leaf(varint(&mut bytes)?.to_string()),
            1 => Tree::Leaf(f64::from_le_bytes(*take(&mut bytes, 8)?.first_chunk()?).to_string()),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                content(take(&mut bytes, length)?, depth)
            }
            5 => Tree::Leaf(u32::from_le_bytes(*take(&mut bytes, 4)?.first_chunk()?).to_string()),
            _ => return None,
        };
        let before = seen.entry(number).or_insert(0usize);
        // A repeated field: its items are told apart by their place.
        let name = if *before == 0 { number.to_string() } else { format!("{number}#{before}") };
        *before += 1;
        fields.push((name, value));
    }
    Some(Tree::Map(fields))
}

/// A text, a message, or bytes. Both sides are guessed at alike.
fn content(bytes: &[u8], depth: usize) -> Tree {
    let printable = |text: &&str| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    if let Some(inner) = bytes.strip_prefix(MAGIC).and_then(|inner| message(inner, depth + 1)) {
        return inner;
    }
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(printable) {
        return Tree::Text(text.to_owned());
    }
    message(bytes, depth + 1).unwrap_or_else(|| Tree::Text(bytes.iter().map(|b| format!("{b:02x}")).collect()))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_without_its_schema() {
        // {1: {1: "v1", 2: "Pod"}, 2: {8: 150}}
        let body = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x03\x40\x96\x01";
        let lines = tree(body).expect("is protobuf").short();
        assert_eq!(lines, r#"{"1":{"1":"v1","2":"Pod"},"2":{"8":150}}"#);
        assert_eq!(tree(b"{}"), None);
    }
}
