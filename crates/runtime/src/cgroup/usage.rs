//! What a group has used.

use std::fs;
use std::path::Path;

use super::Hierarchies;
use crate::Usage;

/// CPU time, memory and processes, those of the groups below it included; zeros where nothing can be read.
pub(crate) fn usage(hierarchies: &Hierarchies, group: &Path) -> Usage {
    let dir = |controller: &str| hierarchies.dir(controller, group);
    let file = |controller: &str, name: &str| dir(controller).map_or(0, |dir| number(&dir.join(name)));
    let stat = dir("memory").and_then(|dir| fs::read_to_string(dir.join("memory.stat")).ok()).unwrap_or_default();
    let (total, cpu_nanos, names) = match hierarchies {
        Hierarchies::V1(_) => (
            file("memory", "memory.usage_in_bytes"),
            file("cpuacct", "cpuacct.usage"),
            ["total_inactive_file", "total_rss", "total_cache", "total_pgfault", "total_pgmajfault"],
        ),
        Hierarchies::V2(mount) => {
            let cpu = fs::read_to_string(mount.join(group).join("cpu.stat")).unwrap_or_default();
            let names = ["inactive_file", "anon", "file", "pgfault", "pgmajfault"];
            (file("memory", "memory.current"), field(&cpu, "usage_usec") * 1000, names)
        }
    };
    let [inactive, anonymous, cache, faults, major] = names.map(|name| field(&stat, name));
    Usage {
        cpu_nanos,
        memory_bytes: total.saturating_sub(inactive),
        memory_total: total,
        memory_anonymous: anonymous,
        memory_cache: cache,
        page_faults: faults,
        major_page_faults: major,
        processes: file("pids", "pids.current"),
    }
}

fn number(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Hierarchy;

    #[test]
    fn both_versions_tell_the_same() {
        let root = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("v2/g/memory.current", "1000\n");
        write("v2/g/memory.stat", "anon 300\nfile 500\ninactive_file 200\npgfault 7\npgmajfault 1\n");
        write("v2/g/cpu.stat", "usage_usec 5\nuser_usec 1\n");
        write("v2/g/pids.current", "3\n");
        write("memory/g/memory.usage_in_bytes", "1000\n");
        let stat = "rss 1\ntotal_rss 300\ntotal_cache 500\ntotal_inactive_file 200\ntotal_pgfault 7\ntotal_pgmajfault 1\n";
        write("memory/g/memory.stat", stat);
        write("cpuacct/g/cpuacct.usage", "5000\n");
        write("pids/g/pids.current", "3\n");
        let one = |name: &str| Hierarchy { mount: root.path().join(name), controllers: vec![name.to_owned()] };
        let first = usage(&Hierarchies::V1(["memory", "cpuacct", "pids"].map(one).to_vec()), Path::new("g"));
        let expected = Usage {
            cpu_nanos: 5000,
            memory_bytes: 800,
            memory_total: 1000,
            memory_anonymous: 300,
            memory_cache: 500,
            page_faults: 7,
            major_page_faults: 1,
            processes: 3,
        };
        assert_eq!(first, expected);
        assert_eq!(usage(&Hierarchies::V2(root.path().join("v2")), Path::new("g")), expected);
        assert_eq!(usage(&Hierarchies::V2(root.path().join("v2")), Path::new("none")), Usage::default());
    }
}
