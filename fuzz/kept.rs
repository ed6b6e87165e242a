//! The kept corpus of the fuzz targets, and changes of it that are the same everywhere. The tests of the crates whose
//! decoders the targets are about take this file in, and have the targets as `fuzzed::…`.

use std::path::Path;

/// Changes made of each entry.
const CHANGES: u64 = 100;

/// A number after a number (SplitMix64).
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize
}

/// One or a few bytes are another, gone, there twice, or the entry ends early.
fn changed(entry: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut out = entry.to_vec();
    for _ in 0..=next(&mut state) % 4 {
        if out.is_empty() {
            return out;
        }
        let at = next(&mut state) % out.len();
        let end = (at + 1 + next(&mut state) % 16).min(out.len());
        match next(&mut state) % 5 {
            0 => out[at] = next(&mut state) as u8,
            1 => out[at] ^= 1 << (next(&mut state) % 8),
            2 => drop(out.drain(at..end)),
            3 => {
                let part = out[at..end].to_vec();
                let to = next(&mut state) % out.len();
                out.splice(to..to, part);
            }
            _ => out.truncate(at),
        }
    }
    out
}

/// Runs a target with its corpus and the changes of it.
pub fn each(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    assert!(!names.is_empty(), "{target} has no corpus");
    for name in names {
        let entry = std::fs::read(&name).expect("is read");
        run(&entry);
        (0..CHANGES).for_each(|seed| run(&changed(&entry, seed)));
    }
}

macro_rules! corpus {
    ($($target:ident),*) => {
        $(#[test]
        fn $target() {
            kept::each(stringify!($target), fuzzed::$target);
        })*
    };
}
