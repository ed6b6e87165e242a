//! Semantic versions (upstream: `apimachinery/pkg/util/version`, `ParseSemantic`).

use meta::text::quoted;

/// The numbers that count between a client and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// `1` of `v1.36.3`.
    pub major: u64,
    /// `36`.
    pub minor: u64,
    /// `3`.
    pub patch: u64,
}

/// The version that a text says; the error is upstream's.
pub fn parse(text: &str) -> Result<Version, String> {
    let illegal = |part: &str| format!("illegal zero-prefixed version component {} in {}", quoted(part), quoted(text));
    let start = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
    let start = start.strip_prefix('v').unwrap_or(start);
    let numbers = &start[..numbers(start)];
    let extra = &start[numbers.len()..];
    if numbers.is_empty() || extra.contains('\n') {
        return Err(format!("could not parse {} as version", quoted(text)));
    }
    let parts: Vec<&str> = numbers.split('.').collect();
    let [major, minor, patch] = parts[..] else { return Err(format!("illegal version string {}", quoted(text))) };
    let number = |part: &str| match part.parse() {
        _ if is_padded(part) => Err(illegal(part)),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("illegal non-numeric version component {} in {}", quoted(part), quoted(text))),
    };
    let version = Version { major: number(major)?, minor: number(minor)?, patch: number(patch)? };
    let odd = || format!("could not parse pre-release/metadata ({extra}) in version {}", quoted(text));
    let rest = extra.trim_end_matches([' ', '\t', '\r', '\u{c}']);
    let (pre, build) = rest.split_once('+').map_or((rest, None), |(pre, build)| (pre, Some(build)));
    let pre = match pre {
        "" => None,
        pre => Some(pre.strip_prefix('-').ok_or_else(odd)?),
    };
    if !pre.iter().chain(&build).all(|words| words.split('.').all(is_word)) {
        return Err(odd());
    }
    match pre.into_iter().flat_map(|pre| pre.split('.')).find(|word| word.parse::<u64>().is_ok() && is_padded(word)) {
        Some(word) => Err(illegal(word)),
        None => Ok(version),
    }
}

/// How much of the text is numbers with points between them.
fn numbers(text: &str) -> usize {
    let mut end = 0;
    loop {
        let from = if end == 0 { 0 } else { end + 1 };
        let digits = text[from..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return end;
        }
        end = from + digits;
        if !text[end..].starts_with('.') {
            return end;
        }
    }
}

fn is_padded(part: &str) -> bool {
    part.starts_with('0') && part != "0"
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
#[path = "../../../tests/upstream/values/judge.rs"]
mod judge;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_beside_upstream() {
        const PARTS: &[&str] = &["v", "1", "0", "36", "01", ".", ".", ".", "-", "+", "rc", "alpha.1", "00", " ", "\n", "a-b", "é", "99999999999999999999"];
        let make = |dice: &mut judge::Dice| match dice.roll(3) {
            0 => dice.row(PARTS, 8),
            1 => format!("v1.{}.{}{}", dice.pick(&["0", "36", "07", "-1"]), dice.pick(&["0", "3", "00"]), dice.row(PARTS, 5)),
            _ => dice.hurt("v1.36.3-rc.1+build.5".to_owned(), &[".", "-", "+", "0", "v", " "]),
        };
        judge::compare("semver", 10_000, make, |text| {
            parse(text).map(|v| format!("{}.{}.{}", v.major, v.minor, v.patch))
        });
    }
}
