//! Replaces a directory's content at once, as readers see it (upstream: `AtomicWriter`).
//!
//! The files live in `..<time>.<n>/`; `..data` links to the present one, and each visible name
//! links through `..data`. One rename moves all of them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};

use super::{Payload, at};

const DATA: &str = "..data";

/// Writes the payload below `dir`. Does nothing, and returns false, when it is there already.
/// `own` is called on the new directory before readers can see it.
pub fn write(dir: &Path, payload: &Payload, own: impl Fn(&Path) -> Result<(), String>) -> Result<bool, String> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    if let Some(bad) = payload.keys().find(|path| !is_plain(path)) {
        return Err(format!("invalid path {bad:?}"));
    }
    let data = dir.join(DATA);
    let old = fs::read_link(&data).ok();
    if old.is_some() && is_current(&data, payload) {
        // The names may be missing still.
        link_names(dir, payload)?;
        return Ok(false);
    }
    let name = fresh_name(dir);
    let fresh = dir.join(&name);
    for (path, (bytes, mode)) in payload {
        let file = fresh.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        fs::write(&file, bytes).map_err(at(&file))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).map_err(at(&file))?;
    }
    fs::create_dir_all(&fresh).map_err(at(&fresh))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).map_err(at(&fresh))?;
    own(&fresh)?;
    let next = dir.join("..data_tmp");
    let _ = fs::remove_file(&next);
    symlink(&name, &next).map_err(at(&next))?;
    fs::rename(&next, &data).map_err(at(&data))?;
    link_names(dir, payload)?;
    // One of ours, and not what somebody has linked to.
    if let Some(old) = old.filter(|old| is_version(old)) {
        let _ = runtime::remove_tree(&dir.join(old));
    }
    Ok(true)
}

/// Whether a directory is one that [`write`] has written, and no part of one.
pub fn is_top(dir: &Path) -> bool {
    dir.join(DATA).is_symlink()
}

fn is_plain(path: &str) -> bool {
    let path = Path::new(path);
    let mut parts = path.components().peekable();
    parts.peek().is_some_and(|first| !first.as_os_str().to_string_lossy().starts_with(".."))
        && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a link's target is the name of a directory that [`fresh_name`] made.
fn is_version(target: &Path) -> bool {
    let mut parts = target.components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name.to_string_lossy().starts_with(".."))
}

fn fresh_name(dir: &Path) -> String {
    let stamp = jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S");
    (0_u32..).map(|n| format!("{stamp}.{n}")).find(|name| !dir.join(name).exists()).unwrap_or_default()
}

fn is_current(data: &Path, payload: &Payload) -> bool {
    let same = |path: &String, bytes: &Vec<u8>| fs::read(data.join(path)).is_ok_and(|old| old == *bytes);
    payload.iter().all(|(path, (bytes, _))| same(path, bytes)) && files(data).len() == payload.len()
}

/// Relative paths of all files below a directory.
fn files(dir: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(t) if t.is_dir() => open.push(entry.path()),
                _ => {
                    found.insert(entry.path());
                }
            }
        }
    }
    found
}

/// Visible names: one link for each first path component; links of removed ones go. What else is there is a place for what
/// is mounted below the volume.
fn link_names(dir: &Path, payload: &Payload) -> Result<(), String> {
    let first = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = payload.keys().map(first).collect();
    for entry in fs::read_dir(dir).map_err(at(dir))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let own = || fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(DATA).join(&name));
        if !name.starts_with("..") && !names.contains(&name) && own() {
            fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    for name in names {
        let link = dir.join(&name);
        match fs::symlink_metadata(&link) {
            Ok(there) if !there.is_dir() => continue,
            // A place that was made while there was no such entry; one that has something in it stays.
            Ok(_) if fs::remove_dir(&link).is_err() => continue,
            _ => symlink(Path::new(DATA).join(&name), &link).map_err(at(&link))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_replaced_and_removed_names_vanish() {
        let dir = tempfile::tempdir().expect("directory");
        let put = |entries: &[(&str, &str)]| {
            let payload = entries.iter().map(|(k, v)| ((*k).to_owned(), (v.as_bytes().to_vec(), 0o400))).collect();
            write(dir.path(), &payload, |_| Ok(())).expect("written")
        };
        let get = |name: &str| fs::read_to_string(dir.path().join(name)).ok();
        assert!(put(&[("a", "1"), ("sub/b", "2")]));
        assert!(!put(&[("a", "1"), ("sub/b", "2")]), "unchanged");
        assert_eq!((get("a"), get("sub/b")), (Some("1".to_owned()), Some("2".to_owned())));
        assert!(put(&[("a", "3")]));
        assert_eq!((get("a"), get("sub/b")), (Some("3".to_owned()), None));
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 3, "a, ..data and one version");
        for target in ["/etc", "..", "../x", "..1/y", "..1/..", "x"] {
            assert!(!is_version(Path::new(target)), "{target}");
        }
        assert!(is_version(&fs::read_link(dir.path().join(DATA)).expect("link")));
        // A place for another volume stays; one that an entry takes is the entry's.
        fs::create_dir(dir.path().join("place")).expect("made");
        fs::write(dir.path().join("file"), "").expect("made");
        fs::create_dir(dir.path().join("b")).expect("made");
        assert!(put(&[("b", "4")]));
        assert_eq!((get("a"), get("b"), get("file")), (None, Some("4".to_owned()), Some(String::new())));
        assert!(dir.path().join("place").is_dir());
        // What a crash left between the content and its names.
        fs::remove_file(dir.path().join("b")).expect("removed");
        assert!(!put(&[("b", "4")]));
        assert_eq!(get("b"), Some("4".to_owned()));
        let bad = [("../x".to_owned(), (Vec::new(), 0o400))].into();
        assert!(write(dir.path(), &bad, |_| Ok(())).is_err());
    }
}
