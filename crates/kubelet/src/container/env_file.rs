//! Variables out of a file that the pod itself has written (`fileKeyRef`; upstream: `util/env.ParseEnv`).
//!
//! A line is `NAME='value'`; the value goes on over lines until the next quote, and nothing in it is expanded.

use std::path::Path;

use runtime::Root;

/// Largest file, bytes: what all variables of a process may need on Linux is not much more.
const MAX_FILE: u64 = 1 << 20;
/// Longest line, bytes (upstream: `bufio.MaxScanTokenSize`).
const MAX_LINE: usize = 64 << 10;

/// The value of `key` in the file at `path` of a volume; `None` without the file, and without a value in it. Links are
/// followed inside the volume. The error is for the node's owner.
pub fn value(volume: &Path, path: &str, key: &str) -> Result<Option<String>, String> {
    let read = Root::open(volume).map_err(std::io::Error::from).and_then(|root| root.read(Path::new(path), MAX_FILE));
    match read {
        Ok(bytes) => parse(&bytes, key),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("failed to open environment variable file {path:?}: {error}")),
    }
}

fn parse(text: &[u8], key: &str) -> Result<Option<String>, String> {
    let mut lines = Lines { rest: text, number: 0 };
    while let Some(line) = lines.next()? {
        let line = trimmed(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let at = lines.number;
        let wrong = |what: &str| Err(format!("invalid environment variable format at line {at}: {what}"));
        let Some(equals) = line.iter().position(|b| *b == b'=') else { return wrong("missing '='") };
        let (name, value) = (&line[..equals], &line[equals + 1..]);
        match name.last() {
            None => return wrong("empty variable name"),
            Some(b' ' | b'\t') if trimmed(name).is_empty() => return wrong("empty variable name"),
            Some(b' ' | b'\t') => return wrong("whitespace before '=' is not allowed"),
            Some(_) => {}
        }
        let wanted = name == key.as_bytes();
        let found = match value {
            // A blank ends the value, as in a shell.
            [b' ' | b'\t', ..] => Vec::new(),
            [b'\'', first @ ..] => quoted(first, &mut lines)?,
            _ => return wrong("value must be enclosed in single quotes"),
        };
        if wanted {
            let found = String::from_utf8_lossy(&found).into_owned();
            return Ok(Some(found).filter(|value| !value.is_empty()));
        }
    }
    Ok(None)
}

/// The text up to the closing quote; behind it a comment may stand.
fn quoted(first: &[u8], lines: &mut Lines) -> Result<Vec<u8>, String> {
    let (begun, mut value, mut rest) = (lines.number, Vec::new(), first);
    loop {
        if let Some(end) = rest.iter().position(|b| *b == b'\'') {
            value.extend_from_slice(&rest[..end]);
            let after = trimmed(&rest[end + 1..]);
            let plain = after.is_empty() || after.starts_with(b"#");
            let line = lines.number;
            let wrong = || format!("invalid environment variable format at line {line}: unexpected content after closing quote");
            return if plain { Ok(value) } else { Err(wrong()) };
        }
        value.extend_from_slice(rest);
        value.push(b'\n');
        rest = lines.next()?.ok_or_else(|| {
            format!("invalid environment variable format starting at line {begun}: unclosed single quote")
        })?;
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    &text[start..]
}

/// Lines without their ends.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let end = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        self.number += 1;
        if line.len() >= MAX_LINE {
            return Err(format!("error reading environment variable file: line {} is too long", self.number));
        }
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, key: &str) -> Result<Option<String>, String> {
        parse(text.as_bytes(), key)
    }

    #[test]
    fn values_are_quoted_and_taken_as_they_are() {
        let text = "\n  # comment\n\tA='1' # one\nB='two\n # $lines\\n'\nD= 'x'\n";
        let get = |key: &str| of(text, key).expect("parsed");
        assert_eq!([get("A"), get("B"), get("D"), get("E")], [Some("1".into()), Some("two\n # $lines\\n".into()), None, None]);
        assert_eq!(of("A='x'\r\n", "A"), Ok(Some("x".into())));
        assert_eq!(of("A='1'\nA='2'\n", "A"), Ok(Some("1".into())), "the first one counts");
        assert_eq!(of("A='1'\nB", "A"), Ok(Some("1".into())), "what stands behind it is not read");
        assert_eq!(of("A=''", "A"), Ok(None));
    }

    #[test]
    fn everything_else_is_refused() {
        let at = |line: usize, what: &str| Err(format!("invalid environment variable format at line {line}: {what}"));
        assert_eq!(of("\nA", "K"), at(2, "missing '='"));
        assert_eq!(of("='x'", "K"), at(1, "empty variable name"));
        assert_eq!(of(" ='x'", "K"), at(1, "empty variable name"));
        assert_eq!(of("A ='x'", "K"), at(1, "whitespace before '=' is not allowed"));
        assert_eq!(of("A=x", "K"), at(1, "value must be enclosed in single quotes"));
        assert_eq!(of("A=", "K"), at(1, "value must be enclosed in single quotes"));
        assert_eq!(of("A='x' y", "K"), at(1, "unexpected content after closing quote"));
        assert_eq!(of("A='x\n\n", "K"), Err("invalid environment variable format starting at line 1: unclosed single quote".into()));
        assert!(of(&format!("A='{}'", "x".repeat(MAX_LINE)), "A").is_err());
    }

    #[test]
    fn a_volume_is_not_left() {
        let dir = tempfile::tempdir().expect("directory");
        let volume = dir.path().join("volume");
        std::fs::create_dir_all(volume.join("sub")).expect("made");
        std::fs::write(dir.path().join("secret"), "A='out'").expect("written");
        std::fs::write(volume.join("sub/env"), "A='in'").expect("written");
        for (link, target) in [("up", "../secret"), ("far", "/etc/hostname"), ("near", "/sub/env")] {
            std::os::unix::fs::symlink(target, volume.join(link)).expect("linked");
        }
        nix::unistd::mkfifo(&volume.join("pipe"), nix::sys::stat::Mode::S_IRUSR).expect("made");
        std::fs::write(volume.join("large"), vec![b'#'; (1 << 20) + 1]).expect("written");
        let get = |path: &str| value(&volume, path, "A");
        for path in ["up", "far", "../secret", "none", "sub/none"] {
            assert_eq!(get(path), Ok(None), "{path}: nothing of that name is inside");
        }
        assert_eq!([get("near"), get("/sub/env")], [Ok(Some("in".into())), Ok(Some("in".into()))]);
        assert!(["pipe", "large", "sub"].map(get).iter().all(Result::is_err));
    }
}
