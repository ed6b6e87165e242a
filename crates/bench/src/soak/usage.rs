//! What a cluster uses: memory, descriptors, threads, processes, and what its pods leave in the kernel.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::scene::{Phase, Scene};
use crate::process;

/// What may be there more, at rest, than before the faults.
const MORE_DESCRIPTORS: u64 = 10;
const MORE_THREADS: u64 = 8;
const MORE_SOCKETS: u64 = 20;
/// Memory may grow by so much in the last third of the second half over the third before, beyond a part of it.
const MORE_MEMORY: f64 = 8e6;
const MORE_PART: f64 = 0.10;
/// With fewer looks there is no trend.
const LOOKS: usize = 9;

/// At one moment.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// The program's process.
    pid: i32,
    pss: u64,
    descriptors: u64,
    threads: u64,
    /// All shims' memory together.
    shims_pss: u64,
    shims: u64,
    /// Processes in the pods' cgroups.
    pod_processes: u64,
    /// TCP sockets of the network namespace, without those that only wait out their time.
    sockets: u64,
    mounts: u64,
    cgroups: u64,
    namespaces: u64,
    /// Entries of the directories that pods have below the data directory.
    files: u64,
    disk: u64,
    /// Containers that were restarted: what the last one left is kept for who asks for its logs.
    pub kept: u64,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "pid {} pss {:.1} MB, {} descriptors, {} threads; {} shims with {:.1} MB, {} pod processes; {} sockets, \
             {} mounts, {} cgroups, {} network namespaces, {} pod files, disk {:.0} MB;",
            self.pid,
            self.pss as f64 / 1e6,
            self.descriptors,
            self.threads,
            self.shims,
            self.shims_pss as f64 / 1e6,
            self.pod_processes,
            self.sockets,
            self.mounts,
            self.cgroups,
            self.namespaces,
            self.files,
            self.disk as f64 / 1e6,
        )
    }
}

/// A process of the cluster.
pub struct Process {
    pub pid: i32,
    /// Its command line.
    pub words: Vec<String>,
    /// The pod that it belongs to, by its uid.
    pub pod: Option<String>,
}

/// The processes that run the program: those that `up` started.
pub fn programs(scene: &Scene) -> Result<Vec<i32>> {
    let is_up = |process: &Process| process.words.get(1).is_some_and(|word| word == "up");
    let ours = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == scene.cluster.program());
    Ok(processes("")?.into_iter().filter(|p| is_up(p) && ours(p.pid)).map(|p| p.pid).collect())
}

/// The processes that start the program again when it ends.
pub fn supervisors(scene: &Scene) -> Result<Vec<i32>> {
    let log = scene.cluster.data().join("ironclad.log");
    let is_one = |process: &Process| match process.words.as_slice() {
        [_, supervise, file, ..] => supervise == "supervise" && Path::new(file) == log,
        _ => false,
    };
    Ok(processes("")?.into_iter().filter(is_one).map(|process| process.pid).collect())
}

/// The shims, each with the uid of its pod.
pub fn shims(scene: &Scene) -> Result<Vec<(i32, String)>> {
    let pods = scene.run.join("pods");
    let uid = |process: &Process| match process.words.as_slice() {
        [_, shim, flag, dir, ..] if shim == "shim" && flag == "--dir" => {
            let dir = Path::new(dir).strip_prefix(&pods).ok()?;
            Some((process.pid, dir.to_string_lossy().into_owned()))
        }
        _ => None,
    };
    Ok(processes("")?.iter().filter_map(uid).collect())
}

/// The processes in the pods' containers.
pub fn in_pods(scene: &Scene) -> Result<Vec<Process>> {
    let mut found = processes(&scene.cgroup)?;
    found.retain(|process| process.pod.is_some());
    Ok(found)
}

/// Every process of the machine; those below the cgroup with the pod that they are of.
fn processes(cgroup: &str) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let dir = entry?.path();
        let Some(pid) = dir.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        // Processes come and go.
        let Ok(line) = fs::read(dir.join("cmdline")) else { continue };
        let words = line.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let groups =
            if cgroup.is_empty() { String::new() } else { fs::read_to_string(dir.join("cgroup")).unwrap_or_default() };
        let pod = groups.lines().find_map(|line| {
            let below = line.split_once(&format!("/{cgroup}/"))?.1;
            below.split('/').find_map(|part| part.strip_prefix("pod").filter(|uid| uid.len() > 30))
        });
        found.push(Process { pid, words, pod: pod.map(str::to_owned) });
    }
    Ok(found)
}

/// Looks.
pub fn look(scene: &Scene) -> Result<Usage> {
    let pid = programs(scene)?.first().copied().context("the program does not run")?;
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let shims = shims(scene)?;
    let memory = |pid: i32| process::of_process(Path::new(&format!("/proc/{pid}"))).map_or(0, |usage| usage.pss_bytes);
    let data = scene.cluster.data();
    let files = ["logs", "runtime/pods", "runtime/containers", "kubelet/pods"].iter().map(|name| entries(&data.join(name)));
    let sockets = ["tcp", "tcp6"].iter().map(|name| sockets(&dir.join("net").join(name)));
    Ok(Usage {
        pid,
        pss: process::of_process(&dir)?.pss_bytes,
        descriptors: entries(&dir.join("fd")),
        threads: entries(&dir.join("task")),
        shims: shims.len() as u64,
        shims_pss: shims.iter().map(|(pid, _)| memory(*pid)).sum(),
        pod_processes: in_pods(scene)?.len() as u64,
        sockets: sockets.sum(),
        mounts: fs::read_to_string("/proc/self/mountinfo")?.lines().count() as u64,
        cgroups: cgroups(&scene.cgroup),
        namespaces: entries(&scene.run.join("netns")),
        files: files.sum(),
        disk: scene.disk.used()?,
        kept: 0,
    })
}

