//! Keeps a container from running the program that starts it.
//!
//! Until exec, `/proc/self/exe` in a container is our own program, and a script, or an executable, can name it as its
//! interpreter. It is a read-only copy (`embedded/sealed.rs`), so this is no way out; but it is nothing for a
//! container to run either. What a container changes between this look and exec is not seen: then it runs a program
//! with its own rights that it cannot write.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Result;
use crate::root::Identity;
use crate::shim::wire::Failure;

/// Deepest chain of interpreters that the kernel follows.
const MAX_DEPTH: usize = 5;
/// How much of a file is looked at for its interpreter.
const HEAD: usize = 4096;

/// Our own program; look at it before the root changes.
pub(super) struct Itself(Identity);

impl Itself {
    /// By the host's `/proc`.
    pub(super) fn look() -> Result<Self> {
        let fail = |e: &dyn std::fmt::Display| Failure::system("/proc/self/exe", e);
        let file = place(Path::new("/proc/self/exe")).map_err(|e| fail(&e))?;
        Identity::of(&file).map(Self).map_err(|e| fail(&e))
    }

    /// Whether executing `path` would run it, directly or as an interpreter.
    pub(super) fn is_run_by(&self, path: &Path) -> bool {
        let mut at = path.to_path_buf();
        for _ in 0..=MAX_DEPTH {
            if place(&at).is_ok_and(|file| Identity::of(file.as_fd()).is_ok_and(|found| found == self.0)) {
                return true;
            }
            match interpreter(&at) {
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }
}

fn place(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(path)
}

/// What the kernel would run for this file; none when it runs by itself, or cannot be read.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = [0; HEAD];
    let length = file.read_at(&mut head, 0).ok()?;
    let head = &head[..length];
    match head {
        [b'#', b'!', rest @ ..] => script(rest),
        [0x7f, b'E', b'L', b'F', 2, ..] => executable(&file, head),
        _ => None,
    }
}

fn script(line: &[u8]) -> Option<PathBuf> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = line.iter().position(|b| !blank(b))?;
    let line = &line[start..];
    let end = line.iter().position(|b| blank(b) || matches!(b, b'\n' | 0)).unwrap_or(line.len());
    named(&line[..end])
}

/// The `PT_INTERP` of a 64-bit ELF file.
fn executable(file: &File, head: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: u64 = 3;
    let number = |bytes: &[u8], at: usize, size: usize| {
        let bytes = bytes.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let (table, size, count) = (number(head, 32, 8)?, number(head, 54, 2)?, number(head, 56, 2)?);
    for index in 0..count {
        let mut entry = [0; 56];
        file.read_exact_at(&mut entry, table.checked_add(index * size)?).ok()?;
        if number(&entry, 0, 4)? != PT_INTERP {
            continue;
        }
        let mut name = vec![0; number(&entry, 32, 8)?.min(libc::PATH_MAX as u64) as usize];
        file.read_exact_at(&mut name, number(&entry, 8, 8)?).ok()?;
        return named(name.split(|b| *b == 0).next()?);
    }
    None
}

fn named(path: &[u8]) -> Option<PathBuf> {
    (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_interpreters() {
        assert_eq!(script(b" \t/a/b -c x\n"), Some("/a/b".into()));
        assert_eq!(script(b"x"), Some("x".into()));
        assert_eq!(script(b" \n"), None);
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("one");
        let second = dir.path().join("two");
        std::fs::write(&script, "#!/proc/self/exe\n").unwrap();
        std::fs::write(&second, format!("#! {}\n", script.display())).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/proc/thread-self/exe", &link).unwrap();
        let itself = Itself::look().unwrap();
        for path in [&script, &second, &link, &PathBuf::from("/proc/self/exe")] {
            assert!(itself.is_run_by(path), "{}", path.display());
        }
        // This very test is dynamic or not; its interpreter is not itself.
        for path in ["/bin/sh", "/none", "/", "/dev/null"] {
            assert!(!itself.is_run_by(Path::new(path)), "{path}");
        }
        let loader = interpreter(Path::new("/bin/sh")).unwrap();
        assert!(loader.is_absolute() && loader.exists(), "{}", loader.display());
    }
}
