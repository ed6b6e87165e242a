//! The pod's namespaces.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, sethostname, setsid};

use super::SHM;
use super::pause::{self, Pause};
use super::users;
use super::wire::{Failure, PidNamespace, Sandbox};
use crate::container::{self, Entry};

type Result<T> = std::result::Result<T, Failure>;

/// Leaves the starter behind: its session, directory and signals. Returns where child exits arrive.
pub(super) fn detach() -> Result<SignalFd> {
    let fail = |e: Errno| Failure::system("detach from the node agent", e);
    // A session of its own keeps Ctrl-C away. It fails only for a process that leads one already.
    let _ = setsid();
    chdir("/").map_err(fail)?;
    umask(Mode::from_bits_truncate(0o022));
    prctl::set_child_subreaper(true).map_err(fail)?;
    prctl::set_name(c"ironclad-shim").map_err(fail)?;
    // Inherited by every child: from its first moment in a container's pid namespace nobody there may look into it.
    prctl::set_dumpable(false).map_err(fail)?;
    container::set_oom_score_adj(-998)?;
    // All of them: a broken pipe becomes an error, and nothing but SIGKILL ends the shim.
    SigSet::all().thread_block().map_err(fail)?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(fail)
}

/// The way into the cgroup of all shims. Before the kernel moves a process it waits until every processor was somewhere
/// else, a hundredth of a second: the starter need not wait for that, too. Process 1 of a shared pid namespace is born in
/// the cgroup where its shim is: then it is entered now.
pub(super) fn leave_cgroup(config: &Sandbox) -> Result<Option<Entry>> {
    match config.pid {
        PidNamespace::Pod => container::join_cgroups(&config.cgroup).map(|()| None),
        _ => Entry::open(&config.cgroup).map(Some),
    }
}

/// From now on the end of the starter is the end of this process, too; so it is where the starter has ended before.
pub(super) fn end_with_starter(pipe: &impl AsFd) -> Result<()> {
    let fail = |e: Errno| Failure::system("end with the node agent", e);
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(fail)?;
    let mut ends = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    poll(&mut ends, PollTimeout::ZERO).map_err(fail)?;
    match ends[0].revents() {
        Some(events) if events.contains(PollFlags::POLLERR) => Err(Failure::Start("the node agent has ended".into())),
        _ => Ok(()),
    }
}

/// From now on it is found by its socket.
pub(super) fn outlive_starter() -> Result<()> {
    prctl::set_pdeathsig(None).map_err(|e| Failure::system("outlive the node agent", e))
}

/// Lets go of the starter's pipe.
pub(super) fn quiet() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for number in 0..3 {
        // SAFETY: replaces our own standard descriptors, which nothing in Rust owns.
        Errno::result(unsafe { libc::dup2(null.as_raw_fd(), number) })?;
    }
    Ok(())
}

/// What a sandbox has beside its namespaces.
pub(super) struct Made {
    /// Process 1 of a shared pid namespace.
    pub pause: Option<Pause>,
    /// The user namespace.
    pub users: Option<File>,
}

/// Makes the namespaces and what lives in them.
pub(super) fn make(dir: &Path, config: &Sandbox) -> Result<Made> {
    let users = match config.users {
        Some(range) => Some(users::make(range, &config.sysctls)?),
        None => {
            namespaces(config)?;
            None
        }
    };
    if !config.host_network {
        sethostname(&config.hostname).map_err(|e| Failure::system("set the hostname", e))?;
        loopback().map_err(|e| Failure::system("bring up lo", e))?;
        keep_network(&config.netns).map_err(|e| Failure::system("keep the network namespace", e))?;
    }
    if users.is_none() {
        users::set_sysctls(&config.sysctls)?;
    }
    shared_memory(&dir.join(SHM), config).map_err(|e| Failure::system("mount /dev/shm", e))?;
    let shared = config.pid == PidNamespace::Pod;
    let pause = shared.then(|| pause::start(dir, users.as_ref())).transpose()?;
    Ok(Made { pause, users })
}

fn namespaces(config: &Sandbox) -> Result<()> {
    let mut flags = CloneFlags::empty();
    if !config.host_network {
        // A pod on the host's network also has the host's name.
        flags |= CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS;
    }
    if !config.host_ipc {
        flags |= CloneFlags::CLONE_NEWIPC;
    }
    unshare(flags).map_err(|e| Failure::system("make namespaces", e))
}

/// Removes what [`make`] left in the file system.
pub(super) fn unmake(dir: &Path, config: &Sandbox) {
    let _ = umount2(&dir.join(SHM), MntFlags::MNT_DETACH);
    if !config.host_network {
        let _ = umount2(&config.netns, MntFlags::MNT_DETACH);
        let _ = fs::remove_file(&config.netns);
    }
}

fn keep_network(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // One of an earlier sandbox of this pod may still be there.
    let _ = umount2(path, MntFlags::MNT_DETACH);
    File::create(path)?;
    mount(Some("/proc/self/ns/net"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(())
}

fn loopback() -> nix::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zeros is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a whole structure with a terminated name, and outlives the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) };
    Errno::result(done).map(drop)
}

fn shared_memory(path: &Path, config: &Sandbox) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let _ = umount2(path, MntFlags::MNT_DETACH);
    if config.host_ipc {
        mount(Some("/dev/shm"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    // containerd's size.
    let owner = config.users.map_or(0, |range| range.first);
    let options = format!("mode=1777,size=67108864,uid={owner},gid={owner}");
    mount(Some("shm"), path, Some("tmpfs"), flags, Some(options.as_str()))?;
    Ok(())
}
