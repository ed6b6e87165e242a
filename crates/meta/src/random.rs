//! Random names, in the alphabet that upstream uses (`apimachinery/pkg/util/rand`).

use rand::Rng;

/// No vowels and no look-alikes, so that no word arises.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// `length` characters of the safe alphabet.
pub fn suffix(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())] as char).collect()
}

/// A name for `generateName`: the base, cut so that the whole fits 63 characters, and five random ones.
pub fn name_from(base: &str) -> String {
    let cut = base.char_indices().nth(58).map_or(base.len(), |(at, _)| at);
    format!("{}{}", &base[..cut], suffix(5))
}

/// Makes any text (a hash, usually) safe to be part of a name, as upstream's `SafeEncodeString`.
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|b| ALPHABET[b as usize % ALPHABET.len()] as char).collect()
}
