//! The default seccomp profile: containerd's allow-list, compiled to a BPF program by system call number.

mod bpf;
mod profile;
mod table;

use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::disk;

/// A compiled filter.
pub(crate) struct Filter(Vec<libc::sock_filter>);

/// Compiles the default profile for a process with these capabilities and stores it at `path`.
pub(crate) fn store(path: &Path, capabilities: u64) -> io::Result<()> {
    let program = bpf::compile(&profile::sections(capabilities));
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for one in program {
        bytes.extend_from_slice(&one.code.to_ne_bytes());
        bytes.extend_from_slice(&[one.jt, one.jf]);
        bytes.extend_from_slice(&one.k.to_ne_bytes());
    }
    disk::write(path, &bytes, false)
}

/// A filter that allows these calls of this machine's own architecture, and no other.
pub(crate) fn only(calls: &str) -> Filter {
    Filter(bpf::compile(&[profile::only(calls)]))
}

/// Reads what [`store`] wrote.
pub(crate) fn read(path: &Path) -> io::Result<Filter> {
    let bytes = std::fs::read(path)?;
    let program = bytes.chunks_exact(8).map(|b| libc::sock_filter {
        code: u16::from_ne_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    });
    let program: Vec<_> = program.collect();
    if program.is_empty() || bytes.len() % 8 != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a compiled filter"));
    }
    Ok(Filter(program))
}

impl Filter {
    /// Puts this thread, and all that it starts, under the filter.
    pub(crate) fn install(&self) -> nix::Result<()> {
        let length = u16::try_from(self.0.len()).map_err(|_| Errno::E2BIG)?;
        let program = libc::sock_fprog { len: length, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the kernel copies `length` instructions from the pointer and keeps neither.
        let done =
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, std::ptr::from_ref(&program)) };
        Errno::result(done).map(drop)
    }
}
