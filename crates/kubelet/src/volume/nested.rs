//! Places in a volume for what is mounted below it.
//!
//! A volume whose files the kubelet writes is read-only in the container, so that the runtime can make no place in it. The
//! kubelet does (upstream: `MakeNestedMountpoints`, which makes directories alone).

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use runtime::{Kind, Mount, Root, absolute};

use super::atomic;

/// Makes them in those of `written` that others of `all` lie below.
pub fn make(written: &[Mount], all: &[Mount]) -> Result<(), String> {
    for outer in written.iter().filter(|mount| mount.source.is_dir()) {
        for inner in all {
            // What is mounted twice on the same place has a place; what lies below another one's has it there.
            if let Some(place) = below(&outer.target, &inner.target).filter(|_| nearest(outer, inner, all)) {
                let fail = |e| format!("failed to make place {} in {}: {e}", place.display(), outer.target.display());
                place_in(&outer.source, &place, inner.source.exists() && !inner.source.is_dir()).map_err(fail)?;
            }
        }
    }
    Ok(())
}

fn place_in(volume: &Path, place: &Path, file: bool) -> Result<(), Errno> {
    let root = Root::strict(volume)?;
    if !file {
        return root.make(place, Kind::Directory, 0o755).map(drop);
    }
    // Beside the entries, not among them: there it would be one that the volume should not have.
    let first = place.iter().next().map(|name| volume.join(name));
    let among = !atomic::is_top(volume) || first.is_some_and(|first| first.is_symlink());
    if among { Ok(()) } else { root.make(place, Kind::File, 0o644).map(drop) }
}

/// Whether no other mount lies between the two.
fn nearest(outer: &Mount, inner: &Mount, all: &[Mount]) -> bool {
    let between = |other: &Mount| below(&outer.target, &other.target).is_some() && below(&other.target, &inner.target).is_some();
    !all.iter().any(between)
}

/// The way from one path of the container down to another; none when it lies elsewhere, or is the same.
fn below(outer: &Path, inner: &Path) -> Option<PathBuf> {
    let (outer, inner) = (absolute(outer), absolute(inner));
    inner.strip_prefix(outer).ok().filter(|rest| !rest.as_os_str().is_empty()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn mount(source: &Path, target: &str) -> Mount {
        Mount { source: source.to_owned(), target: target.into(), ..Mount::default() }
    }

    #[test]
    fn what_is_mounted_below_has_a_place_of_its_kind() {
        let dir = tempfile::tempdir().expect("directory");
        let (volume, inner, other) = (dir.path().join("volume"), dir.path().join("inner"), dir.path().join("other"));
        let (file, missing) = (dir.path().join("file"), dir.path().join("missing"));
        let put = |text: &str| {
            let payload = ["key", "sub/key"].map(|path| (path.to_owned(), (text.as_bytes().to_vec(), 0o644))).into();
            atomic::write(&volume, &payload, |_| Ok(())).expect("written")
        };
        put("one");
        fs::create_dir_all(&inner).expect("made");
        fs::create_dir_all(&other).expect("made");
        fs::write(&file, "").expect("written");
        let outer = mount(&volume, "/etc/app/");
        let all = [
            outer.clone(), mount(&inner, "/etc/app/a/b"), mount(&inner, "/etc/app/a/b/c"), mount(&file, "/etc/./app/log"),
            mount(&missing, "/etc/app/none"), mount(&inner, "/etc/app/sub/d"), mount(&file, "/etc/app/key"),
            mount(&file, "/etc/app/sub/log"), mount(&other, "/etc/apple"), mount(&other, "/etc/app/../x"), mount(&other, "/etc"),
        ];
        make(&[outer], &all).expect("made");
        for (place, directory) in [("a/b", true), ("log", false), ("none", true), ("sub/d", true), ("key", false)] {
            assert_eq!(fs::metadata(volume.join(place)).expect(place).is_dir(), directory, "{place}");
        }
        assert!(!volume.join("a/b/c").exists(), "its place is in the mount above it");
        assert!(!volume.join("sub/log").exists(), "no file among the entries");
        assert_eq!(fs::read_dir(&other).expect("list").count(), 0, "only what the kubelet writes");
        assert!(!put("one"), "places are no change of the content");
        assert!(put("two"));
        assert!(volume.join("a/b").is_dir() && volume.join("log").is_file() && fs::read(volume.join("key")).expect("there") == b"two");
        let out = mount(&volume, "/etc/app");
        assert!(make(&[out.clone()], &[mount(&inner, "/etc/app/key/below")]).is_err(), "an entry is no directory");
        std::os::unix::fs::symlink("/", volume.join("out")).expect("linked");
        assert!(make(&[out], &[mount(&inner, "/etc/app/out/tmp/made")]).is_err(), "no link leads out");
    }
}
