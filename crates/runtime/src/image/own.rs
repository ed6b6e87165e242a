//! An image that is made of a program on this machine: nothing to download, nothing copied where a link will do.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Reference;
use super::index::Entry;
use super::manifest::ImageConfig;
use super::stage::{self, Stage};
use super::store::{Staged, Store};
use crate::{Image, Result};

impl Store {
    /// Enters an image named `name` whose one file is `/<file>`, a link to (else a copy of) `program`, which must
    /// be statically linked. Its entrypoint is that file with `args`. Again with the same program: the same image.
    pub fn import_program(&self, name: &str, program: &Path, file: &str, args: &[&str]) -> Result<Image> {
        let reference = Reference::parse(name)?;
        let lock = self.lock()?;
        let identity = self.identity(program, file).map_err(|e| self.fail(&e))?;
        let layer = stage::layer_name(&stage::digest(identity.as_bytes()));
        let id = stage::digest(format!("{identity} {args:?}").as_bytes());
        let mut entrypoint = vec![format!("/{file}")];
        entrypoint.extend(args.iter().map(|arg| (*arg).to_owned()));
        let config = ImageConfig { entrypoint, ..ImageConfig::default() };
        let entry = Entry { config, tags: reference.tagged().into_iter().collect(), pinned: true, ..Entry::default() };
        let work = Stage::new(&self.tmp()).map_err(|e| self.fail(&e))?;
        let staged = if self.read()?.layers.contains_key(&layer) {
            Staged { name: layer, dir: None, size: 0 }
        } else {
            let dir = work.path().join(&layer);
            let size = fill(&dir, program, file).map_err(|e| self.fail(&e))?;
            Staged { name: layer, dir: Some(dir), size }
        };
        let image = self.commit(&id, b"", entry, vec![staged])?;
        drop(lock);
        Ok(image)
    }

    /// What tells one build of a program from the next without reading all of it.
    fn identity(&self, program: &Path, file: &str) -> io::Result<String> {
        let meta = fs::metadata(program)?;
        let (size, seconds, nanos) = (meta.len(), meta.mtime(), meta.mtime_nsec());
        Ok(format!("program {file} {}:{} {size} {seconds}.{nanos}", meta.dev(), meta.ino()))
    }
}

fn fill(dir: &Path, program: &Path, file: &str) -> io::Result<u64> {
    fs::create_dir_all(dir)?;
    let target = dir.join(file);
    // `/proc/self/exe` cannot be linked itself; what it stands for can, unless it has been replaced.
    let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_path_buf());
    if fs::hard_link(&real, &target).is_err() {
        // Other file system. The copy shares its blocks where the file system can.
        fs::copy(program, &target)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
        fs::File::open(&target)?.sync_all()?;
    }
    // Mount points of every container, so that nothing needs to be made in its upper layer.
    for place in ["proc", "sys", "dev", "etc", "tmp"] {
        fs::create_dir(dir.join(place))?;
    }
    Ok(fs::metadata(&target)?.len())
}
