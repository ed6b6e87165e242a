//! The copies that a container has of its image's volumes.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::copy::{Copier, Which, which};
use super::stage::Room;
use super::store::Store;
use crate::root::Root;
use crate::{Error, Result, overlay};

/// Where copies of an image's volumes go.
pub(crate) struct Places<'a> {
    /// An empty directory to see the image in.
    pub tree: &'a Path,
    /// Another one, which stays empty.
    pub empty: &'a Path,
    /// The directory that the copies are made in; it is made.
    pub copies: &'a Path,
}

impl Store {
    /// Copies what an image has at `paths`, in the order in which they are mounted; returns the directories that were made,
    /// each with its path. Paths that lead to where another one leads, or one of `taken`, are left out, as is what lies
    /// below another mount. An image that has nothing there gets an empty directory (containerd: `WithVolumes`).
    pub(crate) fn copy_volumes(
        &self, layers: &[String], paths: &[PathBuf], taken: &[PathBuf], places: &Places<'_>,
    ) -> Result<Vec<(PathBuf, PathBuf)>> {
        let fail = |e: &dyn std::fmt::Display| Error::System(format!("taking runtime copy of volume: {e}"));
        let mut stack: Vec<String> = layers.iter().rev().cloned().collect();
        // An overlay to read stands on two directories at least.
        stack.push(places.empty.to_string_lossy().into_owned());
        let made = overlay::with_tree(places.tree, &self.layers_dir(), &stack, |root| copy(root, paths, taken, places.copies));
        made.map_err(|e| fail(&e))?.map_err(|e| fail(&e))
    }
}

/// What an image has at a path.
fn look(root: &Root, path: &Path) -> io::Result<Option<OwnedFd>> {
    match root.find(path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ENOTDIR) => Err(io::Error::other(format!("source {} is not directory", path.display()))),
        Err(e) => Err(e.into()),
    }
}

fn copy(root: &Root, paths: &[PathBuf], taken: &[PathBuf], copies: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let there = |path: &Path| root.find(path, OFlag::O_PATH).and_then(which).ok();
    let mounts: Vec<(&PathBuf, Which)> = taken.iter().chain(paths).filter_map(|path| Some((path, there(path)?))).collect();
    let mut seen: HashSet<Which> = taken.iter().filter_map(|path| there(path)).collect();
    let top = which(root)?;
    DirBuilder::new().mode(0o700).create(copies)?;
    let names = copies.join("names");
    fs::create_dir(&names)?;
    let mut room = Room::of(copies)?;
    let mut copier = Copier { room: &mut room, names: open(&names)? };
    let mut made = Vec::new();
    for path in paths {
        let from = look(root, path)?;
        let place = copies.join(made.len().to_string());
        match &from {
            Some(from) if which(from)? == top => return Err(io::Error::other("mounting into / is prohibited")),
            Some(from) if !seen.insert(which(from)?) => continue,
            _ => fs::create_dir(&place)?,
        }
        // Whatever the umask takes away.
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
        if let Some(from) = from {
            let below = mounts.iter().filter(|(other, _)| *other != path && other.starts_with(path));
            copier.copy(from, &place, &below.map(|(_, which)| *which).collect())?;
        }
        made.push((place, path.clone()));
    }
    crate::remove_tree(&names)?;
    Ok(made)
}

fn open(dir: &Path) -> nix::Result<OwnedFd> {
    nix::fcntl::open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())
}
