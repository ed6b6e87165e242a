//! Texts beside upstream's readers (`tests/upstream/values`): the same comes out, or both refuse. Included by the tests of
//! the crates that have a reader.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// What upstream's reader says of each text: what it has read, or `refused` and why.
pub fn verdicts(what: &str, texts: &[String]) -> Vec<String> {
    verdicts_of("values", what, texts)
}

/// The same of another module beside it.
pub fn verdicts_of(module: &str, what: &str, texts: &[String]) -> Vec<String> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream").join(module);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(std::env::temp_dir, Into::into);
    // A name of its own: several tests build it at once.
    let program = target.join(format!("values-judge-{}-{what}", std::process::id()));
    let built = Command::new("go").args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(module).status();
    assert!(built.expect("Go must be installed").success(), "upstream's readers are built");
    let mut child = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut input = child.stdin.take().expect("a pipe");
    let lines: String = texts.iter().map(|text| format!("{what} {}\n", quoted(text))).collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("ends");
    writing.join().expect("no panic").expect("is read");
    std::fs::remove_file(&program).expect("is removed");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Compares: with a fixed seed nothing may differ; what a fresh one finds is shown.
pub fn compare(what: &str, count: usize, make: impl Fn(&mut Dice) -> String, ours: impl Fn(&str) -> Result<String, String>) {
    compare_with("values", what, count, make, ours);
}

/// The same with another module beside it.
pub fn compare_with(
    module: &str,
    what: &str,
    count: usize,
    make: impl Fn(&mut Dice) -> String,
    ours: impl Fn(&str) -> Result<String, String>,
) {
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    for seed in [1, fresh] {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(seed);
        let mut dice = Dice(seed);
        let texts: Vec<String> = (0..count).map(|_| make(&mut dice)).collect();
        let verdicts = verdicts_of(module, what, &texts);
        assert_eq!(verdicts.len(), texts.len());
        let mut wrong = Vec::new();
        for (text, upstream) in texts.iter().zip(&verdicts) {
            let own = ours(text);
            let same = match &own {
                // Upstream has no answer: it fell over.
                Ok(own) => own == upstream || upstream == "skipped",
                Err(_) => upstream.starts_with("refused ") || upstream.starts_with("crashed "),
            };
            if !same {
                wrong.push(format!("{what} {}\n  upstream: {upstream}\n  ours:     {own:?}", quoted(text)));
            }
        }
        wrong.sort_by_key(|text| (text.len(), text.clone()));
        wrong.dedup();
        let shown: Vec<String> = wrong.iter().take(40).cloned().collect();
        let found = format!("SEED={seed}: {} of {count} differ\n{}", wrong.len(), shown.join("\n"));
        if seed == 1 {
            assert!(wrong.is_empty(), "{found}");
        } else if !wrong.is_empty() {
            eprintln!("{found}");
        }
    }
}

/// SplitMix64: the same cases everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("small")
    }

    pub fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.roll(from.len())]
    }

    /// Some of these, one behind the other.
    pub fn row(&mut self, from: &[&str], most: usize) -> String {
        (0..self.roll(most + 1)).map(|_| self.pick(from)).collect()
    }

    /// The text, sometimes with a character less, more, or another one.
    pub fn hurt(&mut self, text: String, characters: &[&str]) -> String {
        let mut all: Vec<char> = text.chars().collect();
        for _ in 0..[0, 0, 1, 1, 2][self.roll(5)] {
            let at = self.roll(all.len() + 1);
            let other = self.pick(characters).chars().next().unwrap_or(' ');
            match self.roll(3) {
                0 if at < all.len() => drop(all.remove(at)),
                1 if at < all.len() => all[at] = other,
                _ => all.insert(at, other),
            }
        }
        all.into_iter().collect()
    }
}
