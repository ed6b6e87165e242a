//! The files that describe static pods.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest file (upstream: `maxConfigLength`).
const LONGEST: u64 = 10 << 20;

/// A file, and its text or why it has none.
pub type Found = (PathBuf, Result<String, String>);

/// All of them in the order of their names. Hidden files and directories are none; nothing at the path is no file.
pub fn read(path: &Path) -> io::Result<Vec<Found>> {
    match fs::metadata(path) {
        Ok(file) if file.is_dir() => {}
        Ok(_) => return Ok(vec![(path.to_owned(), text(path))]),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    // What is gone since, or a link to nothing, is told of; a directory is not.
    Ok(paths.into_iter().filter(|path| !path.is_dir()).map(|path| (path.clone(), text(&path))).collect())
}

fn text(path: &Path) -> Result<String, String> {
    // A pipe would keep who opens it waiting.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|e| e.to_string())?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("not a regular file".to_owned());
    }
    let mut text = String::new();
    let read = file.take(LONGEST + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if read as u64 > LONGEST { Err(format!("longer than {LONGEST} bytes")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_directories_are_passed_over_and_what_is_odd_is_told() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("b.yaml"), "b").expect("written");
        fs::write(at("a.json"), "a").expect("written");
        fs::write(at(".hidden"), "x").expect("written");
        fs::create_dir(at("sub")).expect("made");
        std::os::unix::fs::symlink("b.yaml", at("link")).expect("linked");
        std::os::unix::fs::symlink("none", at("loose")).expect("linked");
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRUSR).expect("made");
        File::create(at("z")).and_then(|file| file.set_len(LONGEST + 1)).expect("made");
        let found = read(dir.path()).expect("read");
        let told: Vec<_> = found.iter().map(|(p, text)| (p.file_name().expect("name").to_str().expect("text"), text.as_deref().ok())).collect();
        assert_eq!(told, [("a.json", Some("a")), ("b.yaml", Some("b")), ("link", Some("b")), ("loose", None), ("pipe", None), ("z", None)]);
        assert_eq!(read(&at("a.json")).expect("read"), [(at("a.json"), Ok("a".to_owned()))]);
        assert_eq!(read(&at("none")).expect("nothing"), []);
    }
}
