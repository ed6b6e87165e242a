//! Small files of the agent's own: a kill or a full disk leaves the old one or the new one.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;

/// Replaces a file by a value in JSON, for the agent's eyes alone; it is on the disk when this returns.
pub fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let next = path.with_extension("tmp");
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        fs::rename(&next, path)
    })();
    if written.is_err() {
        // What is half of it would only take room.
        let _ = fs::remove_file(&next);
    }
    written?;
    path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_leaves_the_old_one_and_no_rest() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("record");
        replace(&path, &1).expect("written");
        // A directory of its name is in the way of the new file.
        fs::create_dir(dir.path().join("record.tmp")).expect("made");
        assert!(replace(&path, &2).is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "1");
        fs::remove_dir(dir.path().join("record.tmp")).expect("removed");
        replace(&path, &3).expect("written");
        let names: Vec<_> = fs::read_dir(dir.path()).expect("listed").map(|file| file.expect("read").file_name()).collect();
        assert_eq!((fs::read_to_string(&path).expect("there").as_str(), names), ("3", vec!["record".into()]));
    }
}
