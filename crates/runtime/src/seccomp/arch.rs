//! The architectures whose programs a machine runs, and what a profile says of the calls of each.

use std::collections::BTreeMap;

use super::bpf::{ALLOW, Action, Section};
use super::document::{Architecture, Document};
use super::local::{Checked, KILL_THREAD, LOG, TRACE};
use super::mux;
use super::profile::{ARCH_AARCH64, ARCH_I386, ARCH_X86_64};
use super::rules::{Condition, Rule};
use super::table::TABLE;

/// Calls of x32 programs have this bit.
const X32: u32 = 0x4000_0000;

/// Architectures of the runtime specification that programs of others than this machine have.
const FOREIGN: [&str; 20] = [
    "ARM", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390",
    "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB", "X32",
];

/// One architecture whose programs this machine runs.
pub(super) struct Arch {
    audit: u32,
    wide: bool,
    /// Number of a call: the column of the table.
    number: fn(&(&'static str, i16, i16, i16)) -> i16,
    /// Programs of x32 are known, and find no call.
    x32: bool,
}

/// The machine's own, and those that the document adds.
pub(super) fn all(document: &Document) -> Result<Vec<Arch>, String> {
    let own = if cfg!(target_arch = "aarch64") { "SCMP_ARCH_AARCH64" } else { "SCMP_ARCH_X86_64" };
    let (plain, map) = (document.architectures.as_deref(), document.arch_map.as_deref());
    let (plain, map) = (plain.unwrap_or_default(), map.unwrap_or_default());
    if !plain.is_empty() && !map.is_empty() {
        let both = "both 'architectures' and 'archMap' are specified in the seccomp profile";
        return Err(format!("{both}, use either 'architectures' or 'archMap'"));
    }
    let subs = |of: &Architecture| of.sub_architectures.clone().unwrap_or_default();
    for name in plain.iter().cloned().chain(map.iter().flat_map(|m| [vec![m.architecture.clone()], subs(m)].concat())) {
        let short = name.strip_prefix("SCMP_ARCH_").unwrap_or("");
        if !FOREIGN.contains(&short) && !["X86", "X86_64", "AARCH64"].contains(&short) {
            return Err(format!("string {name} is not a valid arch for seccomp"));
        }
    }
    let mapped = map.iter().filter(|m| m.architecture == own).flat_map(subs);
    let listed: Vec<String> = plain.iter().cloned().chain(mapped).collect();
    if cfg!(target_arch = "aarch64") {
        return Ok(vec![Arch { audit: ARCH_AARCH64, wide: true, number: |row| row.3, x32: false }]);
    }
    let has = |name: &str| listed.iter().any(|listed| listed == name);
    let mut all = vec![Arch { audit: ARCH_X86_64, wide: true, number: |row| row.1, x32: has("SCMP_ARCH_X32") }];
    if has("SCMP_ARCH_X86") {
        all.push(Arch { audit: ARCH_I386, wide: false, number: |row| row.2, x32: false });
    }
    Ok(all)
}

/// What is known of one call.
#[derive(Default)]
struct Known {
    always: Option<u32>,
    rules: Vec<Rule>,
}

impl Arch {
    /// What the entries say of this architecture's calls.
    pub(super) fn section(&self, entries: &[Checked<'_>], default: u32) -> Section {
        let mut known: BTreeMap<u32, Known> = BTreeMap::new();
        let mut last = 0;
        for entry in entries {
            for name in entry.names {
                let call = self.find(name);
                last = last.max(call.unwrap_or(0));
                if entry.give == default {
                    continue;
                }
                for case in &entry.cases {
                    call.iter().for_each(|call| known.entry(*call).or_default().add(case.clone(), entry.give));
                    if self.audit == ARCH_I386 && let Some((door, key)) = mux::door(name) {
                        let stricter = default == ALLOW || default == LOG;
                        // Its arguments are behind a pointer: what cannot be looked at is not let through.
                        if let Some(door) = self.find(door).filter(|_| case.is_empty() || stricter) {
                            last = last.max(door);
                            known.entry(door).or_default().add(vec![key], entry.give);
                        }
                    }
                }
            }
        }
        let otherwise = Action::Give(default);
        let calls = known.into_iter().map(|(call, known)| (call, known.action(default, self.wide))).collect();
        Section { arch: self.audit, calls, otherwise, beyond: self.beyond(last, default) }
    }

    fn find(&self, name: &str) -> Option<u32> {
        let row = TABLE.binary_search_by_key(&name, |row| row.0).ok().map(|at| &TABLE[at])?;
        u32::try_from((self.number)(row)).ok()
    }

    /// Calls behind the last one of the profile, and those of x32.
    fn beyond(&self, last: u32, default: u32) -> Vec<(u32, Action)> {
        let (absent, permissive) = (Action::Errno(libc::ENOSYS as u32), matches!(default & 0x7fff_0000, ALLOW | LOG | TRACE));
        let mut beyond = Vec::new();
        if last > 0 && !permissive {
            beyond.push((last + 1, absent.clone()));
        }
        if self.audit == ARCH_X86_64 {
            beyond.push((X32, if self.x32 { absent } else { Action::Give(KILL_THREAD) }));
        }
        beyond
    }
}

impl Known {
    fn add(&mut self, conditions: Vec<Condition>, give: u32) {
        match conditions.is_empty() {
            true => drop(self.always.get_or_insert(give)),
            false => self.rules.push(Rule { conditions, give }),
        }
    }

    fn action(self, otherwise: u32, wide: bool) -> Action {
        match self.always {
            Some(give) => Action::Give(give),
            None => Action::Rules { rules: self.rules, otherwise, wide },
        }
    }
}
