//! `cargo xtask upgrade`: the binary of the last commit that closed an issue starts a cluster, and this one takes it over.
//!
//! The earlier binary is built once, into the cache: from the commit's own sources, with whatever crates they lock.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::test::{self, succeed};
use crate::upstream::cache;

/// The file that names the commit.
const FROM: &str = "tests/upgrade/from";
/// Where the commit's sources lie below the root of the workspace that they are built in. Cargo tells crates apart by
/// their place in a workspace: built in the same folder as the present ones, they must not be taken for each other.
const PLACE: &str = "earlier";

/// Builds the earlier binary where the cache has none, and runs the test. Where the clone does not reach back to the
/// commit, says so and is content.
pub fn run(root: &Path) -> Result<()> {
    let commit = commit(root)?;
    let program = cache()?.join("upgrade").join(&commit).join("ironclad");
    if !program.is_file() && !has(root, &commit)? {
        println!("left out: this clone's history does not reach back to {commit}, whose binary the upgrade starts with");
        println!("`git fetch --unshallow` brings it");
        return Ok(());
    }
    provide(root, &commit, &program)?;
    let (ironclad, kubectl) = (test::ironclad(root)?, test::kubectl(root)?);
    let mut script = Command::new("bash");
    script.arg(root.join("tests/upgrade/run.sh")).arg(&program).arg(ironclad).arg(kubectl);
    succeed(script.env("PATH", test::path()))
}

/// The commit that upgrades start from, in full.
fn commit(root: &Path) -> Result<String> {
    let path = root.join(FROM);
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let commit = text.trim();
    if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("{FROM} names no commit in full: {commit:?}");
    }
    Ok(commit.to_owned())
}

/// Whether the clone has the commit.
fn has(root: &Path, commit: &str) -> Result<bool> {
    let mut git = Command::new("git");
    git.args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).current_dir(root).stderr(Stdio::null());
    Ok(git.status().context("start git")?.success())
}

/// Builds the binary, unless it is there: a program that is there is whole.
fn provide(root: &Path, commit: &str, program: &Path) -> Result<()> {
    let dir = program.parent().context("a program lies in a directory")?;
    std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    // Two that want it at the same time: the second finds what the first has built.
    let lock = File::create(dir.join("lock"))?;
    lock.lock()?;
    if program.is_file() {
        return Ok(());
    }
    println!("building the binary of {commit} into {}", dir.display());
    let start = Instant::now();
    let sources = dir.join("sources");
    let built = unpack(root, commit, &sources).and_then(|()| build(root, &sources));
    let kept = built.and_then(|built| {
        let part = program.with_extension("part");
        std::fs::copy(&built, &part).with_context(|| format!("copy {}", built.display()))?;
        std::fs::rename(&part, program).with_context(|| format!("rename {}", part.display()))
    });
    // The sources are of no use any more, whatever came of them.
    std::fs::remove_dir_all(&sources).with_context(|| format!("remove {}", sources.display()))?;
    kept?;
    println!("built in {} s", start.elapsed().as_secs());
    Ok(())
}

/// Puts the commit's files there: what makes it a workspace at the top, the crates below [`PLACE`].
fn unpack(root: &Path, commit: &str, sources: &Path) -> Result<()> {
    if sources.exists() {
        std::fs::remove_dir_all(sources).with_context(|| format!("remove {}", sources.display()))?;
    }
    let place = sources.join(PLACE);
    std::fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
    let mut archive = Command::new("git");
    archive.args(["archive", commit]).current_dir(root).stdout(Stdio::piped());
    let mut archive = archive.spawn().context("start git")?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "-C"]).arg(&place).stdin(archive.stdout.take().context("git has an output")?);
    succeed(&mut tar)?;
    if !archive.wait()?.success() {
        bail!("git archive {commit} failed");
    }
    for name in ["Cargo.lock", ".cargo"] {
        let file = place.join(name);
        std::fs::rename(&file, sources.join(name)).with_context(|| format!("move {}", file.display()))?;
    }
    let manifest = place.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
    std::fs::remove_file(&manifest)?;
    std::fs::write(sources.join("Cargo.toml"), moved(&text)).context("write the workspace's manifest")
}

/// The manifest of a workspace whose members lie below [`PLACE`].
fn moved(manifest: &str) -> String {
    manifest.replace("\"crates/", &format!("\"{PLACE}/crates/")).replace("\"xtask\"", &format!("\"{PLACE}/xtask\""))
}

/// Builds it with the crates that are compiled already, where both lock the same; the binary itself goes elsewhere.
fn build(root: &Path, sources: &Path) -> Result<PathBuf> {
    let target = sources.join("target");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--workspace", "--bin", "ironclad"]).current_dir(sources);
    cargo.env("CARGO_BUILD_BUILD_DIR", test::target(root)?).env("CARGO_TARGET_DIR", &target);
    // It is built once: what would make the next time quicker is a gigabyte for nothing.
    cargo.env("CARGO_INCREMENTAL", "0");
    succeed(&mut cargo)?;
    test::built(&target, "debug", "ironclad")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_named_in_full() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert_eq!(commit(root).unwrap().len(), 40);
    }

    #[test]
    fn members_of_the_present_workspace_are_moved() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = moved(&std::fs::read_to_string(root.join("Cargo.toml")).unwrap());
        assert!(text.contains("members = [\"earlier/crates/*\", \"earlier/xtask\"]"), "{text}");
        assert!(text.contains("store = { path = \"earlier/crates/store\" }"), "{text}");
        assert!(!text.contains("\"crates/") && !text.contains("\"xtask\""), "{text}");
    }
}
