//! A small disk of its own, which can be filled without harm to anybody else: ext4 on a file.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

/// Its bytes. The demo's image is a copy of the program, which is large when it was built for tests.
const SIZE: u64 = 3 << 30;

/// A mounted disk. The file and the mount go with the namespace and the temporary directory.
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Makes one below a directory.
    pub fn mount(home: &Path) -> Result<Self> {
        let (file, path) = (home.join("disk.img"), home.join("disk"));
        std::fs::create_dir(&path)?;
        File::create(&file)?.set_len(SIZE)?;
        call(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&file))?;
        call(Command::new("mount").args(["-o", "loop"]).arg(&file).arg(&path))?;
        Ok(Disk { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the space that is left.
    pub fn fill(&self) -> Result<Filler> {
        let path = self.path.join("filler");
        let file = File::create(&path)?;
        let (mut at, mut step) = (0_i64, 1_i64 << 28);
        while step >= 4096 {
            match fallocate(&file, FallocateFlags::empty(), at, step) {
                Ok(()) => at += step,
                Err(Errno::ENOSPC) => step /= 2,
                Err(Errno::EINTR) => {}
                Err(error) => bail!("fill the disk (descriptor {}): {error}", file.as_raw_fd()),
            }
        }
        Ok(Filler { path })
    }

    /// Bytes in use.
    pub fn used(&self) -> Result<u64> {
        let stat = statvfs(&self.path)?;
        Ok((stat.blocks() - stat.blocks_free()) * stat.fragment_size())
    }

    pub fn unmount(self) -> Result<()> {
        Ok(nix::mount::umount(&self.path)?)
    }
}

/// The file that takes the space; dropped, it is free again.
pub struct Filler {
    path: PathBuf,
}

impl Drop for Filler {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            eprintln!("free the disk: {error}");
        }
    }
}

fn call(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
