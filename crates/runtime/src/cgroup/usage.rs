//! What a group has used.

use std::fs;
use std::path::Path;

use super::Hierarchies;
use crate::Usage;

/// CPU time and working set; zeros where nothing can be read.
pub(crate) fn usage(hierarchies: &Hierarchies, group: &Path) -> Usage {
    match hierarchies {
        Hierarchies::V1(_) => Usage {
            cpu_nanos: hierarchies.dir("cpuacct", group).map_or(0, |dir| number(&dir.join("cpuacct.usage"))),
            memory_bytes: hierarchies.dir("memory", group).map_or(0, |dir| {
                let inactive = field(&dir.join("memory.stat"), "total_inactive_file");
                number(&dir.join("memory.usage_in_bytes")).saturating_sub(inactive)
            }),
        },
        Hierarchies::V2(mount) => {
            let dir = mount.join(group);
            let inactive = field(&dir.join("memory.stat"), "inactive_file");
            Usage {
                cpu_nanos: field(&dir.join("cpu.stat"), "usage_usec") * 1000,
                memory_bytes: number(&dir.join("memory.current")).saturating_sub(inactive),
            }
        }
    }
}

fn number(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}
