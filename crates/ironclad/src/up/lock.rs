//! One program at a time for one data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;

use super::{marker, rights};
use crate::dirs::Dirs;

/// Its file, among what does not survive a reboot.
pub const NAME: &str = "ironclad.lock";
/// How long a dead process's lock may be held, and between two looks at it.
const LEFT: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(10);

/// The lock of a running cluster; it ends with the process, however that ends.
pub fn lock(dirs: &Dirs, kubeconfig_mode: u32) -> Result<Flock<File>> {
    rights::directories(dirs, kubeconfig_mode)?;
    let path = dirs.run.join(NAME);
    let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    let Ok(mut lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
        bail!("another `up` is starting on {}; nothing was changed", dirs.data.display());
    };
    lock.set_len(0)?;
    lock.write_all(std::process::id().to_string().as_bytes())?;
    marker::claim(&dirs.data)?;
    dirs.claim()?;
    Ok(lock)
}

/// The process that runs the cluster, if one does. One that was killed leaves the lock held for a moment: to what it
/// was just starting, until that has become what it is to be, or to those of its threads that end after the first.
/// That is waited for.
pub fn running(dirs: &Dirs) -> Result<Option<u32>> {
    let path = dirs.run.join(NAME);
    let asked = Instant::now();
    loop {
        let holder = holder(&path)?;
        match holder {
            Some(pid) if !is_alive(pid) && asked.elapsed() < LEFT => std::thread::sleep(AGAIN),
            _ => return Ok(holder),
        }
    }
}

/// Whether there is such a process that nobody has killed (proc_pid_status(5)). One whose first thread has ended is
/// seen as a zombie as long as another of its threads ends.
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| goes_on(&status))
}

fn goes_on(status: &str) -> bool {
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let ends = value("State:").is_none_or(|state| state.starts_with(['Z', 'X']));
    // Of a process without memory, nothing is told of it: it has given that back, and ends.
    let gone = value("VmSize:").is_none();
    let killed = |key| {
        let signals = value(key).and_then(|mask| u64::from_str_radix(mask, 16).ok());
        signals.is_none_or(|mask| mask & (1 << (Signal::SIGKILL as u32 - 1)) != 0)
    };
    !ends && !gone && !killed("SigPnd:") && !killed("ShdPnd:")
}

/// Who wrote his number into a lock that is held.
pub fn holder(path: &Path) -> Result<Option<u32>> {
    let mut file = match File::open(path) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str) -> (tempfile::TempDir, Dirs, Flock<File>) {
        let dir = tempfile::tempdir().expect("a directory");
        let dirs = Dirs { run: dir.path().into(), ..Dirs::of(dir.path()) };
        let path = dir.path().join(NAME);
        fs::write(&path, text).expect("written");
        let lock = Flock::lock(File::open(path).expect("there"), FlockArg::LockExclusiveNonblock).expect("free");
        (dir, dirs, lock)
    }

    #[test]
    fn who_is_killed_does_not_go_on() {
        let status = |state: &str, memory: &str, own: &str, shared: &str| {
            format!("Name:\tironclad\nState:\t{state}\n{memory}SigPnd:\t{own}\nShdPnd:\t{shared}\n")
        };
        let (memory, none, kill) = ("VmSize:\t  1000 kB\n", "0000000000000000", "0000000000000100");
        assert!(goes_on(&status("S (sleeping)", memory, none, none)));
        assert!(goes_on(&status("R (running)", memory, "0000000000004000", none)));
        assert!(!goes_on(&status("Z (zombie)", "", none, none)));
        assert!(!goes_on(&status("R (running)", "", none, none)));
        assert!(!goes_on(&status("D (disk sleep)", memory, kill, none)));
        assert!(!goes_on(&status("D (disk sleep)", memory, none, kill)));
        assert!(is_alive(std::process::id()));
    }

    #[test]
    fn a_zombie_does_not_go_on() {
        use nix::sys::wait::{Id, WaitPidFlag, waitid};
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let id = Id::Pid(nix::unistd::Pid::from_raw(child.id().cast_signed()));
        waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("it ends");
        assert!(Path::new("/proc").join(child.id().to_string()).exists());
        assert!(!is_alive(child.id()));
        child.wait().expect("collected");
    }

    #[test]
    fn the_lock_of_a_dead_process_is_waited_for_and_that_of_a_living_one_is_not() {
        // No machine gives this number.
        let (_dir, dirs, lock) = held("4194305");
        let (begun, other) = std::sync::mpsc::channel();
        let asked = std::thread::spawn(move || {
            begun.send(()).expect("heard");
            running(&dirs)
        });
        other.recv().expect("begun");
        drop(lock);
        assert_eq!(asked.join().expect("no panic").expect("readable"), None);
        let own = std::process::id();
        let (_dir, dirs, _lock) = held(&own.to_string());
        assert_eq!(running(&dirs).expect("readable"), Some(own));
    }
}
