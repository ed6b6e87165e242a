//! PEM as Go reads it (`encoding/pem`): what is no block is passed over.

use base64::Engine;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it says that it is: `CERTIFICATE`.
    pub label: String,
    /// Whether there are lines with a key and a value before what it holds.
    pub has_headers: bool,
    /// What it holds.
    pub der: Vec<u8>,
}

/// All blocks of a text.
pub fn blocks(text: &[u8]) -> Vec<Block> {
    let text = String::from_utf8_lossy(text);
    let (mut rest, mut blocks) = (&*text, Vec::new());
    while let Some((block, behind)) = next(rest) {
        blocks.push(block);
        rest = behind;
    }
    blocks
}

/// The first block, and what is behind it.
fn next(mut rest: &str) -> Option<(Block, &str)> {
    loop {
        rest = behind_line(rest, BEGIN)?;
        let (label, body) = line(rest);
        let Some(label) = label.strip_suffix(DASHES) else { continue };
        if let Some(found) = block(label, body) {
            return Some(found);
        }
    }
}

/// What is behind a word at the beginning of a line.
fn behind_line<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    if let Some(behind) = text.strip_prefix(word) {
        return Some(behind);
    }
    let at = text.match_indices(word).map(|(at, _)| at).find(|at| text[..*at].ends_with('\n'))?;
    Some(&text[at + word.len()..])
}

fn block<'t>(label: &str, mut body: &'t str) -> Option<(Block, &'t str)> {
    let mut has_headers = false;
    loop {
        let (first, behind) = line(body);
        if body.is_empty() || !first.contains(':') {
            break;
        }
        has_headers = true;
        body = behind;
    }
    let behind = behind_line(body, END)?;
    let held = &body[..body.len() - behind.len() - END.len()];
    let (end, rest) = line(behind.strip_prefix(label)?.strip_prefix(DASHES)?);
    if !end.is_empty() {
        return None;
    }
    let held: String = held.split_ascii_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(held).ok()?;
    Some((Block { label: label.to_owned(), has_headers, der }, rest))
}

/// The first line without the white space at its end, and what is behind it.
fn line(text: &str) -> (&str, &str) {
    let (first, behind) = text.split_once('\n').unwrap_or((text, ""));
    (first.trim_end_matches([' ', '\t', '\r']), behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_among_other_text() {
        let text = "x\n-----BEGIN A-----\nYQ==\n-----END B-----\n-----BEGIN A-----\r\nYW\r\nI=\r\n-----END A-----  \n \
                    -----BEGIN C-----\n-----BEGIN D-----\nK: v\nYQ==\n-----END D-----";
        let found = blocks(text.as_bytes());
        let block = |label: &str, has_headers, der: &str| Block { label: label.to_owned(), has_headers, der: der.into() };
        assert_eq!(found, [block("A", false, "ab"), block("D", true, "a")]);
        for none in ["", "-----BEGIN A-----", "-----BEGIN A-----\nYQ==\n-----END A", "-----BEGIN A-----\n?\n-----END A-----\n"] {
            assert_eq!(blocks(none.as_bytes()), [], "{none:?}");
        }
        assert_eq!(blocks(b"-----BEGIN A-----\n-----END A-----\n"), [block("A", false, "")]);
    }
}
