//! The container from inside: its root, and what is done at paths that it controls.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{DEVPTS_SUPER_MAGIC, PROC_SUPER_MAGIC, fstatfs};

use super::Result;
use crate::mount;
use crate::root::{Identity, Kind, Root};
use crate::shim::wire::Failure;

/// Files of procfs that a volume may replace (runc's list: what LXCFS emulates).
const EMULATED: [&str; 10] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "proc/loadavg",
    "proc/slabinfo",
    "proc/sys/kernel/ns_last_pid",
    "proc/sys/crypto/fips_enabled",
];

/// A container that this process is in.
pub(super) struct Place {
    /// Its root directory.
    pub root: Root,
}

impl Place {
    /// This process's own root.
    pub(super) fn here() -> Result<Self> {
        let root = Root::open(Path::new("/")).map_err(|e| Failure::system("open the container's root", e))?;
        Ok(Self { root })
    }

    /// Puts a mount where the container wants it; what is missing is made. `source` words errors.
    pub(super) fn mount(&self, tree: &OwnedFd, target: &Path, kind: Kind) -> Result<()> {
        let fail = |e: Errno| Failure::system(format_args!("mount on {}", target.display()), e);
        let place = self
            .root
            .make(target, kind, 0o755)
            .map_err(|e| Failure::system(format_args!("make mount point {}", target.display()), e))?;
        if Identity::of(&place).map_err(fail)? == Identity::of(&self.root).map_err(fail)? {
            return Err(Failure::Start("mounting into / is prohibited".into()));
        }
        if is_procfs(&place).map_err(fail)? && !self.may_cover(&place, tree).map_err(fail)? {
            return Err(Failure::Start(format!("{:?} cannot be mounted because it is inside /proc", target.display())));
        }
        if is_directory(&place).map_err(fail)? != is_directory(tree).map_err(fail)? {
            return Err(Failure::Start(format!(
                "mount on {}: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the \
                 specified host path exists and is the expected type",
                target.display()
            )));
        }
        mount::attach(tree, &place).map_err(fail)
    }

    /// Whether a mount may hide this place on procfs: procfs itself by another one, and the files that LXCFS knows.
    fn may_cover(&self, place: &OwnedFd, tree: &OwnedFd) -> nix::Result<bool> {
        let wanted = Identity::of(place)?;
        if wanted == Identity::of(self.root.find(Path::new("proc"), OFlag::O_PATH)?)? {
            return is_procfs(tree);
        }
        let same = |path: &str| {
            let found = self.root.find(Path::new(path), OFlag::O_PATH);
            found.and_then(Identity::of).is_ok_and(|found| found == wanted)
        };
        Ok(EMULATED.iter().any(|path| same(path)))
    }

    /// Checks that what the container will see as `/proc` is one.
    pub(super) fn verify_proc(&self) -> Result<()> {
        let found = self.root.find(Path::new("proc"), OFlag::O_PATH | OFlag::O_DIRECTORY).and_then(is_procfs);
        match found {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Start("\"/proc\" is not of type proc".into())),
            Err(e) => Err(Failure::system("look at /proc", e)),
        }
    }

    /// The multiplexer of the container's terminals, as it sees it: on a devpts and nowhere else.
    pub(super) fn multiplexer(&self) -> Result<OwnedFd> {
        let path = Path::new("dev/pts/ptmx");
        let master = self.device(path, 5, 2)?;
        let fail = |e: Errno| Failure::system("look at /dev/pts/ptmx", e);
        if fstatfs(&master).map_err(fail)?.filesystem_type() != DEVPTS_SUPER_MAGIC {
            return Err(Failure::Start("\"/dev/pts/ptmx\" is not of type devpts".into()));
        }
        Ok(master)
    }

    /// Opens a character device for reading and writing; it is an error when the path holds anything else.
    pub(super) fn device(&self, path: &Path, major: u32, minor: u32) -> Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let open = || -> nix::Result<OwnedFd> {
            let device = self.root.find(path, flags)?;
            nix::fcntl::fcntl(&device, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_RDWR))?;
            Ok(device)
        };
        let device = open().map_err(|e| Failure::system(format_args!("open /{}", path.display()), e))?;
        if is_device(&device, major, minor).map_err(|e| Failure::system(path.display(), e))? {
            return Ok(device);
        }
        Err(Failure::Start(format!("/{} is not the character device {major}:{minor}", path.display())))
    }
}

/// Whether a descriptor is this character device.
pub(super) fn is_device(file: impl AsFd, major: u32, minor: u32) -> nix::Result<bool> {
    let stat = fstat(file)?;
    let character = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits();
    Ok(character && (libc::major(stat.st_rdev), libc::minor(stat.st_rdev)) == (major, minor))
}

fn is_directory(file: impl AsFd) -> nix::Result<bool> {
    Ok(fstat(file)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
}

fn is_procfs(file: impl AsFd) -> nix::Result<bool> {
    Ok(fstatfs(file)?.filesystem_type() == PROC_SUPER_MAGIC)
}
