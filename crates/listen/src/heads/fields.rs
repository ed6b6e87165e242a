//! The fields of a head, as HTTP/2 writes them (HPACK, RFC 7541). Where one ends can be seen without the tables that both
//! sides keep: they are not touched here.

use transport::long::IN_URI;

use super::huffman;
use crate::limits::LINE;

/// Places of `:path` in the table that everybody has.
const PATHS: [usize; 2] = [4, 5];
/// A value of so many bytes empties the other side's table, if it is to be remembered; it is as long as the table or longer.
const TABLE: usize = 4096;
/// It must do so still when it is cut.
const _: () = assert!(IN_URI >= TABLE);

/// The same fields, with only the beginning of the path if it is long, and the rest of it in a field of its own. `None`: there
/// is nothing to cut, or it cannot be read.
pub fn cut(fields: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut reader = Reader { fields, at: 0 };
    while reader.at < fields.len() {
        let first = fields[reader.at];
        match first {
            0x80.. => drop(reader.number(7)?),
            0x20..=0x3f => drop(reader.number(5)?),
            _ => {
                let place = reader.number(if first & 0x40 != 0 { 6 } else { 4 })?;
                if place == 0 {
                    reader.text()?;
                }
                let start = reader.at;
                let value = reader.text()?;
                if PATHS.contains(&place) && value.longest() > IN_URI {
                    return value.read().filter(|path| path.len() > IN_URI).map(|path| {
                        let (beginning, rest) = path.split_at(IN_URI);
                        // What is too long altogether has an empty rest.
                        let rest = if path.len() > LINE { "" } else { rest };
                        let mut new = fields[..start].to_vec();
                        write(&mut new, beginning);
                        new.extend_from_slice(&fields[reader.at..]);
                        new.push(0);
                        write(&mut new, name);
                        write(&mut new, rest);
                        new
                    });
                }
            }
        }
    }
    None
}

struct Reader<'a> {
    fields: &'a [u8],
    at: usize,
}

/// A text as it is written.
struct Text<'a> {
    coded: bool,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A number, in so many bits of its first byte and as many more bytes as it needs.
    fn number(&mut self, bits: u8) -> Option<usize> {
        let most = (1 << bits) - 1;
        let mut number = usize::from(*self.fields.get(self.at)?) & most;
        self.at += 1;
        if number < most {
            return Some(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = *self.fields.get(self.at)?;
            self.at += 1;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<Text<'a>> {
        let coded = self.fields.get(self.at)? & 0x80 != 0;
        let length = self.number(7)?;
        let bytes = self.fields.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(Text { coded, bytes })
    }
}

impl Text<'_> {
    /// How long it may be: no character has less than five bits.
    fn longest(&self) -> usize {
        if self.coded { self.bytes.len() * 8 / 5 } else { self.bytes.len() }
    }

    /// `None`: it is no path.
    fn read(&self) -> Option<String> {
        if self.coded {
            return huffman::decode(self.bytes);
        }
        let seen = self.bytes.iter().all(u8::is_ascii_graphic);
        seen.then(|| self.bytes.iter().map(|byte| char::from(*byte)).collect())
    }
}

fn write(fields: &mut Vec<u8>, text: &str) {
    let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    let mut left = text.len();
    if left < 0x7f {
        fields.push(byte(left));
    } else {
        fields.push(0x7f);
        left -= 0x7f;
        while left >= 0x80 {
            fields.push(byte(left & 0x7f | 0x80));
            left >>= 7;
        }
        fields.push(byte(left));
    }
    fields.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A field of which only the name has a place, to be remembered or not.
    pub fn literal(place: u8, remembered: bool, value: &str, coded: bool) -> Vec<u8> {
        let mut field = vec![if remembered { 0x40 | place } else { place }];
        let start = field.len();
        if coded {
            let bytes = huffman::encode(value);
            write(&mut field, &"x".repeat(bytes.len()));
            field[start] |= 0x80;
            field.truncate(field.len() - bytes.len());
            field.extend(bytes);
        } else {
            write(&mut field, value);
        }
        field
    }

    #[test]
    fn a_long_path_is_cut_wherever_it_stands_and_however_it_is_written() {
        // The method and the scheme have places; a field has none.
        let (before, mut after) = (vec![0x3f, 0xe1, 0x1f, 0x82, 0x87], vec![0x00]);
        write(&mut after, "x-a");
        write(&mut after, "b");
        for (remembered, coded) in [(true, true), (true, false), (false, true), (false, false)] {
            let longest = if coded { [IN_URI, IN_URI] } else { [LINE, LINE + 1] };
            for length in [10, IN_URI, IN_URI + 1, 70_000].into_iter().chain(longest) {
                let path = format!("/?{}", "abc/%7B".repeat(length / 7 + 1))[..length].to_owned();
                let head = |path: &str, coded| [before.clone(), literal(4, remembered, path, coded), after.clone()].concat();
                let new = cut(&head(&path, coded), "rest");
                let rest = if length > LINE { "" } else { path.get(IN_URI..).unwrap_or_default() };
                let wanted = (length > IN_URI).then(|| {
                    let mut wanted = head(&path[..IN_URI], false);
                    wanted.push(0);
                    write(&mut wanted, "rest");
                    write(&mut wanted, rest);
                    wanted
                });
                assert!(new == wanted, "{length} {remembered} {coded}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_stays_as_it_is() {
        let long = literal(4, false, &"x".repeat(100_000), false);
        assert!(cut(&long, "rest").is_some());
        assert!(cut(&long[..5000], "rest").is_none() && cut(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff], "rest").is_none());
        assert!(cut(&literal(4, false, &format!("\u{1}{}", "x".repeat(100_000)), false), "rest").is_none());
        let other = literal(1, false, &"x".repeat(100_000), false);
        assert!(cut(&other, "rest").is_none(), "it is no path");
        let state = &mut 1u32;
        for length in 0..300 {
            // A few bytes of anything.
            let bytes: Vec<u8> = (0..length).map(|_| { *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); (*state >> 24) as u8 }).collect();
            let _ = cut(&bytes, "rest");
        }
    }
}
