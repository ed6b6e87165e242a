//! Small files written so that a crash leaves the old or the new content, never a mixture.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Replaces a file atomically; with `durable` the new content is on the disk on return.
pub(crate) fn write(path: &Path, content: &[u8], durable: bool) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    if durable {
        file.sync_data()?;
    }
    fs::rename(&temporary, path)?;
    if durable && let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// [`write`] of a value as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, durable: bool) -> io::Result<()> {
    write(path, &serde_json::to_vec(value)?, durable)
}

/// Reads a JSON file; `None` when there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    read(path)?.map(|bytes| parse(path, &bytes)).transpose()
}

/// What a record says of itself; 0 where it says nothing.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: u32,
}

impl Versioned {
    fn known(&self, path: &Path, known: u32) -> io::Result<()> {
        let (version, path) = (self.version, path.display());
        if version <= known {
            return Ok(());
        }
        Err(invalid(format!(
            "{path} has version {version}, and this program knows versions up to {known}: run the newer one that wrote it"
        )))
    }
}

/// [`read_json`] of a record that carries a `version`. One of a later version than `known` is refused in words: it may
/// mean something else.
pub(crate) fn read_record<T: DeserializeOwned>(path: &Path, known: u32) -> io::Result<Option<T>> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    // First of all: a later version may have other fields.
    parse::<Versioned>(path, &bytes)?.known(path, known)?;
    parse(path, &bytes).map(Some)
}

/// Refuses a record of a later version, and nothing else: whether it can be read is its reader's business.
pub(crate) fn refuse_later(path: &Path, known: u32) -> io::Result<()> {
    let found = read(path)?.and_then(|bytes| parse::<Versioned>(path, &bytes).ok());
    found.map_or(Ok(()), |found| found.known(path, known))
}

/// A file without content is none: a loss of power leaves that of one that had just been written.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| bytes.iter().any(|b| *b != 0))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|e| invalid(format!("{}: {e}", path.display())))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Record {
        name: String,
    }

    #[test]
    fn a_record_of_a_later_version_is_refused_before_it_is_understood() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("record.json");
        let read = |text: &str| {
            write(&path, text.as_bytes(), false).expect("writes");
            read_record::<Record>(&path, 3).map_err(|e| e.to_string())
        };
        let known = Ok(Some(Record { name: "a".into() }));
        assert_eq!(read(r#"{"name":"a"}"#), known);
        assert_eq!(read(r#"{"name":"a","version":3,"more":{}}"#), known);
        for later in [r#"{"version":4,"name":"a"}"#, r#"{"version":4,"names":[]}"#] {
            let words = read(later).expect_err("is later");
            assert_eq!(refuse_later(&path, 3).expect_err("is later").to_string(), words);
            assert!(words.ends_with("has version 4, and this program knows versions up to 3: run the newer one that wrote it"));
        }
        for nothing in ["", "\0\0\0"] {
            assert_eq!(read(nothing), Ok(None));
        }
        for wrong in ["{", "{}", r#"{"name":"a","version":-1}"#, r#"{"name":"a","version":"1"}"#] {
            read(wrong).expect_err(wrong);
            refuse_later(&path, 3).expect("is none of its business");
        }
        fs::remove_file(&path).expect("removes");
        assert_eq!(read_record::<Record>(&path, 3).expect("is no error"), None);
    }
}
