//! `up --detach`: the same in the background.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Options, preflight};

/// Tells the background process that its parent waits for the line [`READY`].
const WAITED_FOR: &str = "IRONCLAD_DETACHED";
const READY: &str = "\u{1}ready";

/// Starts the cluster in the background and returns when it is up; what it prints until then is
/// printed here, what it logs later goes to `<data-dir>/ironclad.log`.
pub fn detached(options: &Options) -> Result<()> {
    preflight::check(options)?;
    let data = &options.dirs.data;
    std::fs::create_dir_all(data).with_context(|| format!("create {}", data.display()))?;
    let path = data.join("ironclad.log");
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.with_context(|| format!("open {}", path.display()))?;
    let before = log.metadata()?.len();
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args().skip(1).filter(|a| a != "--detach")).env(WAITED_FOR, "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).current_dir("/");
    // SAFETY: setsid is async-signal-safe, and nothing else happens between fork and exec.
    unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
    let mut child = command.spawn().context("start the cluster in the background")?;
    for line in BufReader::new(child.stdout.take().context("read its output")?).lines() {
        match line.context("read its output")? {
            line if line == READY => return Ok(()),
            line => println!("{line}"),
        }
    }
    let status = child.wait()?;
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    let said = said.get(usize::try_from(before)?..).unwrap_or("").trim();
    bail!("the cluster did not come up ({status}): {}", said.trim_start_matches("error: "))
}

/// In the background: the parent may go. From here on standard output leads nowhere.
pub fn tell_ready() {
    if std::env::var_os(WAITED_FOR).is_none() {
        return;
    }
    println!("{READY}");
    // The parent is the only reader; it has gone if this fails.
    let _ = std::io::stdout().flush();
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        // A closed pipe would end the process at its next line.
        let _ = nix::unistd::dup2_stdout(null);
    }
}
