//! Seccomp filters, compiled to BPF programs by system call number: containerd's default profile, and profiles of the
//! node's own.

mod arch;
mod bpf;
mod document;
mod local;
mod mux;
mod place;
mod profile;
mod rules;
mod table;

use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::disk;

/// A compiled filter, and the flags that it is installed with (`SECCOMP_FILTER_FLAG_…`).
pub(crate) struct Filter {
    program: Vec<libc::sock_filter>,
    flags: u32,
}

/// Compiles the default profile for a process with these capabilities and stores it at `path`.
pub(crate) fn store(path: &Path, capabilities: u64) -> io::Result<()> {
    write(path, &bpf::compile(&profile::sections(capabilities), bpf::ERRNO | libc::EPERM as u32), 0)
}

/// Compiles the profile that somebody wrote in `text` and stores it at `path`. The inner error says what is wrong with
/// the profile.
pub(crate) fn store_local(path: &Path, text: &[u8], capabilities: u64) -> io::Result<Result<(), String>> {
    let machine = place::Machine { capabilities, kernel: kernel()? };
    match local::profile(text, &machine) {
        Ok(compiled) => write(path, &compiled.program, compiled.flags).map(Ok),
        Err(wrong) => Ok(Err(wrong)),
    }
}

/// Version of the running kernel.
fn kernel() -> io::Result<(u32, u32)> {
    let release = nix::sys::utsname::uname()?.release().to_string_lossy().into_owned();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("kernel release {release:?}"))),
    }
}

/// A filter that allows these calls of this machine's own architecture, and no other.
pub(crate) fn only(calls: &str) -> Filter {
    let program = bpf::compile(&[profile::only(calls)], bpf::ERRNO | libc::EPERM as u32);
    Filter { program, flags: 0 }
}

/// The instructions, then the flags if there are any: who knows of none sees that this is not for him.
fn write(path: &Path, program: &[libc::sock_filter], flags: u32) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(program.len() * 8 + 4);
    for one in program {
        bytes.extend_from_slice(&one.code.to_ne_bytes());
        bytes.extend_from_slice(&[one.jt, one.jf]);
        bytes.extend_from_slice(&one.k.to_ne_bytes());
    }
    if flags != 0 {
        bytes.extend_from_slice(&flags.to_ne_bytes());
    }
    disk::write(path, &bytes, false)
}

/// Reads what [`store`] or [`store_local`] wrote.
pub(crate) fn read(path: &Path) -> io::Result<Filter> {
    let bytes = std::fs::read(path)?;
    let chunks = bytes.chunks_exact(8);
    let flags = match chunks.remainder() {
        [] => 0,
        [a, b, c, d] => u32::from_ne_bytes([*a, *b, *c, *d]),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "not a compiled filter")),
    };
    let program = chunks.map(|b| libc::sock_filter {
        code: u16::from_ne_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    });
    let program: Vec<_> = program.collect();
    match program.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "not a compiled filter")),
        false => Ok(Filter { program, flags }),
    }
}

impl Filter {
    /// Puts this thread, and all that it starts, under the filter.
    pub(crate) fn install(&self) -> nix::Result<()> {
        let length = u16::try_from(self.program.len()).map_err(|_| Errno::E2BIG)?;
        let program = libc::sock_fprog { len: length, filter: self.program.as_ptr().cast_mut() };
        let (operation, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::c_ulong::from(self.flags));
        // SAFETY: the kernel copies `length` instructions from the pointer and keeps neither.
        let done = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, std::ptr::from_ref(&program)) };
        Errno::result(done).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_kept_with_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("filter.bpf");
        store_local(&path, br#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}"#, 0).unwrap().unwrap();
        let filter = read(&path).unwrap();
        assert_eq!((filter.flags, std::fs::metadata(&path).unwrap().len() % 8), (2, 4));
        store(&path, 0).unwrap();
        assert_eq!(read(&path).unwrap().flags, 0);
        std::fs::write(&path, [0; 11]).unwrap();
        assert!(read(&path).is_err());
        assert!(store_local(&path, b"{}", 0).unwrap().is_err());
    }
}
