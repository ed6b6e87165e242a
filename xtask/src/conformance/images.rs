//! The images of the suite, assembled once for each version of what they are made of.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::upstream;

/// The registry in the images' names: it runs inside the cluster's network namespace.
pub const REGISTRY: &str = "127.0.0.1:5000";

/// Programs of upstream that are in images.
const PROGRAMS: &[&str] = &["agnhost", "pause", "nnp", "sample-apiserver", "etcd"];

/// The scripts that assemble.
const SCRIPTS: &[&str] = &["tests/conformance/images.sh", "tests/images/lib.sh"];

/// The directory of a docker archive with all images; assembles it when the cache has none.
pub fn assemble(root: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    let mut programs = PathBuf::new();
    for name in PROGRAMS {
        let program = upstream::program(root, name)?;
        // The path has the key of the program's version in it.
        program.hash(&mut hasher);
        programs = program.parent().context("a program lies in a directory")?.to_path_buf();
    }
    for script in SCRIPTS {
        std::fs::read(root.join(script)).with_context(|| format!("read {script}"))?.hash(&mut hasher);
    }
    let dir = upstream::cache()?.join("images").join(format!("{:016x}", hasher.finish()));
    if dir.join("manifest.json").is_file() {
        return Ok(dir);
    }
    println!("assembling the suite's images into {}", dir.display());
    let mut script = Command::new("bash");
    let status = script.arg(root.join(SCRIPTS[0])).arg(&dir).arg(REGISTRY).arg(programs).status()?;
    if !status.success() {
        bail!("the images were not assembled ({status})");
    }
    Ok(dir)
}
