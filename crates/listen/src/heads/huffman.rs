//! Huffman's code of HTTP/2 (RFC 7541, appendix B), as far as a path can have it: characters that can be seen.

use std::sync::LazyLock;

/// Bits and code of each character from `!` to `~`.
const CODES: [(u8, u32); 94] = [
    (10, 0x3f8), (10, 0x3f9), (12, 0xffa), (13, 0x1ff9), (6, 0x15), (8, 0xf8), (11, 0x7fa), (10, 0x3fa),
    (10, 0x3fb), (8, 0xf9), (11, 0x7fb), (8, 0xfa), (6, 0x16), (6, 0x17), (6, 0x18), (5, 0x0), (5, 0x1), (5, 0x2),
    (6, 0x19), (6, 0x1a), (6, 0x1b), (6, 0x1c), (6, 0x1d), (6, 0x1e), (6, 0x1f), (7, 0x5c), (8, 0xfb),
    (15, 0x7ffc), (6, 0x20), (12, 0xffb), (10, 0x3fc), (13, 0x1ffa), (6, 0x21), (7, 0x5d), (7, 0x5e), (7, 0x5f),
    (7, 0x60), (7, 0x61), (7, 0x62), (7, 0x63), (7, 0x64), (7, 0x65), (7, 0x66), (7, 0x67), (7, 0x68), (7, 0x69),
    (7, 0x6a), (7, 0x6b), (7, 0x6c), (7, 0x6d), (7, 0x6e), (7, 0x6f), (7, 0x70), (7, 0x71), (7, 0x72), (8, 0xfc),
    (7, 0x73), (8, 0xfd), (13, 0x1ffb), (19, 0x7fff0), (13, 0x1ffc), (14, 0x3ffc), (6, 0x22), (15, 0x7ffd),
    (5, 0x3), (6, 0x23), (5, 0x4), (6, 0x24), (5, 0x5), (6, 0x25), (6, 0x26), (6, 0x27), (5, 0x6), (7, 0x74),
    (7, 0x75), (6, 0x28), (6, 0x29), (6, 0x2a), (5, 0x7), (6, 0x2b), (7, 0x76), (6, 0x2c), (5, 0x8), (5, 0x9),
    (6, 0x2d), (7, 0x77), (7, 0x78), (7, 0x79), (7, 0x7a), (7, 0x7b), (15, 0x7ffe), (11, 0x7fc), (14, 0x3ffd),
    (13, 0x1ffd),
];
/// The first of them.
const FIRST: u8 = b'!';
/// A character, in a branch of the tree; below are places of further branches.
const LEAF: u16 = 1 << 15;

/// Each branch has what a 0 leads to, and what a 1 does; 0 is nothing.
static TREE: LazyLock<Vec<[u16; 2]>> = LazyLock::new(|| {
    let mut tree = vec![[0; 2]];
    for ((bits, code), character) in CODES.into_iter().zip(FIRST..) {
        let mut at = 0;
        for bit in (0..bits).rev() {
            let side = usize::from(code >> bit & 1 == 1);
            if bit == 0 {
                tree[at][side] = LEAF | u16::from(character);
                break;
            }
            if tree[at][side] == 0 {
                tree[at][side] = u16::try_from(tree.len()).unwrap_or(0);
                tree.push([0; 2]);
            }
            at = usize::from(tree[at][side]);
        }
    }
    tree
});

/// The text; `None` if other characters are in it, or it does not end as it must.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let tree = &*TREE;
    let mut text = String::with_capacity(bytes.len() * 8 / 5);
    let (mut at, mut since, mut ones) = (0, 0, true);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| usize::from(byte >> bit & 1))) {
        let next = tree[at][bit];
        (since, ones) = (since + 1, ones && bit == 1);
        if next & LEAF != 0 {
            text.push(char::from(u8::try_from(next & 0xff).ok()?));
            (at, since, ones) = (0, 0, true);
        } else if next != 0 {
            at = usize::from(next);
        } else {
            return None;
        }
    }
    // It is filled up with ones, less than a byte of them.
    (ones && since < 8).then_some(text)
}

/// A text in the code.
#[cfg(test)]
pub fn encode(text: &str) -> Vec<u8> {
    let bits = text.bytes().flat_map(|character| {
        let (bits, code) = CODES[usize::from(character - FIRST)];
        (0..bits).rev().map(move |bit| code >> bit & 1 == 1)
    });
    let bits: Vec<bool> = bits.collect();
    bits.chunks(8).map(|byte| (0..8).fold(0, |all, at| all << 1 | u8::from(byte.get(at).copied().unwrap_or(true)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let all: String = (b'!'..=b'~').map(char::from).collect();
        for text in ["", "a", "www.example.com", "/sample/path", &all, &all.repeat(50), "~", "~~~~~~~~"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text), "{text}");
        }
        // RFC 7541, C.4.
        let example = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decode(&example).as_deref(), Some("www.example.com"));
        assert_eq!((decode(&[0xff]), decode(&[0xff; 4]), decode(&[0x53]), decode(&[0b0001_1000])), (None, None, None, None));
    }
}
