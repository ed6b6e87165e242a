//! Reads message names and field numbers from `generated.proto` files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

/// Message name to its field numbers, for one package.
pub type Messages = BTreeMap<String, BTreeSet<u32>>;

/// The messages of the package in `dir`; empty when it has no protobuf form.
pub fn read(dir: &Path) -> Result<Messages> {
    let path = dir.join("generated.proto");
    if !path.exists() {
        return Ok(Messages::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut messages = Messages::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("message ") {
            current = rest.trim_end_matches(" {").to_owned();
            messages.insert(current.clone(), BTreeSet::new());
        } else if let Some((field, number)) = line.trim_end_matches(';').rsplit_once(" = ")
            && field.starts_with("  ")
            && !field.trim_start().starts_with("//")
            && let Ok(number) = number.parse()
            && let Some(numbers) = messages.get_mut(&current)
        {
            numbers.insert(number);
        }
    }
    Ok(messages)
}
