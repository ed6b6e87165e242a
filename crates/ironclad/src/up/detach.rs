//! `up --detach`: the same in the background.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Options, log, preflight, rights, supervise};
use crate::out;

/// Tells the background process that its parent waits for the line [`READY`].
const WAITED_FOR: &str = "IRONCLAD_DETACHED";
const DATA_DIR: &str = "--data-dir";
const READY: &str = "\u{1}ready";

/// Starts the cluster in the background, under a supervisor, and returns when it is up; what it prints until then is
/// printed here, what it logs later goes to `<data-dir>/ironclad.log`.
pub fn detached(options: &Options) -> Result<()> {
    if supervise::wait_until_up(&options.dirs)? {
        out::line("the cluster was being started again by its supervisor: it is up");
        return Ok(());
    }
    preflight::check(options)?;
    let data = &options.dirs.data;
    rights::directories(&options.dirs, options.kubeconfig_mode)?;
    let path = options.dirs.log();
    let file = log::open(&path).with_context(|| format!("open {}", path.display()))?;
    let before = file.metadata()?.len();
    let mut command = Command::new("/proc/self/exe");
    let arguments = absolute(std::env::args().skip(1).filter(|a| a != "--detach"), data);
    command.arg(supervise::COMMAND).arg(&path);
    command.env(supervise::ARGUMENTS, serde_json::to_string(&arguments)?).env(WAITED_FOR, "1");
    if out::is_coloured(&std::io::stdout()) {
        command.env(out::COLOURS, "1");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).current_dir("/");
    // SAFETY: setsid is async-signal-safe, and nothing else happens between fork and exec.
    unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
    let mut child = command.spawn().context("start the cluster in the background")?;
    for line in BufReader::new(child.stdout.take().context("read its output")?).lines() {
        match line.context("read its output")? {
            line if line == READY => return Ok(()),
            line => out::line(line),
        }
    }
    let status = child.wait()?;
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    let said = said.get(usize::try_from(before)?..).unwrap_or("").trim();
    let said = if said.is_empty() { "it said nothing: is there space in its directory?" } else { said };
    bail!("the cluster in {} did not come up ({status}): {}", data.display(), said.trim_start_matches("error: "))
}

/// The command line with the data directory as it is found from anywhere: what runs in the background begins elsewhere.
fn absolute(arguments: impl Iterator<Item = String>, data: &Path) -> Vec<String> {
    let data = data.to_string_lossy();
    let mut is_next = false;
    let place = |argument: String| match (std::mem::replace(&mut is_next, argument == DATA_DIR), argument.split_once('=')) {
        (true, _) => data.to_string(),
        (false, Some((DATA_DIR, _))) => format!("{DATA_DIR}={data}"),
        _ => argument,
    };
    arguments.map(place).collect()
}

/// Whether this process runs in the background, its standard error in the log's file.
pub fn is_detached() -> bool {
    std::env::var_os(WAITED_FOR).is_some()
}

/// In the background: the parent may go. From here on standard output leads nowhere.
pub fn tell_ready() {
    if !is_detached() {
        return;
    }
    out::line(READY);
    leave_output();
    supervise::tell_up();
}

/// Leads standard output nowhere.
pub fn leave_output() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        // Who read it has gone; what is printed yet is for nobody.
        let _ = nix::unistd::dup2_stdout(null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_found_from_anywhere() {
        let place = |line: &str| absolute(line.split(' ').map(str::to_owned), Path::new("/here/data")).join(" ");
        assert_eq!(place("up --data-dir data --demo"), "up --data-dir /here/data --demo");
        assert_eq!(place("up --data-dir=./data --node-name=data"), "up --data-dir=/here/data --node-name=data");
        assert_eq!(place("up --demo"), "up --demo");
    }
}
