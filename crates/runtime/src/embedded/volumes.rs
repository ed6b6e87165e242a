//! What is mounted in a container, and in which order: what its pod says, and copies of its image's volumes.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Inner;
use crate::image::{Local, Places};
use crate::{Error, Mount, Result, absolute};

/// A container's copies of its image's volumes, in its directory.
const COPIES: &str = "volumes";

impl Inner {
    /// All mounts of a container in the order in which they are made; what they need is made in `dir`, its directory.
    pub(super) fn mounts_of(&self, wanted: &[Mount], image: &Local, dir: &Path) -> Result<Vec<Mount>> {
        for mount in wanted {
            make_source(&mount.source)?;
        }
        let paths = of_image(image.config.volumes.0.iter(), wanted);
        let mut all = wanted.to_vec();
        if !paths.is_empty() {
            let taken: Vec<PathBuf> = wanted.iter().map(|mount| absolute(&mount.target)).collect();
            let (tree, empty, copies) = (dir.join("rootfs"), dir.join("work"), dir.join(COPIES));
            let places = Places { tree: &tree, empty: &empty, copies: &copies };
            let made = self.images.copy_volumes(&image.layers, &paths, &taken, &places)?;
            all.extend(made.into_iter().map(|(source, target)| Mount { source, target, ..Mount::default() }));
        }
        Ok(ordered(all))
    }
}

/// The size of a container's own files, its layer and its copies; see [`crate::tree_usage`].
pub(super) fn usage(dir: &Path, enough: u64) -> io::Result<crate::Size> {
    let layer = crate::tree_usage(&dir.join("upper"), enough)?;
    if layer.bytes > enough {
        return Ok(layer);
    }
    Ok(layer.plus(crate::tree_usage(&dir.join(COPIES), enough - layer.bytes)?))
}

/// A path of the node that is not there becomes a directory (containerd: `WithMounts`).
fn make_source(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        // Anything else is told by who mounts it.
        _ => return Ok(()),
    }
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|e| Error::System(format!("failed to mkdir {path:?}: {e}")))
}

/// Where an image has volumes that no mount takes the place of, outer ones first (containerd: `volumeMounts`).
fn of_image<'a>(volumes: impl Iterator<Item = &'a String>, wanted: &[Mount]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = volumes.map(|path| absolute(Path::new(path))).collect();
    paths.retain(|path| !wanted.iter().any(|mount| absolute(&mount.target) == *path));
    paths.sort_by_cached_key(|path| (depth(path), path.clone()));
    paths.dedup();
    paths
}

/// What lies deeper is mounted later, or it would be hidden; else the order stays (containerd: `orderedMounts`).
fn ordered(mut mounts: Vec<Mount>) -> Vec<Mount> {
    mounts.sort_by_key(|mount| depth(&absolute(&mount.target)));
    mounts
}

fn depth(path: &Path) -> usize {
    path.components().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(targets: &[&str]) -> Vec<Mount> {
        targets.iter().map(|target| Mount { target: target.into(), ..Mount::default() }).collect()
    }

    #[test]
    fn what_lies_deeper_comes_later_and_the_rest_stays() {
        let order = ordered(mounts(&["/app/conf", "/z", "/app/", "/app/./x/../y", "/a", "//app//conf/d/", "/app/conf"]));
        let order: Vec<_> = order.iter().map(|mount| mount.target.to_str().unwrap()).collect();
        assert_eq!(order, ["/z", "/app/", "/a", "/app/conf", "/app/./x/../y", "/app/conf", "//app//conf/d/"]);
    }

    #[test]
    fn a_mount_takes_the_place_of_an_images_volume() {
        let of = |volumes: &[&str], targets: &[&str]| {
            let volumes: Vec<String> = volumes.iter().map(|path| (*path).to_owned()).collect();
            of_image(volumes.iter(), &mounts(targets))
        };
        assert_eq!(of(&["/a/b", "data", "/a", "/a/", "/../c"], &[]), ["/a", "/c", "/data", "/a/b"].map(PathBuf::from));
        assert_eq!(of(&["/a/b/", "/a"], &["/a/./b", "/x"]), [PathBuf::from("/a")]);
        assert_eq!(of(&["/a/b"], &["/a"]), [PathBuf::from("/a/b")], "below a mount it is still there");
    }

    #[test]
    fn a_source_that_is_missing_is_made_and_no_other_touched() {
        let dir = tempfile::tempdir().unwrap();
        make_source(&dir.path().join("a/b")).unwrap();
        assert!(dir.path().join("a/b").is_dir());
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        make_source(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"x");
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        assert!(make_source(&dir.path().join("link")).unwrap_err().to_string().starts_with("failed to mkdir"));
    }

    #[test]
    fn copies_count() {
        let dir = tempfile::tempdir().unwrap();
        for part in ["upper", "volumes/0"] {
            fs::create_dir_all(dir.path().join(part)).unwrap();
            fs::write(dir.path().join(part).join("file"), [1; 64 << 10]).unwrap();
        }
        let taken = usage(dir.path(), u64::MAX).unwrap();
        assert!((128 << 10..160 << 10).contains(&taken.bytes), "{taken:?}");
        assert!((2..64 << 10).contains(&usage(dir.path(), 1).unwrap().bytes), "no further than it must");
    }
}
