//! `cargo xtask tidy`: the rules of ARCHITECTURE.md and STYLE.md that a script can check.
//! Every failure prints the reason for its rule.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Lines of a hand-written source file.
const FILE: usize = 400;
/// Lines of a function.
const FUNCTION: usize = 100;

/// Bytes of the release binary, where there is one: 48 MB.
const BINARY: u64 = 48_000_000;

/// Which of our crates each crate may use. A crate that is not here is new: give it its place.
const LAYERS: &[(&str, &[&str])] = &[
    ("tasks", &[]),
    ("meta", &[]),
    ("schema", &["meta"]),
    ("cel", &["meta"]),
    ("pod", &["meta"]),
    ("kinds", &["meta", "schema", "pod", "cel"]),
    ("store", &[]),
    ("transport", &["meta"]),
    ("listen", &["transport"]),
    ("auth", &["meta", "kinds"]),
    ("admission", &["meta", "kinds", "auth"]),
    ("registry", &["tasks", "meta", "schema", "kinds", "store", "admission"]),
    ("server", &["tasks", "meta", "schema", "kinds", "store", "registry", "auth", "admission", "transport", "listen"]),
    ("client", &["tasks", "meta", "transport"]),
    ("controllers", &["tasks", "meta", "pod", "client", "transport"]),
    ("scheduler", &["meta", "pod", "client"]),
    ("runtime", &["meta"]),
    ("network", &["meta", "client"]),
    ("dns", &["meta", "client"]),
    ("kubelet", &["tasks", "meta", "pod", "client", "transport", "listen", "auth", "runtime", "network"]),
    ("kubectl", &["meta", "pod", "schema", "client", "transport"]),
    ("bench", &["client", "network"]),
    ("xtask", &[]),
];

/// (text, where it may stand, why not elsewhere).
const BANNED: &[(&str, &[&str], &str)] = &[
    ("dbg!(", &[], "debugging output is not for users"),
    ("todo!(", &[], "what is not built is not in a list"),
    ("unimplemented!(", &[], "what is not built is not in a list"),
    ("#[ignore]", &["xtask/src/tidy.rs"], "a test that does not run shows nothing"),
    ("static mut ", &[], "shared state has an owner and a lock"),
];

/// Checks everything; lists all that is wrong.
pub fn run(root: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    layers(root, &mut wrong)?;
    let mut files = BTreeMap::new();
    for path in sources(root)? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if !name.ends_with("tidy.rs") {
            files.insert(name, text);
        }
    }
    for (name, text) in &files {
        size(name, text, &mut wrong);
        banned(name, text, &mut wrong);
        purpose(name, text, &mut wrong);
        if name.ends_with("/mod.rs") && text.contains(" ALL: ") {
            members(&files, name, &mut wrong);
        }
    }
    documents(root, &mut wrong);
    crate::limits::check(root, &mut wrong)?;
    wrong.extend(binary(root));
    if wrong.is_empty() {
        println!("tidy: nothing to mend");
        return Ok(());
    }
    wrong.iter().for_each(|line| eprintln!("{line}"));
    bail!("tidy: {} things to mend", wrong.len())
}

fn layers(root: &Path, wrong: &mut Vec<String>) -> Result<()> {
    let output = Command::new("cargo").args(["metadata", "--no-deps", "--format-version=1"]).current_dir(root).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let table: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let ours: BTreeSet<String> = packages.iter().filter_map(|p| p["name"].as_str().map(str::to_owned)).collect();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or("");
        if name == "ironclad" {
            continue;
        }
        let Some(allowed) = table.get(name) else {
            wrong.push(format!("crate {name} has no place in the layer table (xtask/src/tidy.rs)"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or("");
            // Tests may reach across: the test kit links both arms.
            let plain = dependency["kind"].is_null();
            if plain && ours.contains(used) && !allowed.contains(&used) {
                wrong.push(format!(
                    "crate {name} uses {used}: the arms of the hourglass meet only in the transport (ARCHITECTURE.md)"
                ));
            }
        }
    }
    Ok(())
}

/// Every file beside an `ALL` list is a member of it, or somebody uses it.
fn members(files: &BTreeMap<String, String>, list: &str, wrong: &mut Vec<String>) {
    let folder = list.trim_end_matches("mod.rs");
    let last = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let (inside, outside): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| name.starts_with(folder));
    let of = |name: &str| name[folder.len()..].split(['/', '.']).next().unwrap_or_default().to_owned();
    let siblings: BTreeSet<String> = inside.iter().map(|(name, _)| of(name)).collect();
    for member in siblings.iter().filter(|name| !matches!(&***name, "mod" | "tests")) {
        let path = format!("{member}::");
        let within = inside.iter().any(|(name, text)| {
            of(name) != *member && (text.contains(&path) || text.contains(&format!("super::{member}")))
        });
        let elsewhere = || outside.iter().any(|(_, text)| text.contains(&path) && text.contains(&format!("{last}::")));
        if !within && !elsewhere() {
            wrong.push(format!("{list}: {member} is not in the list ALL: what is not in it does not exist"));
        }
    }
}

