//! Where an entry of a profile holds: with which capabilities, on which architecture, since which kernel.

use std::str::FromStr;

use caps::Capability;

use super::document::{Entry, Filter};

/// What a profile is compiled for.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Bounding set of the process.
    pub capabilities: u64,
    /// Version of the kernel.
    pub kernel: (u32, u32),
}

/// Names of architectures in `includes` and `excludes` (libseccomp's, as Docker has them).
const NAMES: [&str; 22] = [
    "x86", "x32", "mips", "mipsel64n32", "parisc", "parisc64", "sh", "amd64", "arm", "arm64", "loongarch64", "mips64", "mips64n32", "mipsel64", "mips3l64n32", "mipsel", "ppc",
    "ppc64", "ppc64le", "riscv64", "s390", "s390x",
];

/// Whether the entry's `includes` all hold and none of its `excludes` does.
pub(super) fn holds(entry: &Entry, machine: &Machine) -> Result<bool, String> {
    let none = Filter::default();
    let (wanted, barred) = (entry.includes.as_ref().unwrap_or(&none), entry.excludes.as_ref().unwrap_or(&none));
    let (wanted, barred) = (Found::of(wanted, machine)?, Found::of(barred, machine)?);
    let included = wanted.caps.iter().all(|held| *held) && wanted.arch != Some(false) && wanted.kernel != Some(false);
    let excluded = barred.caps.contains(&true) || barred.arch == Some(true) || barred.kernel == Some(true);
    Ok(included && !excluded)
}

/// What of a filter is so here; `None` where it does not say.
struct Found {
    caps: Vec<bool>,
    arch: Option<bool>,
    kernel: Option<bool>,
}

impl Found {
    fn of(filter: &Filter, machine: &Machine) -> Result<Self, String> {
        let mut caps = Vec::new();
        for name in filter.caps.iter().flatten() {
            let known = Capability::from_str(name).map_err(|_| format!("unknown capability {name:?}"))?;
            caps.push(machine.capabilities & known.bitmask() != 0);
        }
        let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let arches = filter.arches.as_deref().unwrap_or_default();
        if let Some(strange) = arches.iter().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(format!("unknown architecture {strange:?}"));
        }
        let kernel = filter.min_kernel.as_deref().filter(|version| !version.is_empty()).map(version).transpose()?;
        Ok(Self {
            caps,
            arch: (!arches.is_empty()).then(|| arches.iter().any(|name| name == own)),
            kernel: kernel.map(|least| machine.kernel >= least),
        })
    }
}

/// `5.10`.
fn version(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('.').and_then(|(major, minor)| {
        Some((u32::from(major.parse::<u8>().ok()?), u32::from(minor.parse::<u8>().ok()?)))
    });
    let parsed = parsed.filter(|version| *version != (0, 0));
    parsed.ok_or_else(|| format!("invalid kernel version: {text:?}, expected \"<kernel>.<major>\""))
}

