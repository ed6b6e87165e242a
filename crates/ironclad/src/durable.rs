//! Small files of which a crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// Puts a value as JSON in place of a file, for root alone.
pub fn replace(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    swap(path, &text).with_context(|| format!("write {}", path.display()))
}

fn swap(path: &Path, text: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    // What is there already may be what a crash has left.
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let parent = path.parent().context("a file lies in a directory")?;
    Ok(File::open(parent)?.sync_all()?)
}
