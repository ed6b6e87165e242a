//! Label and field selectors (upstream: `apimachinery/pkg/labels`, `pkg/fields`).

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::object::string_map;
use crate::text::{label_value, qualified_name};

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Label key.
    pub key: String,
    /// Comparison.
    pub operator: Operator,
    /// Values, sorted.
    pub values: BTreeSet<String>,
}

/// All conditions must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Conditions, in the order given.
    pub requirements: Vec<Requirement>,
    /// Selects nothing at all (a nil `LabelSelector` in typed form).
    pub nothing: bool,
}

/// A selector that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

impl Requirement {
    /// Whether an object with these labels meets the condition.
    pub fn matches<'a>(&self, value: Option<&'a str>) -> bool {
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.compare(value).is_some_and(|o| o.is_gt()),
            Operator::LessThan => self.compare(value).is_some_and(|o| o.is_lt()),
        }
    }

    fn compare(&self, value: Option<&str>) -> Option<std::cmp::Ordering> {
        let bound: i64 = self.values.first()?.parse().ok()?;
        Some(value?.parse::<i64>().ok()?.cmp(&bound))
    }
}

impl Labels {
    /// Reads the string form: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { rest: text };
        let mut requirements = Vec::new();
        parser.skip_space();
        while !parser.rest.is_empty() {
            requirements.push(parser.requirement()?);
            parser.skip_space();
            if parser.rest.is_empty() {
                break;
            }
            if !parser.eat(",") {
                return Err(parser.unexpected("',' or 'end of string'"));
            }
            parser.skip_space();
            if parser.rest.is_empty() || parser.rest.starts_with(['=', '(', ')', ',', '<', '>']) || parser.rest.starts_with("!=") {
                return Err(ParseError(format!("found '{}', expected: identifier after ','", parser.found())));
            }
        }
        Ok(Labels { requirements, nothing: false })
    }

    /// Reads a `metav1.LabelSelector` (`matchLabels`, `matchExpressions`). An absent one selects
    /// nothing, an empty one everything.
    pub fn from_value(selector: Option<&Value>) -> Result<Self, ParseError> {
        let Some(selector) = selector.filter(|s| !s.is_null()) else {
            return Ok(Labels { nothing: true, ..Labels::default() });
        };
        let mut requirements = Vec::new();
        for (key, value) in string_map(selector.get("matchLabels")) {
            requirements.push(Requirement { key: key.into(), operator: Operator::In, values: [value.to_owned()].into() });
        }
        for e in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let text = |f: &str| e.get(f).and_then(Value::as_str).unwrap_or("").to_owned();
            let operator = match text("operator").as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(ParseError(format!("{other:?} is not a valid label selector operator"))),
            };
            let values = e.get("values").and_then(Value::as_array).into_iter().flatten();
            let values = values.filter_map(|v| v.as_str().map(str::to_owned)).collect();
            requirements.push(Requirement { key: text("key"), operator, values });
        }
        Ok(Labels { requirements, nothing: false })
    }

    /// A selector of exact values, as in a Service or a ReplicationController. An empty one
    /// selects everything; callers for whom it means nothing check that themselves.
    pub fn from_map<'a>(map: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let requirement = |(key, value): (&str, &str)| Requirement {
            key: key.to_owned(),
            operator: Operator::In,
            values: [value.to_owned()].into(),
        };
        Labels { requirements: map.into_iter().map(requirement).collect(), nothing: false }
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether it selects an object whose labels `lookup` knows.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(lookup(&r.key)))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.requirements.iter().enumerate() {
            let values = r.values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            f.write_str(if i > 0 { "," } else { "" })?;
            match r.operator {
                Operator::In if r.values.len() == 1 => write!(f, "{}={values}", r.key)?,
                Operator::NotIn if r.values.len() == 1 => write!(f, "{}!={values}", r.key)?,
                Operator::In => write!(f, "{} in ({values})", r.key)?,
                Operator::NotIn => write!(f, "{} notin ({values})", r.key)?,
                Operator::Exists => write!(f, "{}", r.key)?,
                Operator::DoesNotExist => write!(f, "!{}", r.key)?,
                Operator::GreaterThan => write!(f, "{}>{values}", r.key)?,
                Operator::LessThan => write!(f, "{}<{values}", r.key)?,
            }
        }
        Ok(())
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let end = self.rest.find(|c: char| c.is_whitespace() || "=!(),<>".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// What comes next, as messages show it.
    fn found(&self) -> String {
        let special = |c: &char| "=!(),<>".contains(*c);
        match self.rest.chars().next().filter(special) {
            Some(c) => c.to_string(),
            None => self.rest.chars().take_while(|c| !c.is_whitespace() && !special(c)).collect(),
        }
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        ParseError(format!("unable to parse requirement: found '{}', expected: {expected}", self.found()))
    }

    fn checked(field: &str, value: &str, wrong: Vec<String>) -> Result<(), ParseError> {
        let Some(why) = wrong.first() else { return Ok(()) };
        Err(ParseError(format!("unable to parse requirement: {field}: Invalid value: {value:?}: {why}")))
    }

    fn requirement(&mut self) -> Result<Requirement, ParseError> {
        let negated = self.eat("!");
        let key = self.word().to_owned();
        if key.is_empty() {
            return Err(self.unexpected("!, identifier, or 'end of string'"));
        }
        Self::checked("<nil>", &key, qualified_name(&key))?;
        let plain = |operator, values: BTreeSet<String>| Requirement { key: key.clone(), operator, values };
        self.skip_space();
        if negated {
            return Ok(plain(Operator::DoesNotExist, BTreeSet::new()));
        }
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok(plain(Operator::Exists, BTreeSet::new()));
        }
        let single = [
            ("==", Operator::In),
            ("=", Operator::In),
            ("!=", Operator::NotIn),
            (">", Operator::GreaterThan),
            ("<", Operator::LessThan),
        ];
        for (token, operator) in single {
            if self.eat(token) {
                self.skip_space();
                if self.rest.starts_with(['=', '!', '(', ')', '<', '>']) {
                    return Err(self.unexpected("identifier"));
                }
                let value = self.word().to_owned();
                let number = matches!(operator, Operator::GreaterThan | Operator::LessThan);
                if number && value.parse::<i64>().is_err() {
                    return Err(ParseError(format!("for 'Gt', 'Lt' operators, the value must be an integer: {value:?}")));
                }
                Self::checked(&format!("values[0][{key}]"), &value, label_value(&value))?;
                return Ok(plain(operator, [value].into()));
            }
        }
        let operator = match self.word() {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            other => {
                return Err(ParseError(format!(
                    "unable to parse requirement: found '{other}', expected: in, notin, =, ==, !=, gt, lt"
                )));
            }
        };
        let values = self.value_list()?;
        for (at, value) in values.iter().enumerate() {
            Self::checked(&format!("values[{at}][{key}]"), value, label_value(value))?;
        }
        Ok(plain(operator, values))
    }

    fn value_list(&mut self) -> Result<BTreeSet<String>, ParseError> {
        if !self.eat("(") {
            return Err(self.unexpected("'('"));
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.word().to_owned());
            if self.eat(")") {
                return Ok(values);
            }
            if !self.eat(",") {
                return Err(self.unexpected("',' or ')'"));
            }
        }
    }
}

