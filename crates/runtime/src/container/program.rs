//! The last steps: identity, filter, exec.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{execve, fchdir, getcwd};

use super::itself::Itself;
use super::place::Place;
use super::{Result, credentials, lookup, stdio};
use crate::User;
use crate::seccomp::{self, Filter};
use crate::shim::wire::{Failure, Spec};
use crate::users;

/// Largest file of users or groups, bytes.
const MAX_ACCOUNTS: u64 = 8 << 20;

/// What the last steps need of the host.
pub(super) struct Last {
    filter: Option<Filter>,
    itself: Itself,
}

impl Last {
    /// Takes it: before the root changes.
    pub(super) fn take(spec: &Spec) -> Result<Self> {
        let filter = match &spec.seccomp {
            Some(path) => Some(seccomp::read(path).map_err(|e| Failure::system(path.display(), e))?),
            None => None,
        };
        Ok(Self { filter, itself: Itself::look()? })
    }
}

/// Runs `args` in the container that this process is in.
pub(super) fn run(
    spec: &Spec,
    place: &Place,
    args: &[String],
    last: Last,
    say: impl FnOnce(User),
) -> Result<Infallible> {
    let filter = last.filter;
    let (passwd, groups) = (accounts(place, "etc/passwd")?, accounts(place, "etc/group")?);
    let identity = lookup::identity(&spec.user, spec.group, &passwd, &groups).map_err(Failure::Start)?;
    if spec.users.is_some() {
        // In runc's words.
        for (id, call, kind) in [(identity.gid, "setgid", "gid"), (identity.uid, "setuid", "uid")] {
            if id >= users::LENGTH {
                return Err(Failure::Start(format!("cannot {call} to unmapped {kind} {id} in user namespace")));
            }
        }
    }
    let env = environment(spec, &identity.home);
    let entered = enter_directory(spec, place);
    stdio::give(identity.uid)?;
    own_keys(&spec.id)?;
    let user = credentials::user(&identity, spec);
    // Before any filter: a profile of the node's own is not for this.
    say(user.clone());
    if spec.no_new_privileges {
        nix::sys::prctl::set_no_new_privs().map_err(|e| Failure::system("set no_new_privs", e))?;
    } else {
        // Without no_new_privs only an administrator may install a filter: before the capabilities go.
        install(&filter)?;
    }
    credentials::adopt(&user, spec.capabilities)?;
    // A directory that root may not enter (on NFS) may still be the user's own.
    if entered.is_err() {
        enter_directory(spec, place).map_err(|e| {
            Failure::Start(format!("chdir to cwd ({:?}) set in config.json failed: {}", spec.cwd, words(e)))
        })?;
    }
    verify_directory()?;
    // The shim does without huge pages (its allocator switched them off), its containers need not.
    nix::sys::prctl::set_thp_disable(false).map_err(|e| Failure::system("allow huge pages", e))?;
    let path = find(args.first().map_or("", String::as_str), &env)?;
    if last.itself.is_run_by(&path) {
        return Err(Failure::Start(format!("exec {}: permission denied", path.display())));
    }
    restore_signals()?;
    let c =
        |text: &str| CString::new(text).map_err(|_| Failure::Config("a NUL byte in arguments or environment".into()));
    let args = args.iter().map(|a| c(a)).collect::<Result<Vec<_>>>()?;
    let env = env.iter().map(|e| c(e)).collect::<Result<Vec<_>>>()?;
    let file = c(&path.to_string_lossy())?;
    // SAFETY: marks every descriptor but the standard ones to be closed by exec; it touches no memory.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if spec.no_new_privileges {
        // As late as can be: a profile of the node's own need not allow what is done before.
        install(&filter)?;
    }
    let Err(error) = execve(&file, &args, &env);
    Err(Failure::Start(format!("exec {}: {}", path.display(), words(error))))
}

fn install(filter: &Option<Filter>) -> Result<()> {
    match filter {
        Some(filter) => filter.install().map_err(|e| Failure::system("install the seccomp filter", e)),
        None => Ok(()),
    }
}

/// Enters the working directory: what it names below the container's root, and nothing else.
fn enter_directory(spec: &Spec, place: &Place) -> nix::Result<()> {
    fchdir(place.root.find(Path::new(&spec.cwd), OFlag::O_PATH | OFlag::O_DIRECTORY)?)
}

/// Checks once more that the working directory lies below the root: the kernel cannot name one that does not.
fn verify_directory() -> Result<()> {
    match getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        Ok(_) | Err(Errno::ENOENT) => Err(Failure::Start(
            "current working directory is outside of container mount namespace root -- possible container breakout \
             detected"
                .into(),
        )),
        Err(e) => Err(Failure::system("look at the working directory", e)),
    }
}

/// A file of the image that names users or groups; without one nobody has a name.
fn accounts(place: &Place, path: &str) -> Result<String> {
    match place.root.read(Path::new(path), MAX_ACCOUNTS) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::FileTooLarge => Err(Failure::system(format_args!("read /{path}"), e)),
        Err(_) => Ok(String::new()),
    }
}

/// Enters the container's session keyring, as runc does: keys of the host's root stay out of sight.
fn own_keys(id: &str) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let name = CString::new(format!("_ses.{id}")).map_err(|e| Failure::system("name the keyring", e))?;
    // SAFETY: the name is terminated and outlives the call.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    match Errno::result(joined) {
        // A kernel without keys.
        Ok(_) | Err(Errno::ENOSYS) => Ok(()),
        Err(e) => Err(Failure::system("join the session keyring", e)),
    }
}

/// The environment of a program that is run on a terminal, whatever the container's own says (containerd: `execInternal`).
pub(super) fn on_terminal(env: &mut Vec<String>) {
    env.retain(|entry| !entry.starts_with("TERM="));
    env.push("TERM=xterm".to_owned());
}

fn environment(spec: &Spec, home: &str) -> Vec<String> {
    let mut env = spec.env.clone();
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={home}"));
    }
    env
}

/// Looks a program up like a shell; errors as Go's `exec.LookPath` writes them.
fn find(name: &str, env: &[String]) -> Result<PathBuf> {
    let fail = |why: &str| Failure::Start(format!("exec: \"{name}\": {why}"));
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(PathBuf::from(name)),
            Err(Errno::EACCES) => Err(fail("permission denied")),
            Err(Errno::EISDIR) => Err(fail("is a directory")),
            Err(e) => Err(fail(&format!("stat {name}: {}", words(e)))),
        };
    }
    let path = env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("");
    let mut denied = false;
    for dir in path.split(':') {
        let candidate = Path::new(if dir.is_empty() { "." } else { dir }).join(name);
        match executable(&candidate) {
            Ok(()) if !name.is_empty() => return Ok(candidate),
            Err(Errno::EACCES) => denied = true,
            _ => {}
        }
    }
    Err(fail(if denied { "permission denied" } else { "executable file not found in $PATH" }))
}

fn executable(path: &Path) -> std::result::Result<(), Errno> {
    let meta = fs::metadata(path).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))?;
    if meta.is_dir() {
        return Err(Errno::EISDIR);
    }
    if meta.permissions().mode() & 0o111 == 0 { Err(Errno::EACCES) } else { Ok(()) }
}

/// The system's text as Go writes it, in small letters.
fn words(error: Errno) -> String {
    error.desc().to_lowercase()
}

/// Ignored and blocked signals would survive exec.
fn restore_signals() -> Result<()> {
    for signal in Signal::iterator() {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: the default action is no function of ours.
            let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .map_err(|e| Failure::system("unblock signals", e))
}
