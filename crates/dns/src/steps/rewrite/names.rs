//! How names are found, and what becomes of them. Names are in lower case and have their final dot.

use regex::Regex;

/// What a name is compared with, and what it becomes.
#[derive(Clone)]
pub(super) enum Match {
    Exact(String, String),
    Prefix(String, String),
    Suffix(String, String),
    Substring(String, String),
    /// `{1}` is the first group.
    Pattern(Regex, String),
    /// A name, and what ends with it after a dot.
    Below(String, String),
}

/// A name is no longer than this; neither is what is made of one.
const LONGEST: usize = 1024;

impl Match {
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Match::Exact(from, _) => name == from,
            Match::Prefix(from, _) => name.starts_with(from),
            Match::Suffix(from, _) => name.ends_with(from),
            Match::Substring(from, _) => name.contains(from),
            Match::Pattern(from, _) => from.is_match(name),
            Match::Below(from, _) => {
                name.strip_suffix(from).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    }

    /// What a name becomes; `None` if this is not about it.
    pub(super) fn replace(&self, name: &str) -> Option<String> {
        let new = match self {
            Match::Exact(_, to) => self.matches(name).then(|| to.clone()),
            Match::Prefix(from, to) => name.strip_prefix(from).map(|rest| format!("{to}{rest}")),
            Match::Suffix(from, to) => name.strip_suffix(from).map(|rest| format!("{rest}{to}")),
            Match::Substring(from, to) => self.matches(name).then(|| name.replace(from, to)),
            Match::Pattern(from, to) => {
                let groups = from.captures(name)?;
                let groups: Vec<&str> = groups.iter().map(|group| group.map_or("", |g| g.as_str())).collect();
                Some(replaced(to, &groups))
            }
            Match::Below(from, to) => self.matches(name).then(|| format!("{}{to}", &name[..name.len() - from.len()])),
        };
        new.filter(|new| new.len() <= LONGEST)
    }

    /// What leads back from an answer to the question: for a suffix the suffix, else the names themselves.
    pub(super) fn reversed(&self, before: &str, now: &str) -> Match {
        match self {
            Match::Suffix(from, to) => Match::Suffix(to.clone(), from.clone()),
            _ => Match::Below(now.to_owned(), before.to_owned()),
        }
    }
}

/// `{0}`, `{1}`, … replaced by the groups.
fn replaced(text: &str, groups: &[&str]) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let number = rest.find('}').and_then(|close| Some((close, rest[1..close].parse::<usize>().ok()?)));
        match number.and_then(|(close, number)| Some((close, groups.get(number)?))) {
            Some((close, group)) => {
                out.push_str(group);
                rest = &rest[close + 1..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// How many groups a replacement names.
pub(super) fn groups(text: &str) -> usize {
    (0..=100).filter(|number| text.contains(&format!("{{{number}}}"))).count()
}
