//! Limits into the files of a group.

use std::fs;
use std::io;
use std::path::Path;

use super::Hierarchies;
use crate::Resources;

/// Writes the limits. Zero means: leave as it is, or lift it when `lift`.
pub(crate) fn apply(hierarchies: &Hierarchies, group: &Path, limits: &Resources, lift: bool) -> io::Result<()> {
    match hierarchies {
        Hierarchies::V1(_) => {
            cpu_v1(hierarchies, group, limits, lift)?;
            memory_v1(hierarchies, group, limits, lift)?;
        }
        Hierarchies::V2(mount) => v2(&mount.join(group), limits, lift)?,
    }
    if let Some(dir) = hierarchies.dir("pids", group)
        && (limits.pids_limit > 0 || lift)
    {
        put(&dir, "pids.max", &or_max(limits.pids_limit))?;
    }
    Ok(())
}

/// On version 2, lets the kernel kill a container for memory as a whole, as the kubelet wants it by default.
pub(crate) fn kill_together(hierarchies: &Hierarchies, group: &Path) -> io::Result<()> {
    match hierarchies {
        Hierarchies::V2(mount) => put(&mount.join(group), "memory.oom.group", "1"),
        Hierarchies::V1(_) => Ok(()),
    }
}

fn cpu_v1(hierarchies: &Hierarchies, group: &Path, limits: &Resources, lift: bool) -> io::Result<()> {
    let Some(dir) = hierarchies.dir("cpu", group) else { return Ok(()) };
    if limits.cpu_shares > 0 {
        put(&dir, "cpu.shares", &limits.cpu_shares.to_string())?;
    }
    if limits.cpu_quota <= 0 {
        return if lift { put(&dir, "cpu.cfs_quota_us", "-1") } else { Ok(()) };
    }
    let period = period(limits);
    let quota = limits.cpu_quota.to_string();
    // The kernel checks quota against period and parent on each write; one of the two orders is legal.
    if put(&dir, "cpu.cfs_period_us", &period).is_err() {
        put(&dir, "cpu.cfs_quota_us", &quota)?;
        put(&dir, "cpu.cfs_period_us", &period)?;
    }
    put(&dir, "cpu.cfs_quota_us", &quota)
}

fn memory_v1(hierarchies: &Hierarchies, group: &Path, limits: &Resources, lift: bool) -> io::Result<()> {
    let Some(dir) = hierarchies.dir("memory", group) else { return Ok(()) };
    let value = match limits.memory_limit {
        limit if limit > 0 => limit.to_string(),
        _ if lift => "-1".to_owned(),
        _ => return Ok(()),
    };
    // memory+swap must never be below memory: raise it first, lower it last. Without swap accounting there is no file.
    let swap = dir.join("memory.memsw.limit_in_bytes");
    let raised = swap.exists() && fs::write(&swap, &value).is_ok();
    put(&dir, "memory.limit_in_bytes", &value)?;
    if swap.exists() && !raised {
        fs::write(&swap, &value)?;
    }
    Ok(())
}

fn v2(dir: &Path, limits: &Resources, lift: bool) -> io::Result<()> {
    if limits.cpu_shares > 0 {
        put(dir, "cpu.weight", &weight(limits.cpu_shares).to_string())?;
    }
    if limits.cpu_quota > 0 {
        put(dir, "cpu.max", &format!("{} {}", limits.cpu_quota, period(limits)))?;
    } else if lift {
        put(dir, "cpu.max", "max")?;
    }
    if limits.memory_limit > 0 || lift {
        put(dir, "memory.max", &or_max(limits.memory_limit))?;
        // A pod's memory limit covers swap, as the kubelet without swap support sets it.
        if dir.join("memory.swap.max").exists() {
            put(dir, "memory.swap.max", if limits.memory_limit > 0 { "0" } else { "max" })?;
        }
    }
    Ok(())
}

fn or_max(limit: i64) -> String {
    if limit > 0 { limit.to_string() } else { "max".to_owned() }
}

fn period(limits: &Resources) -> String {
    if limits.cpu_period == 0 { "100000".to_owned() } else { limits.cpu_period.to_string() }
}

/// `cpu.shares` (2 … 262144) on the scale of `cpu.weight` (1 … 10000): the curve that also leads from the one
/// default, 1024, to the other, 100 (upstream: `opencontainers/cgroups`, `ConvertCPUSharesToCgroupV2Value`).
fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

fn put(dir: &Path, file: &str, value: &str) -> io::Result<()> {
    let path = dir.join(file);
    fs::write(&path, value).map_err(|e| io::Error::new(e.kind(), format!("write {value} to {}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn weights() {
        let of = [0, 2, 102, 256, 1024, 262_144].map(weight);
        assert_eq!(of, [1, 1, 17, 35, 100, 10_000]);
    }
}
