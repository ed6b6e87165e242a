//! Memory that the program does without: code that only the start needed, the unused rest of huge pages.

use std::io;
use std::time::Duration;

/// When the start is over, what runs on is known.
const SETTLE: Duration = Duration::from_secs(5);

/// Has the heap made of small pages from now on. In huge ones, what is free between objects stays allocated: with
/// 20,000 ConfigMaps that was a third of all memory, for nothing that a benchmark could see. Containers are given
/// theirs back by the runtime.
pub fn small_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "huge pages are not switched off");
    }
}

/// Has what is free given back also while nobody allocates: the allocator gets a thread for it, which sleeps when there is
/// nothing.
pub fn give_back_when_idle() {
    if let Err(error) = tikv_jemalloc_ctl::background_thread::write(true) {
        tracing::debug!(%error, "free memory is given back by those who allocate alone");
    }
}

/// Waits until the start has settled, and gives the program's code back once. A third of it is mapped by then,
/// most of which never runs again; what does is mapped again out of the page cache, a few microseconds a page.
pub async fn after_the_start() {
    tokio::time::sleep(SETTLE).await;
    match give_code_back() {
        Ok(bytes) => tracing::debug!(bytes, "code given back"),
        Err(error) => tracing::debug!(%error, "code not given back"),
    }
}

/// Unmaps the pages of the mapping that this function lies in, and returns its length in bytes.
fn give_code_back() -> io::Result<usize> {
    let here = give_code_back as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let code = maps.lines().filter_map(code).find(|(start, end)| (*start..*end).contains(&here));
    let (start, end) = code.ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: a mapping of a file that nobody can write to reads the same when its pages come back.
    let failed = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    if failed == 0 { Ok(end - start) } else { Err(io::Error::last_os_error()) }
}

/// The range of a line of `/proc/self/maps`, if it is code out of a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, permissions, path) = (fields.next()?, fields.next()?, fields.nth(3)?);
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    (permissions == "r-xp" && path.starts_with('/')).then_some((address(start)?, address(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_given_back() {
        let line = |permissions: &str, path: &str| format!("00a4a000-02e7e000 {permissions} 00849000 fe:00 1234   {path}");
        assert_eq!(code(&line("r-xp", "/usr/bin/ironclad (deleted)")), Some((0xa4_a000, 0x2e7_e000)));
        assert_eq!(code(&line("rw-p", "/usr/bin/ironclad")), None);
        assert_eq!(code(&line("r-xp", "[vdso]")), None);
        assert_eq!(code(&line("r-xp", "")), None);
    }

    #[test]
    fn the_program_runs_on_without_its_code() {
        assert!(give_code_back().expect("the code is found") > 4096);
        assert!(give_code_back().is_ok());
    }
}
