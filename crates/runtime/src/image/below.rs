//! What the layers below say of a directory that a layer does not name.
//!
//! A layer may name `tmp/x` and not `tmp/`. Its directory `tmp` is made all the same, and to overlayfs the topmost
//! directory of a name decides owner, rights and attributes of what is seen. So it gets those of the one that is seen
//! without the layer, and what a layer becomes depends on those below it (containerd: `mkparent` with the parents'
//! directories; OCI: `ChainID`).

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::attributes::{directory_at, is_opaque};
use super::stage::Room;
use crate::root::Root;

/// Layers below one that is unpacked, the topmost first.
#[derive(Debug, Default)]
pub(super) struct Below(Vec<Root>);

impl Below {
    /// Opens their directories.
    pub(super) fn open(layers: &[PathBuf]) -> io::Result<Self> {
        let open = |dir: &PathBuf| Root::strict(dir).map_err(io::Error::from);
        layers.iter().map(open).collect::<io::Result<_>>().map(Self)
    }

    /// The directory that is seen at a path, which must have names alone; none where there is something else, or
    /// nothing. Each look takes of `room`.
    pub(super) fn directory(&self, path: &Path, room: &mut Room) -> io::Result<Option<OwnedFd>> {
        for layer in &self.0 {
            match in_layer(layer, path, room)? {
                Seen::Directory(dir) => return Ok(Some(dir)),
                Seen::Nothing => {}
                Seen::Other => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// What one layer says of a path.
enum Seen {
    Directory(OwnedFd),
    /// The layers below it say.
    Nothing,
    /// It is no directory, or was deleted.
    Other,
}

fn in_layer(layer: &Root, path: &Path, room: &mut Room) -> io::Result<Seen> {
    let mut dir = layer.find(Path::new("."), OFlag::O_DIRECTORY | OFlag::O_RDONLY)?;
    let mut hides = false;
    for name in path.components() {
        let Component::Normal(name) = name else { return Ok(Seen::Other) };
        room.look_up()?;
        dir = match directory_at(&dir, name) {
            Ok(next) => next,
            Err(Errno::ENOENT) if !hides => return Ok(Seen::Nothing),
            // A deletion is no directory either.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(Seen::Other),
            Err(e) => return Err(e.into()),
        };
        hides |= is_opaque(&dir);
    }
    Ok(Seen::Directory(dir))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sys::stat::SFlag;

    use super::super::attributes::make_opaque;
    use super::*;

    fn opened(dir: &Path) -> OwnedFd {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        nix::fcntl::open(dir, flags, nix::sys::stat::Mode::empty()).unwrap()
    }

    #[test]
    fn the_topmost_layer_that_says_anything_says_it() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str, dirs: &[&str]| {
            let layer = dir.path().join(name);
            dirs.iter().for_each(|name| fs::create_dir_all(layer.join(name)).unwrap());
            layer
        };
        let low = layer("low", &["both/x", "low/x", "file/x", "link/x", "gone/x", "opaque/x", "deep/gone/x"]);
        let top = layer("top", &["both/x", "top/x", "opaque", "deep"]);
        fs::write(top.join("file"), "").unwrap();
        std::os::unix::fs::symlink("low", top.join("link")).unwrap();
        for gone in ["gone", "deep/gone"] {
            nix::sys::stat::mknod(&top.join(gone), SFlag::S_IFCHR, nix::sys::stat::Mode::empty(), 0).unwrap();
        }
        make_opaque(&opened(&top.join("opaque"))).unwrap();
        let below = Below::open(&[top.clone(), low.clone()]).unwrap();
        let place = |path: &str| {
            let found = below.directory(Path::new(path), &mut Room::at_most(dir.path(), 0, 0)).unwrap()?;
            fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found))).ok()
        };
        for (path, expected) in [("", top.clone()), ("both/x", top.join("both/x")), ("low/x", low.join("low/x")),
            ("top/x", top.join("top/x")), ("opaque", top.join("opaque")), ("deep", top.join("deep"))]
        {
            assert_eq!(place(path), Some(expected), "{path}");
        }
        for path in ["none", "both/none", "file", "file/x", "link", "link/x", "gone", "gone/x", "opaque/x", "deep/gone/x", ".."] {
            assert_eq!(place(path), None, "{path}");
        }
    }

    #[test]
    fn looking_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        let below = Below::open(&[dir.path().to_owned()]).unwrap();
        let mut room = Room::at_most(dir.path(), 0, 0);
        room.looks = 5;
        assert!(below.directory(Path::new("a/b/c"), &mut room).unwrap().is_some());
        let error = below.directory(Path::new("a/b/c"), &mut room).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
