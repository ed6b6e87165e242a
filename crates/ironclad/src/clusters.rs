//! The clusters of this machine, as far as something of them is there: each has a directory below `/run`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ipnet::Ipv4Net;
use network::Names;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::net::if_::if_nametoindex;

use crate::dirs::{self, DEFAULT_DATA, Dirs, Settings};
use crate::up::lock;

/// What does not survive a reboot is below this directory.
const RUN: &str = "/run";

/// One cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What of it does not survive a reboot.
    pub run: PathBuf,
    /// What it was started with.
    pub settings: Settings,
    /// The process that runs it. Without one its pods may run on.
    pub pid: Option<u32>,
}

/// All of them, by directory. Those that cannot be read are left out.
pub fn all() -> Vec<Cluster> {
    below(Path::new(RUN))
}

fn below(top: &Path) -> Vec<Cluster> {
    let entries = fs::read_dir(top).into_iter().flatten().flatten();
    let ours = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "ironclad" || name.starts_with("ironclad-")
    });
    let mut all: Vec<Cluster> = ours.filter_map(Cluster::look).collect();
    all.sort_by(|a, b| a.run.cmp(&b.run));
    all
}

/// Those whose network is in the network namespace of this process, but for the one of these directories.
pub fn beside(dirs: &Dirs) -> Vec<Cluster> {
    all().into_iter().filter(|cluster| cluster.run != dirs.run && cluster.is_beside(&dirs.names)).collect()
}

/// Held by whoever decides what a cluster gets of what there is but once on the machine.
pub struct Machine(#[expect(dead_code, reason = "what is held ends with it")] Flock<File>);

/// How long another may take for the same, and between two looks at it. Anybody on the machine can lock a directory that
/// he can read: nobody is kept waiting without a word.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(10);

/// Waits for its turn; an error if that does not come.
pub fn machine() -> Result<Machine> {
    lock_for(Path::new(RUN), PATIENCE)
}

fn lock_for(top: &Path, patience: Duration) -> Result<Machine> {
    let mut directory = File::open(top).with_context(|| format!("open {}", top.display()))?;
    let asked = Instant::now();
    loop {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Machine(lock)),
            Err((left, Errno::EWOULDBLOCK)) if asked.elapsed() < patience => directory = left,
            Err((_, Errno::EWOULDBLOCK)) => {
                bail!("another program has had {} locked for {patience:?}: end it (`lslocks` shows which it is)", top.display())
            }
            Err((_, e)) => return Err(e).with_context(|| format!("lock {}", top.display())),
        }
        std::thread::sleep(AGAIN);
    }
}

impl Cluster {
    fn look(run: PathBuf) -> Option<Self> {
        let mut settings = dirs::settings(&run)?;
        let pid = lock::holder(&run.join(lock::NAME)).ok().flatten();
        let default = || (run == Path::new(RUN).join("ironclad")).then(|| DEFAULT_DATA.into());
        settings.data = settings.data.or_else(default).or_else(|| told(settings.pid));
        Some(Cluster { run, settings, pid })
    }

    /// Its data directory, for people.
    pub fn data(&self) -> String {
        self.settings.data.as_ref().map_or_else(|| "an unknown directory".to_owned(), |data| data.display().to_string())
    }

    /// Who it is, for people.
    pub fn whose(&self) -> String {
        let process = self.pid.map(|pid| format!(" (process {pid})"));
        format!("the cluster in {}{}", self.data(), process.unwrap_or_default())
    }

    /// Pods that have a sandbox.
    pub fn pods(&self) -> usize {
        fs::read_dir(self.run.join("pods")).map_or(0, |entries| entries.count())
    }

    /// Whether its network is in the network namespace of this process.
    pub fn is_here(&self) -> bool {
        let is_there = |link: &str| if_nametoindex(link).is_ok();
        let names = &self.settings.names;
        // The names that all had once tell little; links of its pods tell more.
        let has_pods = || *names != Names::first() || self.addresses().any(|address| is_there(&names.link(address)));
        self.pid.is_some_and(is_beside) || is_there(&names.bridge) && has_pods()
    }

    /// The same for who has these names: what has them in the kernel is its own, unless somebody is at work with it.
    fn is_beside(&self, names: &Names) -> bool {
        if self.settings.names == *names { self.pid.is_some_and(is_beside) } else { self.is_here() }
    }

    fn addresses(&self) -> impl Iterator<Item = std::net::Ipv4Addr> {
        let entries = fs::read_dir(dirs::network(&self.run)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// Its ranges of addresses.
    pub fn ranges(&self) -> [Ipv4Net; 2] {
        [self.settings.pod_network, self.settings.service_network]
    }
}

/// Whether a process is in the network namespace of this one.
fn is_beside(pid: u32) -> bool {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    namespace("self").is_some_and(|own| namespace(&pid.to_string()) == Some(own))
}

/// The data directory on the command line of a process.
fn told(pid: u32) -> Option<PathBuf> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = line.split(|b| *b == 0).map(String::from_utf8_lossy);
    while let Some(word) = words.next() {
        match word.strip_prefix("--data-dir") {
            Some("") => return words.next().map(|path| path.into_owned().into()),
            Some(rest) => return rest.strip_prefix('=').map(PathBuf::from),
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_the_machine_to_himself_is_told_of() {
        let top = tempfile::tempdir().expect("a directory");
        let held = lock_for(top.path(), Duration::ZERO).expect("free");
        let refused = lock_for(top.path(), Duration::ZERO).err().expect("taken").to_string();
        assert!(refused.starts_with("another program has had ") && refused.contains("lslocks"), "{refused}");
        drop(held);
        lock_for(top.path(), Duration::ZERO).expect("free again");
    }

    #[test]
    fn clusters_are_found_by_what_they_left() {
        let top = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &str| {
            fs::create_dir(top.path().join(name)).expect("made");
            fs::write(top.path().join(name).join("settings.json"), text).expect("written");
        };
        let ranges = r#""pod_network":"10.245.0.0/16","service_network":"10.97.0.0/16""#;
        put("ironclad-00000001", &format!(r#"{{"pid":4194305,{ranges},"data":"/data/one"}}"#));
        put("ironclad-00000002", &format!(r#"{{"pid":4194305,{ranges}}}"#));
        put("ironclad-00000003", "nothing that we know");
        put("another", &format!(r#"{{"pid":1,{ranges}}}"#));
        let found = below(top.path());
        let data: Vec<String> = found.iter().map(Cluster::data).collect();
        assert_eq!(data, ["/data/one", "an unknown directory"]);
        assert_eq!(found[0].whose(), "the cluster in /data/one");
        assert_eq!(found[1].settings.names, Names::first(), "who says nothing had no choice");
        assert!(found.iter().all(|cluster| cluster.pid.is_none() && !cluster.is_here()));
        assert!(is_beside(std::process::id()) && !is_beside(4_194_305));
    }
}
