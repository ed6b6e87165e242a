//! What the machine says of itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Facts for the Node's capacity and `nodeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// CPUs.
    pub cpus: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of the file system that holds pods' files.
    pub storage: i64,
    /// Huge pages: bytes by page size in KiB.
    pub hugepages: BTreeMap<u64, i64>,
    /// Kernel release.
    pub kernel: String,
    /// Name of the operating system, for people.
    pub os_image: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// The firmware's id, or the machine's.
    pub system_uuid: String,
    /// Changes at each boot.
    pub boot_id: String,
    /// Architecture by Go's name.
    pub arch: String,
}

/// Reads them.
pub fn read(data_dir: &Path) -> Facts {
    let first = |paths: &[&str]| {
        let texts = paths.iter().filter_map(|p| fs::read_to_string(p).ok());
        texts.map(|t| t.trim().to_owned()).find(|t| !t.is_empty()).unwrap_or_default()
    };
    let machine_id = first(&["/etc/machine-id", "/var/lib/dbus/machine-id"]);
    let uuid = first(&["/sys/class/dmi/id/product_uuid"]).to_lowercase();
    Facts {
        cpus: std::thread::available_parallelism().map_or(1, |n| i64::try_from(n.get()).unwrap_or(1)),
        memory: meminfo_total(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        storage: storage(data_dir),
        hugepages: hugepages(),
        kernel: first(&["/proc/sys/kernel/osrelease"]),
        os_image: os_name(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
        system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
        machine_id,
        boot_id: first(&["/proc/sys/kernel/random/boot_id"]),
        arch: match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
        .to_owned(),
    }
}

fn meminfo_total(text: &str) -> i64 {
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<i64>().ok());
    kib.unwrap_or(0) * 1024
}

fn os_name(text: &str) -> String {
    let line = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    line.map_or_else(|| "Linux".to_owned(), |l| l.trim_matches('"').to_owned())
}

fn storage(dir: &Path) -> i64 {
    let there = dir.ancestors().find(|d| d.exists()).unwrap_or(Path::new("/"));
    let size = nix::sys::statvfs::statvfs(there).map(|s| s.blocks() as i128 * s.fragment_size() as i128);
    i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX)
}

fn hugepages() -> BTreeMap<u64, i64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let size = name.strip_prefix("hugepages-").and_then(|n| n.strip_suffix("kB")).and_then(|n| n.parse::<u64>().ok());
        let count = fs::read_to_string(entry.path().join("nr_hugepages")).ok();
        let count = count.and_then(|c| c.trim().parse::<i64>().ok()).unwrap_or(0);
        if let Some(size) = size {
            found.insert(size, count * i64::try_from(size).unwrap_or(0) * 1024);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_read() {
        assert_eq!(super::meminfo_total("MemTotal:       16 kB\nMemFree: 1 kB\n"), 16384);
        assert_eq!(super::os_name("NAME=x\nPRETTY_NAME=\"Debian 12\"\n"), "Debian 12");
    }
}
