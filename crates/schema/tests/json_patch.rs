//! JSON patches beside upstream's library (`tests/upstream/jsonpatch`): the same text comes out, or both refuse.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schema::json_patch::{self, Error};
use serde_json::Value;

const CASES: usize = 10_000;

/// Upstream's library as a program that judges one case a line.
fn judge() -> PathBuf {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream/jsonpatch");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("json-patch-judge");
    let built = Command::new("go").args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(module).status();
    assert!(built.expect("Go must be installed").success(), "upstream's library is built");
    program
}

fn verdicts(cases: &[(String, String)]) -> Vec<String> {
    let mut child = Command::new(judge()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut input = child.stdin.take().expect("a pipe");
    let lines: String = cases.iter().map(|(document, patch)| format!("{document}\t{patch}\n")).collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("ends");
    writing.join().expect("no panic").expect("is read");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// SplitMix64: the same cases everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("small")
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.roll(from.len())]
    }

    /// A document, as upstream's encoder prints one.
    fn value(&mut self, depth: usize) -> String {
        const SCALARS: &[&str] = &["null", "true", "0", "1", "1.0", "-3", "1e3", "\"\"", "\"a\"", "\"a/b~c\"", "\"\\u003c\"", "\"<\"", "\"\\u0061\"", "\"\u{e9}\""];
        match self.roll(if depth > 3 { 3 } else { 6 }) {
            0..3 => self.pick(SCALARS).to_owned(),
            3 => {
                let items: Vec<String> = (0..self.roll(4)).map(|_| self.value(depth + 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => self.map(depth),
        }
    }

    fn map(&mut self, depth: usize) -> String {
        const KEYS: &[&str] = &["b", "a", "c", "", "a/b", "~", "0", "1", "-", "\\u0062", "z<"];
        let fields: Vec<String> = (0..self.roll(5)).map(|_| format!("\"{}\":{}", self.pick(KEYS), self.value(depth + 1))).collect();
        format!("{{{}}}", fields.join(","))
    }

    /// A path, mostly one that the document has, or one below it.
    fn path(&mut self, known: &[String]) -> String {
        if !known.is_empty() && self.roll(4) > 0 {
            let known = known[self.roll(known.len())].clone();
            return if self.roll(3) == 0 { known + "/" + self.pick(Self::STEPS) } else { known };
        }
        self.odd_path()
    }

    const STEPS: &[&'static str] = &["a", "b", "c", "0", "1", "-1", "00", "+1", "-", "2", "-2", "~0", "~1", "a~1b", "~01", "", "x", "-0", "z<"];

    fn odd_path(&mut self) -> String {
        match self.roll(40) {
            0 => String::new(),
            1 => "a".to_owned(),
            2 => "a/b".to_owned(),
            _ => (0..=self.roll(3)).map(|_| format!("/{}", self.pick(Self::STEPS))).collect(),
        }
    }

    fn operation(&mut self, known: &[(String, String)]) -> String {
        let paths: Vec<String> = known.iter().map(|(path, _)| path.clone()).collect();
        const KINDS: &[&str] = &["add", "add", "add", "remove", "replace", "replace", "move", "copy", "copy", "test"];
        let kind = if self.roll(100) == 0 { self.pick(&["Add", "", "merge"]) } else { self.pick(KINDS) };
        let mut fields = vec![format!("\"op\":\"{kind}\"")];
        let mut path = String::new();
        if self.roll(60) > 0 {
            path = self.path(&paths);
            fields.push(format!("\"path\":\"{path}\""));
        }
        if matches!(kind, "move" | "copy") || self.roll(20) == 0 {
            fields.push(format!("\"from\":\"{}\"", self.path(&paths)));
        }
        if !matches!(kind, "move" | "copy" | "remove") && self.roll(15) > 0 {
            let present = known.iter().find(|(is, _)| *is == path).filter(|_| kind == "test" && self.roll(5) > 0);
            fields.push(format!("\"value\":{}", present.map_or_else(|| self.value(1), |(_, value)| value.clone())));
        }
        if self.roll(60) == 0 {
            fields.push(self.pick(&["\"op\":5", "\"path\":null", "\"from\":[]", "\"value\":null", "\"odd\":1"]).to_owned());
        }
        format!("{{{}}}", fields.join(", "))
    }

    fn case(&mut self) -> (String, String) {
        let document = self.map(0);
        let mut known = Vec::new();
        places(&serde_json::from_str(&document).expect("JSON"), "", &mut known);
        let operations: Vec<String> = (0..=self.roll(3)).map(|_| self.operation(&known)).collect();
        let patch = match self.roll(200) {
            0 => self.pick(&["null", "{}", "[null]", "[5]", "\"x\"", "[[]]", " [ ] "]).to_owned(),
            _ => format!("[{}]", operations.join(" , ")),
        };
        (document, patch)
    }
}

/// Every path of a document with the text of what is there.
fn places(value: &Value, path: &str, out: &mut Vec<(String, String)>) {
    let mut child = |name: &str, value: &Value| {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        out.push((path.clone(), value.to_string()));
        places(value, &path, out);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| child(name, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| child(&at.to_string(), value)),
        _ => {}
    }
}

#[test]
fn patches_do_what_they_do_upstream() {
    let mut dice = Dice(36);
    let cases: Vec<(String, String)> = (0..CASES).map(|_| dice.case()).collect();
    let verdicts = verdicts(&cases);
    assert_eq!(verdicts.len(), CASES);
    let (mut wrong, mut applied, mut crashed) = (Vec::new(), 0, 0);
    for ((document, patch), theirs) in cases.iter().zip(&verdicts) {
        let ours = json_patch::apply(document.clone().into(), patch.clone().into());
        // The library crashes where a list with a null in it is compared; its server answers 500.
        let same = theirs.starts_with("crashed") || match &ours {
            Ok(text) => String::from_utf8_lossy(text) == *theirs,
            Err(Error::Malformed(why)) => *theirs == format!("malformed {why}"),
            Err(Error::Refused(_)) => theirs.starts_with("refused"),
            Err(Error::TooMany(_)) => false,
        };
        applied += usize::from(ours.is_ok());
        crashed += usize::from(theirs.starts_with("crashed"));
        if !same {
            let ours = ours.map(|text| String::from_utf8_lossy(&text).into_owned());
            wrong.push(format!("{document}\n  {patch}\n  upstream: {theirs}\n  ours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ, the first:\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    assert!(applied > CASES / 5 && crashed < CASES / 20, "{applied} applied, {crashed} crashed");
}
