//! Which devices a group may use: rules on cgroup version 1, a BPF program on version 2.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::Hierarchies;

/// A device, or all with this major number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Device {
    block: bool,
    major: u32,
    minor: Option<u32>,
}

const fn character(major: u32, minor: Option<u32>) -> Device {
    Device { block: false, major, minor }
}

/// containerd's default: null, zero, full, random, urandom, tty, console, ptmx, pts. Making nodes is always allowed.
const DEFAULT: [Device; 9] = [
    character(1, Some(3)),
    character(1, Some(5)),
    character(1, Some(7)),
    character(1, Some(8)),
    character(1, Some(9)),
    character(5, Some(0)),
    character(5, Some(1)),
    character(5, Some(2)),
    character(136, None),
];

/// Restricts a group to the default devices and `extra`.
pub(crate) fn restrict(hierarchies: &Hierarchies, group: &Path, extra: &[PathBuf]) -> io::Result<()> {
    let mut allowed = DEFAULT.to_vec();
    for path in extra {
        let meta = fs::metadata(path)?;
        let (major, minor) = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
        allowed.push(Device { block: meta.file_type().is_block_device(), major, minor: Some(minor) });
    }
    match hierarchies {
        Hierarchies::V2(mount) => attach(&mount.join(group), &program(&allowed)),
        Hierarchies::V1(_) => match hierarchies.dir("devices", group) {
            Some(dir) => rules(&dir, &allowed),
            None => Ok(()),
        },
    }
}

fn rules(dir: &Path, allowed: &[Device]) -> io::Result<()> {
    fs::write(dir.join("devices.deny"), "a")?;
    let file = dir.join("devices.allow");
    fs::write(&file, "c *:* m")?;
    fs::write(&file, "b *:* m")?;
    for device in allowed {
        let kind = if device.block { 'b' } else { 'c' };
        let minor = device.minor.map_or("*".to_owned(), |minor| minor.to_string());
        fs::write(&file, format!("{kind} {}:{minor} rwm", device.major))?;
    }
    Ok(())
}

/// One instruction of the kernel's extended BPF.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const IF_NOT: u8 = 0x55;
const EXIT: u8 = 0x95;

/// What the program is asked: `struct bpf_cgroup_dev_ctx` is the access (upper half: 1 is making a node) with the
/// type (lower half: 1 block, 2 character), the major, and the minor number.
fn program(allowed: &[Device]) -> Vec<Instruction> {
    let op = |code, registers, offset, immediate| Instruction { code, registers, offset, immediate };
    let allow = [op(MOVE, 0, 0, 1), op(EXIT, 0, 0, 0)];
    let mut out = vec![
        // r2 = access, r3 = type, r4 = major, r5 = minor
        op(LOAD_WORD, 0x12, 0, 0),
        op(MOVE_REGISTER, 0x23, 0, 0),
        op(AND, 3, 0, 0xffff),
        op(SHIFT_RIGHT, 2, 0, 16),
        op(LOAD_WORD, 0x14, 4, 0),
        op(LOAD_WORD, 0x15, 8, 0),
        op(IF_NOT, 2, 2, 1),
    ];
    out.extend(allow);
    for device in allowed {
        let mut tests = vec![(3, if device.block { 1 } else { 2 }), (4, device.major as i32)];
        tests.extend(device.minor.map(|minor| (5, minor as i32)));
        let count = tests.len();
        for (index, (register, value)) in tests.into_iter().enumerate() {
            // Over the other tests and the two instructions that allow.
            out.push(op(IF_NOT, register, (count - index - 1 + allow.len()) as i16, value));
        }
        out.extend(allow);
    }
    out.extend([op(MOVE, 0, 0, 0), op(EXIT, 0, 0, 0)]);
    out
}

/// The part of `union bpf_attr` that loads a program.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u32; 4],
    kernel: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_kind: u32,
}

/// The part of `union bpf_attr` that attaches it.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Puts a group under a program; it stays as long as the group.
fn attach(dir: &Path, program: &[Instruction]) -> io::Result<()> {
    let license = CString::new("Apache-2.0")?;
    let mut load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        attach_kind: BPF_CGROUP_DEVICE,
        ..Load::default()
    };
    // SAFETY: the structure has the layout of the kernel's and the size that is passed; program and license outlive it.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw mut load, size_of::<Load>()) };
    let fd = Errno::result(loaded).map_err(|e| said("load the device filter", e))?;
    // SAFETY: the kernel has just made this descriptor for us; descriptors fit into an int.
    let loaded = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let group = File::open(dir)?;
    let mut attach = Attach {
        target: group.as_raw_fd() as u32,
        program: loaded.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: as above; both descriptors are open.
    let done = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw mut attach, size_of::<Attach>()) };
    Errno::result(done).map(drop).map_err(|e| said("attach the device filter", e))
}

fn said(what: &str, error: Errno) -> io::Error {
    io::Error::new(io::Error::from(error).kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register machine with just these instructions: what the kernel would answer.
    fn run(program: &[Instruction], context: [u32; 3]) -> bool {
        let (mut registers, mut at) = ([0u64; 16], 0usize);
        loop {
            let one = program[at];
            at += 1;
            let (to, from) = (usize::from(one.registers & 15), usize::from(one.registers >> 4));
            match one.code {
                LOAD_WORD => {
                    assert!(to > 1 && from == 1);
                    registers[to] = u64::from(context[one.offset as usize / 4]);
                }
                MOVE => registers[to] = one.immediate as u64,
                MOVE_REGISTER => registers[to] = registers[from],
                AND => registers[to] &= one.immediate as u64,
                SHIFT_RIGHT => registers[to] >>= one.immediate,
                IF_NOT if registers[to] != one.immediate as u64 => at += one.offset as usize,
                IF_NOT => {}
                EXIT => return registers[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn allows_the_listed() {
        let mut allowed = DEFAULT.to_vec();
        allowed.push(Device { block: true, major: 7, minor: Some(0) });
        let program = program(&allowed);
        let (make, read_write, block, character) = (1 << 16, 6 << 16, 1, 2);
        assert!(run(&program, [read_write | character, 1, 3]) && run(&program, [read_write | character, 136, 9]));
        assert!(run(&program, [read_write | block, 7, 0]) && !run(&program, [read_write | block, 7, 1]));
        assert!(!run(&program, [read_write | character, 1, 1]) && !run(&program, [read_write | block, 1, 3]));
        assert!(run(&program, [make | block, 8, 0]) && !run(&program, [(make * 3) | block, 8, 0]));
    }
}