/// A field selector: every term must hold. Terms compare strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// (field path, value, whether equality is wanted).
    pub terms: Vec<(String, String, bool)>,
}

impl Fields {
    /// Reads `metadata.name=a,status.phase!=Running`; `\`, `,` and `=` are escaped by `\`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut terms = Vec::new();
        let mut parts = split_unescaped(text);
        parts.sort_unstable();
        for term in parts {
            if term.is_empty() {
                continue;
            }
            let split = [("!=", false), ("==", true), ("=", true)]
                .into_iter()
                .filter_map(|(op, want)| term.find(op).map(|at| (at, op, want)))
                .min_by_key(|(at, op, _)| (*at, std::cmp::Reverse(op.len())));
            let Some((at, op, want)) = split else {
                return Err(ParseError(format!("invalid selector: '{text}'; can't understand '{term}'")));
            };
            let (field, value) = (&term[..at], unescape(&term[at + op.len()..])?);
            // Nothing that is nothing says nothing.
            if !field.is_empty() || !value.is_empty() {
                terms.push((field.to_owned(), value, want));
            }
        }
        Ok(Fields { terms })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that a field must have, if the selector names one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|(f, _, want)| f == field && *want).map(|(_, v, _)| v.as_str())
    }

    /// Whether it selects an object whose fields `lookup` knows (absent ones are empty).
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> &'a str) -> bool {
        self.terms.iter().all(|(field, value, want)| (lookup(field) == value) == *want)
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (field, value, want)) in self.terms.iter().enumerate() {
            write!(f, "{}{field}{}", if i > 0 { "," } else { "" }, if *want { "=" } else { "!=" })?;
            for c in value.chars() {
                write!(f, "{}{c}", if matches!(c, '\\' | ',' | '=') { "\\" } else { "" })?;
            }
        }
        Ok(())
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(value: &str) -> Result<String, ParseError> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(e @ ('\\' | ',' | '=')) => out.push(e),
                _ => return Err(ParseError(format!("invalid field selector: invalid escape sequence in '{value}'"))),
            },
            ',' | '=' => return Err(ParseError(format!("invalid field selector: unescaped '{c}' in '{value}'"))),
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_select() {
        let labels = [("app", "web"), ("n", "3")];
        let get = |k: &str| labels.iter().find(|(l, _)| *l == k).map(|(_, v)| *v);
        for (text, want) in [
            ("", true), ("app=web", true), ("app == web , n", true), ("app!=web", false), ("x!=y", true),
            ("app in (a, web)", true), ("app notin (web)", false), ("!x", true), ("!app", false), ("n>2", true),
            ("n<3", false), ("x in (a)", false),
        ] {
            assert_eq!(Labels::parse(text).map(|s| s.matches(get)), Ok(want), "{text}");
        }
        for bad in ["app in web", "=a", "a,,b", "a in (b", "a>b"] {
            assert!(Labels::parse(bad).is_err(), "{bad}");
        }
        assert!(!Labels::from_value(None).is_ok_and(|s| s.matches(get)));
    }

    #[test]
    fn field_selectors_select_and_print() {
        let s = Fields::parse(r"metadata.name=a\,b,status.phase!=Running").expect("parses");
        assert_eq!(s.exact("metadata.name"), Some("a,b"));
        assert!(s.matches(|f| if f == "metadata.name" { "a,b" } else { "" }));
        assert_eq!(s.to_string(), r"metadata.name=a\,b,status.phase!=Running");
        assert!(Fields::parse("nonsense").is_err());
    }
}
