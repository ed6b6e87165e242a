//! What processes use, as `/proc` tells it.

use std::path::Path;

use anyhow::{Context, Result};

/// What all processes of a program use together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Memory, shared pages divided among their users, in bytes.
    pub pss_bytes: u64,
    /// Since their start, user and kernel.
    pub cpu_seconds: f64,
    /// Sent to disks since their start, in bytes.
    pub written_bytes: u64,
}

/// Sums up over all processes that run this program.
pub fn usage(program: &Path) -> Result<Usage> {
    let mut sum = Usage::default();
    for entry in std::fs::read_dir("/proc")? {
        let dir = entry?.path();
        if std::fs::read_link(dir.join("exe")).is_ok_and(|exe| exe == program)
            && let Ok(one) = of_process(&dir)
        {
            sum.pss_bytes += one.pss_bytes;
            sum.cpu_seconds += one.cpu_seconds;
            sum.written_bytes += one.written_bytes;
        }
    }
    Ok(sum)
}

/// One process, by its directory in `/proc`.
pub fn of_process(dir: &Path) -> Result<Usage> {
    let field = |file: &str, name: &str| -> Result<u64> {
        let text = std::fs::read_to_string(dir.join(file))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{name} in {file}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    let stat = std::fs::read_to_string(dir.join("stat"))?;
    let after_name = stat.rsplit_once(')').context("stat")?.1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Ok(Usage {
        pss_bytes: field("smaps_rollup", "Pss:")? * 1024,
        // A tick is a hundredth of a second for all programs (man 7 time: USER_HZ).
        cpu_seconds: ticks as f64 / 100.0,
        written_bytes: field("io", "write_bytes:")?,
    })
}
