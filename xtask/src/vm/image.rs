//! The image: a Debian with systemd, assembled once and kept in the cache. Its folder's name has a digest of all that
//! it is made of, so that another recipe makes another image.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};

use crate::test::succeed;

/// Programs that make and start machines, and Debian's packages that have them.
pub(super) const NEEDED: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mkfs.ext4", "e2fsprogs"),
    ("modprobe", "kmod"),
    ("strip", "binutils"),
];

/// What every machine has.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "linux-image-cloud-amd64",
    "nftables",
    "procps",
    "systemd",
    "systemd-sysv",
    "udev",
];

/// Files that make it.
const KIT: &str = "tests/vm/kit";
const RECIPE: [&str; 3] = ["assemble.sh", "init.sh", "agent.sh"];

/// An image that nobody has used for so long is of an older recipe.
const STALE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// One image.
pub(super) struct Image {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

impl Image {
    /// The image with these packages and those that every machine has; assembles it when the cache does not have it.
    pub(super) fn get(root: &Path, packages: impl Iterator<Item = String>) -> Result<Image> {
        let packages: BTreeSet<String> = PACKAGES.iter().map(|&name| name.to_owned()).chain(packages).collect();
        let mut hasher = DefaultHasher::new();
        packages.hash(&mut hasher);
        for file in RECIPE {
            let path = root.join(KIT).join(file);
            std::fs::read(&path).with_context(|| format!("read {}", path.display()))?.hash(&mut hasher);
        }
        let cache = crate::upstream::cache()?.join("vm");
        let dir = cache.join(format!("{:016x}", hasher.finish()));
        std::fs::create_dir_all(&cache).with_context(|| format!("create {}", cache.display()))?;
        // Two that want the same image at the same time: the second finds what the first has assembled.
        let lock = File::create(dir.with_extension("lock"))?;
        lock.lock()?;
        if !dir.is_dir() {
            assemble(root, &packages, &dir)?;
            sweep(&cache, &dir);
        }
        File::open(&dir)?.set_modified(SystemTime::now())?;
        Ok(Image { disk: dir.join("disk"), kernel: dir.join("kernel"), initrd: dir.join("initrd") })
    }
}

/// Assembles under another name and renames: an image that is there is whole.
fn assemble(root: &Path, packages: &BTreeSet<String>, dir: &Path) -> Result<()> {
    println!("assembling a virtual machine's image into {}", dir.display());
    let start = Instant::now();
    let part = dir.with_extension("part");
    let _ = std::fs::remove_dir_all(&part);
    std::fs::create_dir_all(&part).with_context(|| format!("create {}", part.display()))?;
    let mut command = Command::new("setpriv");
    // With its own mounts and process ids, so that nothing outlives it or us.
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "bash"]);
    command.arg(root.join(KIT).join("assemble.sh")).arg(&part).args(packages).env("PATH", crate::test::path());
    succeed(&mut command)?;
    std::fs::rename(&part, dir).with_context(|| format!("rename {}", part.display()))?;
    println!("assembled in {} s", start.elapsed().as_secs());
    Ok(())
}

/// Removes images of older recipes.
fn sweep(cache: &Path, current: &Path) {
    let old = |path: &Path| {
        let used = path.metadata().and_then(|meta| meta.modified()).ok()?;
        (used.elapsed().ok()? > STALE).then_some(())
    };
    for path in std::fs::read_dir(cache).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path != current && path.is_dir() && old(&path).is_some() {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// A disk with the files of a directory, for reading.
pub(super) fn disk_of(dir: &Path, disk: &Path) -> Result<()> {
    let bytes = size(dir)?;
    // Beside the files: a share for the file system's own tables.
    File::create(disk)?.set_len(bytes + bytes / 8 + (16 << 20))?;
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-F", "-m", "0", "-O", "^has_journal", "-d"]).arg(dir).arg(disk);
    succeed(mkfs.env("PATH", crate::test::path()))
}

fn size(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        // Each takes whole blocks.
        bytes += if meta.is_dir() { size(&entry.path())? } else { meta.len().next_multiple_of(4096) } + 4096;
    }
    Ok(bytes)
}
