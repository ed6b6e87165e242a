//! What types and fields mean, in upstream's words. The texts are packed in the binary (`build.rs` says how), and
//! unpacked for each document that is made: nobody asks often, and nothing is kept in between.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

use flate2::read::DeflateDecoder;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.deflate"));

/// The texts of all built-in types.
pub struct Descriptions {
    unpacked: String,
    /// Where the texts of a type begin.
    types: HashMap<Box<str>, usize>,
    /// Where each text is.
    texts: Vec<Range<usize>>,
}

impl Descriptions {
    /// Unpacks them.
    pub fn unpack() -> Self {
        let mut unpacked = String::new();
        if let Err(error) = DeflateDecoder::new(PACKED).read_to_string(&mut unpacked) {
            unreachable!("the table is part of the program: {error}");
        }
        let (mut types, mut texts, mut at) = (HashMap::new(), Vec::new(), 0);
        for line in unpacked.split_inclusive('\n') {
            let end = at + line.len();
            match split(line.trim_end_matches('\n')) {
                Some((_, '=', text)) => texts.push(end - 1 - text.len()..end - 1),
                Some(_) => {}
                None => drop(types.insert(line[1..].trim_end().into(), end)),
            }
            at = end;
        }
        Descriptions { unpacked, types, texts }
    }

    /// What a field of a type means, or with an empty name the type itself.
    pub fn of(&self, type_name: &str, field: &str) -> Option<String> {
        let mut lines = self.unpacked.get(*self.types.get(type_name)?..)?.lines().map_while(split);
        let (_, sign, said) = lines.find(|(name, ..)| *name == field)?;
        if sign == '=' {
            return Some(plain(said));
        }
        let place = self.texts.get(said.parse::<usize>().ok()?)?;
        self.unpacked.get(place.clone()).map(plain)
    }
}

/// Field, sign, and what stands behind it. The first line of a type has no sign.
fn split(line: &str) -> Option<(&str, char, &str)> {
    let at = line.find(['=', '@'])?;
    Some((&line[..at], line[at..].chars().next()?, &line[at + 1..]))
}

/// A text without the marks before line breaks and backslashes.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = text.chars();
    while let Some(c) = left.next() {
        match c {
            '\\' => out.push(left.next().map_or('\\', |next| if next == 'n' { '\n' } else { next })),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_type_and_field() {
        let all = Descriptions::unpack();
        let of = |kind: &str, field: &str| all.of(&format!("io.k8s.api.{kind}"), field);
        assert_eq!(of("core.v1.PodSpec", "").as_deref(), Some("PodSpec is a description of a pod."));
        assert_eq!(of("core.v1.PodSpec", "affinity").as_deref(), Some("If specified, the pod's scheduling constraints"));
        assert_eq!(of("core.v1.PodSpec", "nothing"), None);
        assert_eq!(of("core.v1.Nothing", ""), None);
        let lines = of("core.v1.PodSpec", "hostnameOverride").expect("described");
        assert!(lines.contains("\n\nThis field must be a valid DNS subdomain"), "{lines}");
        // What an older version says in the same words.
        let (new, old) = (of("resource.v1.DeviceClassSpec", "selectors"), of("resource.v1beta1.DeviceClassSpec", "selectors"));
        assert!(new.is_some() && new == old);
    }

    #[test]
    fn the_table_is_small() {
        assert!(PACKED.len() < 200_000, "{} bytes", PACKED.len());
    }
}
