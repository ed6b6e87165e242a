//! What must be so before anything is changed; every refusal says what to do.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Options, supervise};
use crate::dirs::Dirs;
use crate::out;

/// Refuses what cannot work. Changes nothing.
pub fn check(options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("`up` makes namespaces, mounts and network links: run it as root");
    }
    if let Some(pid) = running(&options.dirs)? {
        let data = options.dirs.data.display();
        bail!("Ironclad is already running on {data} (process {pid}); nothing was changed. `ironclad down` stops it");
    }
    if let Some(pid) = supervise::running(&options.dirs).filter(|pid| supervise::of_this_process() != Some(*pid)) {
        let data = options.dirs.data.display();
        bail!("Ironclad on {data} is being started again by process {pid}; nothing was changed. `ironclad down` stops it");
    }
    let data = &options.dirs.data;
    if data.exists() && !data.is_dir() {
        bail!("{} is a file: name a directory with --data-dir", data.display());
    }
    let (pods, services) = (options.pod_network, options.service_network);
    if pods.contains(&services) || services.contains(&pods) {
        bail!(
            "the pod network {pods} and the service network {services} overlap: choose others with \
             --pod-network-cidr and --service-cidr"
        );
    }
    if services.prefix_len() > 28 || pods.prefix_len() > 28 {
        bail!("the pod and service networks need at least 16 addresses each: a prefix length of 28 or less");
    }
    kernel()?;
    free(options.port, "--apiserver-bind-port")?;
    free(options.kubelet_port, "--kubelet-port")
}

fn kernel() -> Result<()> {
    if !has_overlay()? {
        // Where it is a module, asking for it has the kernel load it.
        // SAFETY: the name is a string that ends; the descriptor, if there is one, is closed at once.
        unsafe {
            let fd = libc::syscall(libc::SYS_fsopen, c"overlay".as_ptr(), 0);
            libc::close(i32::try_from(fd).unwrap_or(-1));
        }
    }
    if !has_overlay()? {
        bail!("the kernel has no overlayfs, which container images need: load it with `modprobe overlay`");
    }
    let needs = [
        ("/proc/self/ns/net", "network namespaces"),
        ("/proc/self/ns/pid", "pid namespaces"),
        ("/proc/self/cgroup", "cgroups"),
    ];
    for (path, what) in needs {
        if fs::symlink_metadata(path).is_err() {
            bail!("the kernel has no {what}, which pods need: use a kernel that has them");
        }
    }
    Ok(())
}

fn has_overlay() -> Result<bool> {
    let known = fs::read_to_string("/proc/filesystems").context("read /proc/filesystems")?;
    Ok(known.lines().any(|line| line.split_whitespace().last() == Some("overlay")))
}

fn free(port: u16, flag: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is in use by another program: end it, or choose another port with {flag}")
        }
        Err(e) => Err(e).with_context(|| format!("try port {port}")),
    }
}

/// Makes the directories. Everything in them is for root alone: Secrets, keys and tokens are there as they are. What an
/// older version left readable is repaired, and told.
pub fn directories(dirs: &Dirs) -> Result<()> {
    for (dir, mode) in [(&dirs.data, 0o711), (&dirs.run, 0o700)] {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        restrict(dir, mode)?;
    }
    let mut repaired = Vec::new();
    for item in fs::read_dir(&dirs.data).with_context(|| format!("read {}", dirs.data.display()))? {
        let path = item?.path();
        let file = fs::symlink_metadata(&path)?;
        let mode = if file.is_dir() { 0o700 } else { 0o600 };
        if !file.is_symlink() && restrict(&path, mode)? {
            repaired.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    if !repaired.is_empty() {
        let (data, names) = (dirs.data.display(), repaired.join(", "));
        out::line(format_args!("          other users could reach {names} in {data}: from now on they cannot"));
    }
    Ok(())
}

/// Takes rights away, if there are more than these; says whether there were.
fn restrict(path: &Path, mode: u32) -> Result<bool> {
    let change = || {
        let present = fs::metadata(path)?.permissions().mode() & 0o7777;
        let more = present & !mode != 0;
        if present != mode && (more || path.is_dir()) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok::<_, std::io::Error>(more)
    };
    change().with_context(|| format!("change the mode of {}", path.display()))
}

/// The lock of a running cluster; it ends with the process, however that ends.
pub fn lock(dirs: &Dirs) -> Result<Flock<File>> {
    directories(dirs)?;
    let path = dirs.run.join("ironclad.lock");
    let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    let Ok(mut lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
        bail!("another `up` is starting on {}; nothing was changed", dirs.data.display());
    };
    lock.set_len(0)?;
    lock.write_all(std::process::id().to_string().as_bytes())?;
    Ok(lock)
}

/// The process that runs the cluster, if one does.
pub fn running(dirs: &Dirs) -> Result<Option<u32>> {
    let path = dirs.run.join("ironclad.lock");
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("open {}", path.display())),
    };
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(None),
        Err(_) => Ok(text.trim().parse().ok()),
    }
}

/// As many open files as the machine allows: every watch and every connection is one.
pub fn limits() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // A lower limit is no reason to refuse.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
