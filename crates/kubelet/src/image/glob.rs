//! Patterns of names (Go: `path/filepath.Match`): `*` stands for any letters but slashes, `?` for one, `[a-z]` and `[^a-z]`
//! for one of these and for one of the others; a backslash takes the meaning from what follows it.

/// Whether the whole text is as the pattern says. A pattern that is none fits nothing.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and from where on it has yet to take more.
    let mut star = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if t == text.len() && p == pattern.len() {
            return true;
        }
        match one(&pattern[p..], text.get(t).copied()) {
            None => return false,
            Some((length, true)) => (p, t) = (p + length, t + 1),
            Some((_, false)) => {
                let Some((at, taken)) = star else { return false };
                if text.get(taken).is_none_or(|c| *c == '/') {
                    return false;
                }
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
}

/// How long the pattern's first part is, and whether it fits the letter; `None` where it is no pattern.
fn one(pattern: &[char], letter: Option<char>) -> Option<(usize, bool)> {
    match pattern {
        [] => Some((0, false)),
        ['?', ..] => Some((1, letter.is_some_and(|c| c != '/'))),
        ['[', rest @ ..] => class(rest, letter).map(|(length, fits)| (length + 1, fits)),
        ['\\', escaped, ..] => Some((2, letter == Some(*escaped))),
        ['\\'] => None,
        [plain, ..] => Some((1, letter == Some(*plain))),
    }
}

/// The same of what stands behind a bracket.
fn class(pattern: &[char], letter: Option<char>) -> Option<(usize, bool)> {
    let mut at = 0;
    let negated = pattern.first() == Some(&'^');
    if negated {
        at += 1;
    }
    let (mut fits, mut ranges) = (false, 0);
    loop {
        if ranges > 0 && pattern.get(at) == Some(&']') {
            return Some((at + 1, letter.is_some() && fits != negated));
        }
        let (low, next) = member(pattern, at)?;
        let (high, next) = if pattern.get(next) == Some(&'-') { member(pattern, next + 1)? } else { (low, next) };
        fits |= letter.is_some_and(|c| (low..=high).contains(&c));
        (at, ranges) = (next, ranges + 1);
    }
}

/// A letter of a class, and where the next one stands. A class does not end with one.
fn member(pattern: &[char], at: usize) -> Option<(char, usize)> {
    let (letter, next) = match pattern.get(at)? {
        '-' | ']' => return None,
        '\\' => (*pattern.get(at + 1)?, at + 2),
        plain => (*plain, at + 1),
    };
    (next < pattern.len()).then_some((letter, next))
}

#[cfg(test)]
#[path = "../../../../tests/upstream/values/judge.rs"]
mod judge;

#[cfg(test)]
mod tests {
    use super::*;

    /// As the judge says it; what is no pattern is refused there where it is looked at, and fits nothing here.
    fn ours(text: &str) -> Result<String, String> {
        let (pattern, name) = text.split_once('\n').ok_or("no line")?;
        Ok(matches(pattern, name).to_string())
    }

    #[test]
    fn patterns_beside_go() {
        const PARTS: &[&str] = &["*", "?", "a", "b", "-", "r1", "[ab]", "[^a]", "[a-c]", "[", "]", "\\", "\\*", "^", "é", "[]a]", "[a-", "[\\]]", "/"];
        let make = |dice: &mut judge::Dice| {
            let name = dice.row(&["a", "b", "c", "-", "r1", "*", "]", "é", "/"], 5);
            format!("{}\n{name}", dice.row(PARTS, 6))
        };
        judge::compare("glob", 20_000, make, ours);
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(100), &"a".repeat(10_000).replace("aa", "ab").repeat(2).replace('a', "c")));
    }
}
