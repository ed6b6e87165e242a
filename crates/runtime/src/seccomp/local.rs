//! A profile of the node's own (`Localhost`), compiled. What libseccomp and runc make of the same document holds here,
//! too: calls that no architecture of the machine has are passed over, an unconditional rule goes before conditional
//! ones, a rule that says what the default says is none, two conditions on one argument are two rules, calls of other
//! architectures end the thread, and calls newer than every one in the profile do not exist (`ENOSYS`).
//!
//! Where two conditional rules of one call fit, the first of the document decides.

use super::arch;
use super::bpf::{ALLOW, ERRNO, Section, compile};
use super::document::{Argument, Document, Entry};
use super::place::{self, Machine};
use super::rules::{Compare, Condition};

/// Longest program that the kernel takes, instructions.
const MAX_PROGRAM: usize = 4096;
/// Largest error number; greater ones would be cut by the kernel.
const MAX_ERRNO: u32 = 4095;
const KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
pub(super) const TRACE: u32 = 0x7ff0_0000;
pub(super) const LOG: u32 = 0x7ffc_0000;

/// A program with the flags that it is installed with (`SECCOMP_FILTER_FLAG_…`).
pub(super) struct Compiled {
    pub program: Vec<libc::sock_filter>,
    pub flags: u32,
}

/// Compiles a document; the error says what is wrong with it.
pub(super) fn profile(text: &[u8], machine: &Machine) -> Result<Compiled, String> {
    let document: Document = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if document.listener_path.is_some() || document.listener_metadata.is_some() {
        return Err("listeners are not supported by this runtime".into());
    }
    let default = action(&document.default_action, document.default_errno_ret)?;
    let architectures = arch::all(&document)?;
    let flags = flags(&document)?;
    let mut entries = Vec::new();
    for entry in document.syscalls.iter().flatten() {
        if let Some(entry) = Checked::new(entry, machine)? {
            entries.push(entry);
        }
    }
    let sections: Vec<Section> = architectures.iter().map(|arch| arch.section(&entries, default)).collect();
    let program = compile(&sections, KILL_THREAD);
    match program.len() {
        0..=MAX_PROGRAM => Ok(Compiled { program, flags }),
        long => Err(format!("it needs {long} instructions, and the kernel takes {MAX_PROGRAM}")),
    }
}

fn action(name: &str, errno: Option<u32>) -> Result<u32, String> {
    let plain = match name {
        "SCMP_ACT_ERRNO" => {
            let errno = errno.unwrap_or(libc::EPERM as u32);
            let fits = errno <= MAX_ERRNO;
            return if fits { Ok(ERRNO | errno) } else { Err(format!("errno {errno} is greater than {MAX_ERRNO}")) };
        }
        "SCMP_ACT_TRACE" => {
            let data = u16::try_from(errno.unwrap_or(libc::EPERM as u32));
            return data.map(|data| TRACE | u32::from(data)).map_err(|_| "errno of SCMP_ACT_TRACE has 16 bits".into());
        }
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => TRAP,
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_LOG" => LOG,
        "SCMP_ACT_NOTIFY" => return Err("SCMP_ACT_NOTIFY is not supported by this runtime".into()),
        _ => return Err(format!("string {name} is not a valid action for seccomp")),
    };
    match errno {
        None => Ok(plain),
        Some(_) => Err(format!("action {name} has no errno")),
    }
}

fn flags(document: &Document) -> Result<u32, String> {
    let mut bits = 0;
    for flag in document.flags.iter().flatten() {
        bits |= match flag.as_str() {
            // A process has one thread when it is installed.
            "SECCOMP_FILTER_FLAG_TSYNC" => 0,
            "SECCOMP_FILTER_FLAG_LOG" => 2,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 4,
            other => return Err(format!("seccomp flag {other} is not known to this runtime")),
        };
    }
    Ok(bits)
}

/// An entry that holds on this machine for this process.
pub(super) struct Checked<'a> {
    pub names: &'a [String],
    /// What the filter returns.
    pub give: u32,
    /// Each of them is enough; one without conditions always fits.
    pub cases: Vec<Vec<Condition>>,
}

impl<'a> Checked<'a> {
    fn new(entry: &'a Entry, machine: &Machine) -> Result<Option<Self>, String> {
        let give = action(&entry.action, entry.errno_ret)?;
        let names = match (&entry.name, entry.names.as_deref().unwrap_or_default()) {
            (Some(name), []) if !name.is_empty() => std::slice::from_ref(name),
            (Some(name), [_, ..]) if !name.is_empty() => {
                let both = "both 'name' and 'names' are specified in the seccomp profile";
                return Err(format!("{both}, use either 'name' or 'names'"));
            }
            (_, names) => names,
        };
        if names.iter().any(String::is_empty) {
            return Err("empty string is not a valid syscall".into());
        }
        let conditions = entry.args.iter().flatten().map(condition).collect::<Result<Vec<_>, _>>()?;
        let holds = place::holds(entry, machine)?;
        let twice = |c: &Condition| conditions.iter().filter(|other| other.argument == c.argument).count() > 1;
        let cases = match conditions.iter().any(twice) {
            true => conditions.into_iter().map(|c| vec![c]).collect(),
            false => vec![conditions],
        };
        Ok(holds.then_some(Self { names, give, cases }))
    }
}

fn condition(argument: &Argument) -> Result<Condition, String> {
    if argument.index > 5 {
        return Err(format!("a system call has no argument {}", argument.index));
    }
    let (compare, value) = match argument.op.as_str() {
        "SCMP_CMP_NE" => (Compare::NotEqual, argument.value),
        "SCMP_CMP_LT" => (Compare::Below, argument.value),
        "SCMP_CMP_LE" => (Compare::AtMost, argument.value),
        "SCMP_CMP_EQ" => (Compare::Equal, argument.value),
        "SCMP_CMP_GE" => (Compare::AtLeast, argument.value),
        "SCMP_CMP_GT" => (Compare::Above, argument.value),
        "SCMP_CMP_MASKED_EQ" => (Compare::Masked(argument.value), argument.value_two),
        other => return Err(format!("string {other} is not a valid operator for seccomp")),
    };
    Ok(Condition { argument: argument.index, compare, value })
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
