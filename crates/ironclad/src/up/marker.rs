//! `<data-dir>/version`: which format the data directory has as a whole, and which program wrote it last.
//!
//! It is looked at before anything else in the directory, and written before anything else is changed. The store, the
//! pods' records and the shims have versions of their own beside it: this one keeps a program of before some change
//! away from all of it at once.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::durable;

/// The format that is written here; it grows with every change that an earlier program would misread. 0 is a directory
/// without the file: what wrote it is older than the file.
const FORMAT: u32 = 3;
/// What this program is called in it.
const PROGRAM: &str = concat!("Ironclad v", env!("CARGO_PKG_VERSION"));
/// The file is a line.
const LONGEST: u64 = 4096;

/// What the file says. What later programs say beside it is left alone.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Marker {
    format: u32,
    program: String,
}

/// Refuses a data directory that a later program has written. Changes nothing.
pub fn check(data: &Path) -> Result<()> {
    let found = read(&data.join("version"))?;
    if found.format > FORMAT {
        bail!(
            "{} was written by {} in format {}, and this {PROGRAM} knows formats up to {FORMAT}; nothing was changed. \
             Run the program that wrote it, or one that is newer; a backup from before can be opened with this one",
            data.display(),
            if found.program.is_empty() { "a newer program" } else { &found.program },
            found.format
        );
    }
    Ok(())
}

/// Says, durably, that this program writes the directory from now on. To be called by whoever has its lock, before
/// anything in it is changed.
pub fn claim(data: &Path) -> Result<()> {
    // Another program may have had the directory since it was looked at first.
    check(data)?;
    match is_claimed(data)? {
        true => Ok(()),
        false => durable::replace(&data.join("version"), &own()),
    }
}

/// Whether the directory says already that this program writes it.
pub fn is_claimed(data: &Path) -> Result<bool> {
    Ok(read(&data.join("version"))? == own())
}

fn own() -> Marker {
    Marker { format: FORMAT, program: PROGRAM.to_owned() }
}

fn read(path: &Path) -> Result<Marker> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Marker::default()),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    }
    serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} does not say what the data directory's format is; nothing was changed. If no newer Ironclad has run \
             there, remove the file",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::dirs::Dirs;

    fn with(text: Option<&str>) -> (tempfile::TempDir, Dirs) {
        let dir = tempfile::tempdir().expect("dir");
        if let Some(text) = text {
            fs::write(dir.path().join("version"), text).expect("writes");
        }
        let dirs = Dirs::of(dir.path());
        (dir, dirs)
    }

    fn written(dirs: &Dirs) -> String {
        fs::read_to_string(dirs.data.join("version")).expect("is there")
    }

    #[test]
    fn an_earlier_directory_is_claimed_and_this_programs_own_is_left_alone() {
        for earlier in [None, Some(r#"{"format":0,"program":"x"}"#), Some(r#"{"format":1,"program":"x","more":[1]}"#)] {
            let (_dir, dirs) = with(earlier);
            check(&dirs.data).expect("is older");
            claim(&dirs.data).expect("is claimed");
            assert_eq!(written(&dirs), format!("{{\"format\":{FORMAT},\"program\":\"{PROGRAM}\"}}\n"));
            let file = || fs::metadata(dirs.data.join("version")).expect("is there");
            let before = file().ino();
            claim(&dirs.data).expect("again");
            assert_eq!(file().ino(), before, "it was written again");
            assert_eq!(file().mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(&dirs.data).expect("reads").count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn a_later_directory_is_refused_in_words() {
        let text = format!(r#"{{"format":{},"program":"Ironclad v9.1.0","shape":"round"}}"#, FORMAT + 1);
        let (_dir, dirs) = with(Some(&text));
        for refusal in [check(&dirs.data), claim(&dirs.data)] {
            let words = refusal.expect_err("is later").to_string();
            assert!(words.contains("was written by Ironclad v9.1.0 in format 4"), "{words}");
            assert!(words.contains("Run the program that wrote it"), "{words}");
        }
        assert_eq!(written(&dirs), text);
        let (_dir, dirs) = with(Some(r#"{"format":77,"program":""}"#));
        assert!(check(&dirs.data).expect_err("is later").to_string().contains("by a newer program in format 77"));
    }

    #[test]
    fn what_is_no_marker_is_not_taken_for_an_old_directory() {
        for text in ["", "2\n", "{}", r#"{"format":-1,"program":"x"}"#, r#"{"format":"1","program":"x"}"#] {
            let (_dir, dirs) = with(Some(text));
            let words = claim(&dirs.data).expect_err(text).to_string();
            assert!(words.contains("does not say what the data directory's format is"), "{words}");
            assert_eq!(written(&dirs), text);
        }
    }
}
