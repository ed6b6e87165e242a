//! The texts of templates: what of Go's `text/template` people use there. The rest is refused when it is read.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use regex::Regex;

use crate::corefile::{Fault, Word};
use crate::limits::TEMPLATE;

/// A text with holes.
pub(super) struct Text(Vec<Part>);

enum Part {
    Plain(String),
    Name,
    Zone,
    Class,
    Type,
    Pattern,
    Remote,
    /// By number.
    Match(usize),
    /// By name or number.
    Group(String),
}

/// What the holes are filled with.
pub(super) struct Facts<'a> {
    zone: &'a str,
    name: &'a str,
    kind: RecordType,
    client: IpAddr,
    pattern: Option<&'a Regex>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        zone: &'a str,
        name: &'a str,
        kind: RecordType,
        client: IpAddr,
        pattern: Option<&'a Regex>,
    ) -> Self {
        Facts { zone, name, kind, client, pattern }
    }

    fn group(&self, group: &str) -> &'a str {
        let Some(pattern) = self.pattern else { return if group == "0" { self.name } else { "" } };
        let Some(groups) = pattern.captures(self.name) else { return "" };
        let named = groups.name(group).or_else(|| groups.get(group.parse().ok()?));
        named.map_or("", |found| found.as_str())
    }
}

impl Text {
    pub(super) fn read(word: &Word) -> Result<Self, Fault> {
        let (mut parts, mut rest) = (Vec::new(), word.text.as_str());
        let wrong = |what: &str| Fault::at(word.line, format!("could not compile template: {}, {what}", word.text));
        let mut trim = false;
        while let Some((plain, after)) = rest.split_once("{{") {
            let (action, after) = after.split_once("}}").ok_or_else(|| wrong("unclosed action"))?;
            let before = action.strip_prefix("- ").unwrap_or(action);
            let inner = before.strip_suffix(" -").unwrap_or(before);
            let plain = if trim { plain.trim_start() } else { plain };
            let plain = if before == action { plain } else { plain.trim_end() };
            parts.push(Part::Plain(plain.to_owned()));
            parts.push(action_of(inner.trim()).ok_or_else(|| wrong("this action is not supported"))?);
            (trim, rest) = (inner != before, after);
        }
        parts.push(Part::Plain(if trim { rest.trim_start() } else { rest }.to_owned()));
        Ok(Text(parts))
    }

    /// The text, if it is not too long.
    pub(super) fn made(&self, facts: &Facts<'_>) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(text) => out.push_str(text),
                Part::Name => out.push_str(facts.name),
                Part::Zone => out.push_str(facts.zone),
                Part::Class => out.push_str("IN"),
                Part::Type => out.push_str(&facts.kind.to_string()),
                Part::Pattern => out.push_str(facts.pattern.map_or(".*", Regex::as_str)),
                Part::Remote => out.push_str(&facts.client.to_string()),
                Part::Match(number) => out.push_str(facts.group(&number.to_string())),
                Part::Group(name) => out.push_str(facts.group(name)),
            }
            if out.len() > TEMPLATE {
                return None;
            }
        }
        Some(out)
    }
}

fn action_of(action: &str) -> Option<Part> {
    let words: Vec<&str> = action.split_whitespace().collect();
    Some(match words[..] {
        [".Name" | ".Question.Name"] => Part::Name,
        [".Zone"] => Part::Zone,
        [".Class"] => Part::Class,
        [".Type"] => Part::Type,
        [".Regex"] => Part::Pattern,
        [".Remote"] => Part::Remote,
        ["index", ".Match", number] => Part::Match(number.parse().ok()?),
        ["index", ".Group", name] => Part::Group(name.strip_prefix('"')?.strip_suffix('"')?.to_owned()),
        [field] => {
            let name = field.strip_prefix(".Group.").filter(|name| !name.is_empty())?;
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| Part::Group(name.to_owned()))?
        }
        [text, ..] if text.starts_with('"') && action.len() > 1 => {
            let text = action.strip_prefix('"')?.strip_suffix('"')?;
            (!text.contains(['"', '\\'])).then(|| Part::Plain(text.to_owned()))?
        }
        _ => return None,
    })
}