fn entries(dir: &Path) -> u64 {
    fs::read_dir(dir).map_or(0, |entries| entries.count() as u64)
}

/// Sockets in any state but TIME_WAIT (06, `include/net/tcp_states.h`).
fn sockets(table: &Path) -> u64 {
    let table = fs::read_to_string(table).unwrap_or_default();
    table.lines().skip(1).filter(|line| line.split_whitespace().nth(3).is_some_and(|state| state != "06")).count()
        as u64
}

/// Directories of a cgroup's name in every hierarchy, with all below.
fn cgroups(name: &str) -> u64 {
    fn below(dir: &Path) -> u64 {
        let inside = fs::read_dir(dir).into_iter().flatten().flatten();
        let dirs = inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        1 + dirs.map(|entry| below(&entry.path())).sum::<u64>()
    }
    let tops = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path().join(name));
    tops.chain([Path::new("/sys/fs/cgroup").join(name)]).filter(|dir| dir.is_dir()).map(|dir| below(&dir)).sum()
}

/// In how many hierarchies it is.
fn hierarchies(name: &str) -> u64 {
    let tops = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path().join(name));
    tops.filter(|dir| dir.is_dir()).count().max(1) as u64
}

/// Two looks at rest: what pods have must be the same, what the program has nearly so.
pub fn compare(scene: &Scene, before: &Usage, after: &Usage) {
    let check = |name: &str, before: u64, after: u64, more: u64| {
        if after > before + more {
            scene.wrong(format!("{name} at rest: {before} before, {after} now"));
        }
    };
    check("shims", before.shims, after.shims, 0);
    check("pod processes", before.pod_processes, after.pod_processes, 0);
    check("mounts", before.mounts, after.mounts, 0);
    check("cgroups", before.cgroups, after.cgroups, after.kept * hierarchies(&scene.cgroup));
    check("network namespaces", before.namespaces, after.namespaces, 0);
    check("pods' files", before.files, after.files, after.kept);
    check("descriptors", before.descriptors, after.descriptors, MORE_DESCRIPTORS);
    check("threads", before.threads, after.threads, MORE_THREADS);
    check("sockets", before.sockets, after.sockets, MORE_SOCKETS);
}

/// The life of the last process under load: its memory and descriptors do not grow from one part to the next.
pub fn trend(scene: &Scene, looks: &[(Phase, Usage)]) {
    // The very last process was started after the load.
    let Some(pid) = looks.last().map(|(_, usage)| usage.pid) else { return };
    let life: Vec<&Usage> = looks.iter().map(|(_, usage)| usage).filter(|usage| usage.pid == pid).collect();
    if life.len() < LOOKS {
        return println!("{} looks at the last process: too few for a trend", life.len());
    }
    let (middle, last) = (&life[life.len() / 3..life.len() * 2 / 3], &life[life.len() * 2 / 3..]);
    let median = |part: &[&Usage], value: fn(&Usage) -> u64| {
        let mut values: Vec<u64> = part.iter().map(|usage| value(usage)).collect();
        values.sort_unstable();
        values[values.len() / 2] as f64
    };
    let check = |name: &str, value: fn(&Usage) -> u64, more: f64| {
        let (before, after) = (median(middle, value), median(last, value));
        println!("trend of {name}: {before:.0} in the middle, {after:.0} at the end");
        if after > before * (1.0 + MORE_PART) + more {
            scene.wrong(format!("{name} grows: {before:.0} in the middle of the second half, {after:.0} at its end"));
        }
    };
    check("memory", |usage| usage.pss, MORE_MEMORY);
    check("descriptors", |usage| usage.descriptors, MORE_DESCRIPTORS as f64);
    check("threads", |usage| usage.threads, MORE_THREADS as f64);
    check("the shims' memory", |usage| usage.shims_pss / usage.shims.max(1), MORE_MEMORY);
}

/// What a cluster that has ended has left behind.
pub fn left(program: &Path, data: &Path, run: &Path, cgroup: &str) -> Vec<String> {
    let mut left = Vec::new();
    for path in [data, run] {
        if path.exists() {
            left.push(format!("{} is left", path.display()));
        }
    }
    match cgroups(cgroup) {
        0 => {}
        count => left.push(format!("{count} cgroups are left")),
    }
    let run = run.to_string_lossy();
    for process in processes(cgroup).unwrap_or_default() {
        let exe = fs::read_link(format!("/proc/{}/exe", process.pid)).unwrap_or_default();
        if exe == program || process.pod.is_some() || process.words.iter().any(|word| word.contains(&*run)) {
            left.push(format!("process {} is left: {}", process.pid, process.words.join(" ")));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = |line: &&str| line.contains(&*run) || line.contains(&format!("{}/", data.display()));
    left.extend(mounts.lines().filter(below).map(|line| format!("a mount is left: {line}")));
    let table = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let links =
        table.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).filter(|name| *name != "lo");
    left.extend(links.map(|name| format!("link {name} is left")));
    left
}
