//! Where the last lines of a file begin.

use std::fs::File;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 16 * 1024;

/// Offset of the first of the last `lines` lines.
pub fn start(file: &File, lines: u64) -> std::io::Result<u64> {
    let end = file.metadata()?.len();
    if lines == 0 {
        return Ok(end);
    }
    let mut found = 0;
    let mut at = end;
    let mut block = vec![0; BLOCK as usize];
    while at > 0 {
        let from = at.saturating_sub(BLOCK);
        let part = &mut block[..(at - from) as usize];
        file.read_exact_at(part, from)?;
        for (i, byte) in part.iter().enumerate().rev() {
            let position = from + i as u64;
            // The newline at the very end closes the last line, it does not begin another.
            if *byte == b'\n' && position + 1 < end {
                found += 1;
                if found == lines {
                    return Ok(position + 1);
                }
            }
        }
        at = from;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    #[test]
    fn offsets() {
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(b"a\nbb\nccc\n").expect("written");
        let start = |n| super::start(&file, n).expect("readable");
        assert_eq!([start(0), start(1), start(2), start(3), start(9)], [9, 5, 2, 0, 0]);
    }
}