fn size(name: &str, text: &str, wrong: &mut Vec<String>) {
    let lines = text.lines().count();
    // A table is read by looking up, not from top to bottom.
    if lines > FILE && !name.ends_with("table.rs") {
        wrong.push(format!("{name}: {lines} lines, at most {FILE}: one file has one subject that fits into a head"));
    }
    let mut start: Option<(usize, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match start {
            None if is_function(line) && line.trim_end().ends_with('{') => start = Some((number, indent)),
            Some((from, at)) if indent == at && line.trim() == "}" => {
                if number - from > FUNCTION {
                    wrong.push(format!("{name}:{}: a function of {} lines, at most {FUNCTION}", from + 1, number - from));
                }
                start = None;
            }
            _ => {}
        }
    }
}

fn is_function(line: &str) -> bool {
    let line = line.trim_start();
    ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn ", "pub(crate) async fn ", "const fn "]
        .iter()
        .any(|start| line.starts_with(start))
}

fn banned(name: &str, text: &str, wrong: &mut Vec<String>) {
    for (call, allowed, why) in BANNED {
        if text.contains(call) && !allowed.contains(&name) {
            wrong.push(format!("{name}: {call:?}: {why}"));
        }
    }
}

fn purpose(name: &str, text: &str, wrong: &mut Vec<String>) {
    if !text.starts_with("//!") && !text.starts_with("// Generated") && !text.starts_with("#!") {
        wrong.push(format!("{name}: does not open with its purpose (`//! …`)"));
    }
}

fn documents(root: &Path, wrong: &mut Vec<String>) {
    for name in ["README.md", "ARCHITECTURE.md", "STYLE.md", "docs/tour.md", "docs/recipes.md"] {
        if !root.join(name).is_file() {
            wrong.push(format!("{name} is missing: it is what a newcomer reads"));
        }
    }
}

/// The size of the release binary, if it has been built.
fn binary(root: &Path) -> Option<String> {
    let path = crate::test::binary(root, "release", "ironclad").ok()?;
    over_budget(&path, std::fs::metadata(&path).ok()?.len())
}

fn over_budget(path: &Path, bytes: u64) -> Option<String> {
    let megabytes = |bytes| bytes as f64 / 1e6;
    (bytes > BINARY).then(|| {
        format!(
            "{}: {:.1} MB, {:.1} more than the {:.0} that the binary may have: it is fetched and kept on every machine",
            path.display(),
            megabytes(bytes),
            megabytes(bytes - BINARY),
            megabytes(BINARY)
        )
    })
}

/// All Rust sources that people wrote.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git").args(["ls-files", "-z", "--", "*.rs"]).current_dir(root).output()?;
    let list = String::from_utf8(output.stdout)?;
    let files = list.split('\0').filter(|name| !name.is_empty()).map(|name| root.join(name));
    Ok(files.filter(|path| path.is_file()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_over_its_budget_is_told_by_how_much() {
        let told = |bytes| over_budget(Path::new("ironclad"), bytes);
        assert_eq!(told(BINARY), None);
        let words = told(BINARY + 3_500_000).expect("too large");
        assert!(words.starts_with("ironclad: 51.5 MB, 3.5 more than the 48 that"), "{words}");
    }
}
