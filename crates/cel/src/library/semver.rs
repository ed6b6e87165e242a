//! Semantic versions (upstream: Kubernetes' `semverlib.go` with `blang/semver` 4).

use std::any::Any;
use std::cmp::Ordering;

use super::{Library, Row, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Opaque, Outcome, Value};

const S: &str = "kubernetes.Semver";

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.Semver",
    types: &[S],
    rows: &[
        function("semver", "string_to_semver", "string", S, Cost::Parsed, to_semver),
        function("semver", "string_bool_to_semver", "string, bool", S, Cost::Parsed, to_semver),
        function("isSemver", "is_semver_string", "string", "bool", Cost::Parsed, is_semver),
        function("isSemver", "is_semver_string_bool", "string, bool", "bool", Cost::Parsed, is_semver),
        two("isGreaterThan", "semver_is_greater_than", "bool", |args| Ok(Value::Bool(order(args)?.is_gt()))),
        two("isLessThan", "semver_is_less_than", "bool", |args| Ok(Value::Bool(order(args)?.is_lt()))),
        two("compareTo", "semver_compare_to", "int", |args| Ok(Value::Int(order(args)? as i64))),
        method("major", "semver_major", S, "int", Cost::Fixed(1), |args| number(args, 0)),
        method("minor", "semver_minor", S, "int", Cost::Fixed(1), |args| number(args, 1)),
        method("patch", "semver_patch", S, "int", Cost::Fixed(1), |args| number(args, 2)),
    ],
};

const fn two(name: &'static str, overload: &'static str, result: &'static str, run: super::Run) -> Row {
    method(name, overload, "kubernetes.Semver, kubernetes.Semver", result, Cost::Fixed(1), run)
}

/// A part of what comes before a release: numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

/// A version.
#[derive(Clone, Debug)]
struct Version {
    numbers: [u64; 3],
    before: Vec<Part>,
    build: String,
}

impl Version {
    /// What was built from it does not count.
    fn order(&self, other: &Version) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.before.is_empty(), other.before.is_empty()) {
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => self.before.cmp(&other.before),
        })
    }
}

impl Opaque for Version {
    fn type_name(&self) -> &'static str {
        S
    }
    fn equals(&self, other: &dyn Opaque) -> Option<bool> {
        other.any().downcast_ref::<Version>().map(|other| self.order(other).is_eq())
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn show(&self) -> String {
        let [major, minor, patch] = self.numbers;
        let before: Vec<String> = self
            .before
            .iter()
            .map(|part| match part {
                Part::Number(number) => number.to_string(),
                Part::Word(word) => word.clone(),
            })
            .collect();
        let before = if before.is_empty() { String::new() } else { format!("-{}", before.join(".")) };
        let build = if self.build.is_empty() { String::new() } else { format!("+{}", self.build) };
        format!("{major}.{minor}.{patch}{before}{build}")
    }
}

fn component(text: &str, name: &str) -> Result<u64, String> {
    let shown = meta::text::quoted(text);
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {name} number {shown}"));
    }
    if text.len() > 1 && text.starts_with('0') {
        let mut name = name.to_owned();
        name[..1].make_ascii_uppercase();
        return Err(format!("{name} number must not contain leading zeroes {shown}"));
    }
    text.parse().map_err(|_| {
        let why = if text.is_empty() { "invalid syntax" } else { "value out of range" };
        format!("strconv.ParseUint: parsing {shown}: {why}")
    })
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn part(text: &str) -> Result<Part, String> {
    let shown = meta::text::quoted(text);
    if text.is_empty() {
        return Err("Prerelease is empty".to_owned());
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        if text.len() > 1 && text.starts_with('0') {
            return Err(format!("Numeric PreRelease version must not contain leading zeroes {shown}"));
        }
        return text.parse().map(Part::Number).map_err(|_| format!("strconv.ParseUint: parsing {shown}: value out of range"));
    }
    if is_word(text) { Ok(Part::Word(text.to_owned())) } else { Err(format!("Invalid character(s) found in prerelease {shown}")) }
}

fn parse(text: &str) -> Result<Version, String> {
    if text.is_empty() {
        return Err("Version string empty".to_owned());
    }
    let mut parts = text.splitn(3, '.');
    let (Some(major), Some(minor), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("No Major.Minor.Patch elements found".to_owned());
    };
    let (major, minor) = (component(major, "major")?, component(minor, "minor")?);
    let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
    let (patch, before) = rest.split_once('-').map_or((rest, None), |(patch, before)| (patch, Some(before)));
    let patch = component(patch, "patch")?;
    let before = before.map_or(Ok(Vec::new()), |before| before.split('.').map(part).collect())?;
    for word in build.iter().flat_map(|build| build.split('.')) {
        if word.is_empty() {
            return Err("Build meta data is empty".to_owned());
        }
        if !is_word(word) {
            return Err(format!("Invalid character(s) found in build meta data {}", meta::text::quoted(word)));
        }
    }
    Ok(Version { numbers: [major, minor, patch], before, build: build.unwrap_or_default().to_owned() })
}

/// Without the `v`, without zeros in front, with all three numbers.
fn normalized(text: &str) -> Result<Version, String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(str::to_owned).collect();
    for part in parts.iter_mut().filter(|part| part.len() > 1) {
        let rest = part.trim_start_matches('0');
        *part = if rest.starts_with(|c: char| c.is_ascii_digit()) { rest.to_owned() } else { format!("0{rest}") };
    }
    if parts.len() < 3 {
        if parts.last().is_some_and(|last| last.contains(['+', '-'])) {
            return Err("short version cannot contain PreRelease/Build meta data".to_owned());
        }
        parts.resize(3, "0".to_owned());
    }
    parse(&parts.join("."))
}

fn read(args: &[Value<'_>]) -> Result<Result<Version, String>, Error> {
    match args {
        [Value::String(text)] | [Value::String(text), Value::Bool(false)] => Ok(parse(text)),
        [Value::String(text), Value::Bool(true)] => Ok(normalized(text)),
        _ => mismatch(),
    }
}

fn to_semver<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    read(args)?.map(Value::opaque).map_err(Error::made)
}

fn is_semver<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(read(args)?.is_ok()))
}

fn version<'s>(args: &'s [Value<'_>], index: usize) -> Result<&'s Version, Error> {
    args.get(index).and_then(Value::as_opaque::<Version>).ok_or(Error::NO_OVERLOAD)
}

fn order(args: &[Value<'_>]) -> Result<Ordering, Error> {
    Ok(version(args, 0)?.order(version(args, 1)?))
}

fn number<'a>(args: &[Value<'a>], index: usize) -> Outcome<'a> {
    Ok(Value::Int(version(args, 0)?.numbers[index] as i64))
}
