//! One small process per pod: it owns the namespaces, and is the parent of the pod's processes.
//!
//! Single-threaded and synchronous, so that forking is safe; it waits in one `poll`. It outlives the program that
//! started it, and everything it knows is on the disk or can be asked over its socket.

mod log;
pub(crate) mod longer;
mod mapped;
mod pause;
mod peers;
mod process;
mod running;
mod sandbox;
mod serve;
pub(crate) mod socket;
mod users;
pub(crate) mod wire;

use std::io::Write;
use std::path::{Path, PathBuf};

use wire::{Failure, Sandbox};

use crate::container::Entry;
use crate::disk;

/// File with the [`Sandbox`].
pub(crate) const SANDBOX: &str = "sandbox.json";
/// The socket.
pub(crate) const SOCKET: &str = "shim.sock";
/// Mount point of `/dev/shm`.
pub(crate) const SHM: &str = "shm";
/// File in a container's directory with the [`User`](crate::User) that it was started as.
pub(crate) const USER: &str = "user.json";
/// What this program does of a [`wire::Spec`] and of a [`wire::Request`], as a number that grows: an older one would leave
/// out what it does not know. 0: what said no number. 1: strict groups, recursive read-only mounts, AppArmor profiles,
/// the processes of another container.
pub(crate) const VERSION: u32 = 1;
/// What the shim says on its standard output once it serves.
pub(crate) const READY: &str = "ready";

/// Runs a shim: `args` are those after the word `shim`, so `--dir DIRECTORY`. Call it before anything else
/// in the program: it needs a process with one thread.
pub fn main(args: impl IntoIterator<Item = String>) -> ! {
    let mut args = args.into_iter();
    let code = match (args.next().as_deref(), args.next()) {
        (Some("--dir"), Some(dir)) => run(&PathBuf::from(dir)),
        _ => {
            eprintln!("usage: shim --dir DIRECTORY (the node agent starts it)");
            2
        }
    };
    std::process::exit(code)
}

fn run(dir: &Path) -> i32 {
    let mut stdout = std::io::stdout();
    // Half made, it ends with its starter: the next one would not find it, and make another.
    if let Err(failure) = sandbox::end_with_starter(&stdout) {
        let _ = writeln!(stdout, "{failure}");
        return 1;
    }
    let started = start(dir).and_then(|serving| sandbox::outlive_starter().map(|()| serving));
    match started {
        Ok((mut serving, group)) => {
            // The starter may be gone already; then the next one finds the socket.
            let _ = writeln!(stdout, "{READY}").and_then(|()| stdout.flush());
            let entered = sandbox::quiet().and_then(|()| group.map_or(Ok(()), Entry::enter));
            match entered.and_then(|()| serving.run()) {
                Ok(()) => 0,
                Err(_) => 1,
            }
        }
        Err(failure) => {
            let _ = writeln!(stdout, "{failure}");
            1
        }
    }
}

fn start(dir: &Path) -> Result<(serve::Serving, Option<Entry>), Failure> {
    let fail = |e: &dyn std::fmt::Display| Failure::system(dir.display(), e);
    let config: Sandbox =
        disk::read_record(&dir.join(SANDBOX), VERSION).map_err(|e| fail(&e))?.ok_or_else(|| fail(&"no sandbox.json"))?;
    let signals = sandbox::detach()?;
    let group = sandbox::leave_cgroup(&config)?;
    let made = sandbox::make(dir, &config)?;
    Ok((serve::Serving::new(dir, config, signals, made)?, group))
}
