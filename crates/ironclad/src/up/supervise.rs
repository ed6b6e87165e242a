//! The supervisor of a cluster in the background: a small process that starts the program again when it ends by a fault.
//! The pods never notice.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::{detach, lock, log};
use crate::dirs::{Dirs, Settings};

/// The name of the command, which a supervisor is known by.
pub const COMMAND: &str = "supervise";
/// Tells the supervisor what to run, as a list in JSON. Not in its arguments: who looks for the program by its
/// command line must not find the supervisor.
pub const ARGUMENTS: &str = "IRONCLAD_COMMAND";
/// Tells the program who supervises it, by process number.
const SUPERVISOR: &str = "IRONCLAD_SUPERVISOR";
/// Tells the program that the cluster has been up before.
const AGAIN: &str = "IRONCLAD_AGAIN";
/// What the program tells it with that it is up.
const UP: Signal = Signal::SIGUSR1;
/// Before the program is started again: the first time, and at the most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A program that has run for so long did not fail at its start.
const STEADY: Duration = Duration::from_secs(60);

/// What this process is to supervise.
pub fn command() -> Option<Vec<String>> {
    serde_json::from_str(&std::env::var(ARGUMENTS).ok()?).ok()
}

/// Waits for a cluster whose supervisor is just starting it again; says whether there is one and it is up now.
pub fn wait_until_up(dirs: &Dirs) -> Result<bool> {
    let end = Instant::now() + STEADY;
    let mut waited = false;
    while running(dirs).is_some() {
        let program = lock::running(dirs)?;
        let is_up = dirs.settings().is_some_and(|s| s.ready && program == Some(s.pid));
        if is_up || Instant::now() > end {
            return Ok(is_up && waited);
        }
        waited = true;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
}

/// The supervisor of this process, if it has one.
pub fn of_this_process() -> Option<u32> {
    std::env::var(SUPERVISOR).ok()?.parse().ok()
}

/// Whether this process takes the place of one that was up and has ended by a fault.
pub fn is_again() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// The supervisor that is at work for a cluster, whether or not the program runs just now.
pub fn running(dirs: &Dirs) -> Option<u32> {
    let Settings { supervisor, .. } = dirs.settings()?;
    let command = std::fs::read(format!("/proc/{}/cmdline", supervisor?)).ok()?;
    // Numbers are used again: it must be one that supervises.
    (command.split(|b| *b == 0).nth(1) == Some(COMMAND.as_bytes())).then_some(supervisor?)
}

/// Tells the supervisor that the cluster is up: from now on it is started again.
pub fn tell_up() {
    let pid = of_this_process().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.filter(|pid| nix::unistd::getppid().as_raw() == *pid) {
        // It may have ended: then there is nobody to tell.
        let _ = kill(Pid::from_raw(pid), UP);
    }
}

/// Runs the program with these arguments until it ends in good order, is told to end, or does not come up the first
/// time. Returns how it ended. What it logs goes to the file.
pub fn run(arguments: Vec<String>, log: &Path) -> Result<ExitStatus> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD, UP].into_iter().collect();
    signals.thread_block().context("block signals")?;
    super::preflight::go_last();
    let mut supervisor = Supervisor { arguments, log: log.to_owned(), signals, is_up: false };
    let mut pause = PAUSE;
    loop {
        let started = Instant::now();
        let child = supervisor.start()?;
        let (status, told) = supervisor.watch(child)?;
        if status.success() || told || !supervisor.is_up {
            return Ok(status);
        }
        pause = if started.elapsed() > STEADY { PAUSE } else { pause };
        supervisor.note(&format!("Ironclad has ended ({status}) and is started again in {pause:?}; pods run on"));
        if supervisor.is_told_within(pause) {
            return Ok(status);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct Supervisor {
    arguments: Vec<String>,
    log: PathBuf,
    /// All that it waits for; blocked otherwise.
    signals: SigSet,
    /// Whether the cluster has been up.
    is_up: bool,
}

impl Supervisor {
    fn start(&self) -> Result<Child> {
        let mut command = Command::new("/proc/self/exe");
        command.args(&self.arguments).env_remove(ARGUMENTS).env(SUPERVISOR, std::process::id().to_string()).current_dir("/");
        // Opened anew each time: the program may have put the old one aside.
        command.stdin(Stdio::null()).stderr(self.file()?);
        if self.is_up {
            command.stdout(Stdio::null()).env(AGAIN, "1");
        }
        // What is blocked here would be blocked there: it could not be told to end.
        let signals = self.signals;
        // SAFETY: changing the mask is async-signal-safe, and nothing else happens between fork and exec.
        unsafe { command.pre_exec(move || signals.thread_unblock().map_err(Into::into)) };
        command.spawn().context("start the program")
    }

    fn file(&self) -> Result<File> {
        log::open(&self.log).with_context(|| format!("open {}", self.log.display()))
    }

    fn note(&self, text: &str) {
        if let Ok(mut file) = self.file() {
            // A disk that is full is no reason to give up.
            let _ = writeln!(file, "{text}");
        }
    }

    /// Waits for the end of the program; passes a wish to end on to it. Says how it ended, and whether it was told to.
    fn watch(&mut self, mut child: Child) -> Result<(ExitStatus, bool)> {
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait().context("look at the program")? {
                let by_hand = matches!(status.signal(), Some(libc::SIGTERM | libc::SIGINT));
                return Ok((status, told || by_hand));
            }
            match self.signals.wait().context("wait for a signal")? {
                signal @ (Signal::SIGTERM | Signal::SIGINT) => {
                    told = true;
                    // It may have ended just now.
                    let _ = kill(Pid::from_raw(i32::try_from(child.id())?), signal);
                }
                UP if !self.is_up => {
                    self.is_up = true;
                    detach::leave_output();
                }
                _ => {}
            }
        }
    }

    /// Waits for a time; says whether somebody told to end meanwhile.
    fn is_told_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = libc::timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as _ };
            // SAFETY: both pointers are whole and live until it returns; what a signal tells is not asked for.
            match unsafe { libc::sigtimedwait(self.signals.as_ref(), std::ptr::null_mut(), &raw const left) } {
                libc::SIGTERM | libc::SIGINT => return true,
                _ if Instant::now() >= until => return false,
                // Of a child that was reaped already.
                _ => {}
            }
        }
    }
}
