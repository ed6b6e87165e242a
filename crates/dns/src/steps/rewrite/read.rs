//! Rules as they are written.

use super::names::groups;
use super::{Back, Building, Change, Match, Rule};
use crate::corefile::{Directive, Fault, Word, values, zones};

/// `[continue|stop] FIELD ...`, or the same in braces.
pub(super) fn rule(building: &mut Building<'_>, directive: &Directive) -> Result<Rule, Fault> {
    let mut words = directive.args.clone();
    if words.len() < 2 {
        words.extend(directive.lines.iter().flatten().cloned());
    } else if let Some(word) = directive.lines.first().and_then(|line| line.first()) {
        return Err(Fault::unknown(word));
    }
    let (mut words, mut continues) = (&words[..], false);
    if let Some((mode, rest)) = words.split_first().filter(|(m, _)| ["continue", "stop"].contains(&&*m.text.to_lowercase())) {
        (continues, words) = (mode.text.eq_ignore_ascii_case("continue"), rest);
    }
    let Some((field, args)) = words.split_first() else {
        return Err(Fault::at(directive.name.line, "no rule type specified for rewrite"));
    };
    let change = match field.text.to_ascii_lowercase().as_str() {
        "name" => name(building, field, args)?,
        "type" => match args {
            [from, to] => Change::Type(values::record_type(from)?, values::record_type(to)?),
            _ => return Err(Fault::at(field.line, "type rules must have exactly two arguments")),
        },
        "ttl" => {
            let (names, rest) = names(building, field, args, 1)?;
            let (least, most) = range(rest.first().unwrap_or(field))?;
            Change::Ttl(names, least, most)
        }
        "rcode" => {
            let (names, rest) = names(building, field, args, 2)?;
            let code = |at: usize| values::response_code(rest.get(at).unwrap_or(field));
            Change::Code(names, code(0)?, code(1)?)
        }
        "cname" => target(building, field, args)?,
        "answer" => return Err(Fault::at(field.line, "response rewrites must begin with a name rule")),
        "class" | "edns0" => return Err(Fault::at(field.line, format!("rule type '{}' is not supported", field.text))),
        _ => return Err(Fault::at(field.line, format!("invalid rule type \"{}\"", field.text))),
    };
    Ok(Rule { continues, change })
}

fn normal(word: &Word) -> Result<String, Fault> {
    zones::normal(&word.text).map_err(|why| Fault::at(word.line, why))
}

/// What names are compared with. What they become may have groups, which only make sense with a pattern.
fn matcher(building: &mut Building<'_>, how: &Word, from: &Word, to: &str) -> Result<Match, Fault> {
    let plain = || normal(from);
    Ok(match how.text.to_ascii_lowercase().as_str() {
        "exact" => Match::Exact(plain()?, to.to_owned()),
        "prefix" => Match::Prefix(part(from), to.to_owned()),
        "suffix" => Match::Suffix(part(from), to.to_owned()),
        "substring" => Match::Substring(part(from), to.to_owned()),
        "regex" => pattern(building, from, to)?,
        other => {
            let why = "supports only exact, prefix, suffix, substring, and regex name matching, received: ";
            return Err(Fault::at(how.line, format!("rule {why}{other}")));
        }
    })
}

fn pattern(building: &mut Building<'_>, from: &Word, to: &str) -> Result<Match, Fault> {
    let pattern = building.pattern(from)?;
    if groups(to) >= pattern.captures_len() {
        let why = "uses more subexpressions than its corresponding matching regex pattern";
        return Err(Fault::at(from.line, format!("the rewrite regex pattern ({to}) {why} ({})", from.text)));
    }
    Ok(Match::Pattern(pattern, to.to_owned()))
}

/// `[HOW] FROM TO [answer ...]`.
fn name(building: &mut Building<'_>, field: &Word, args: &[Word]) -> Result<Change, Fault> {
    let (how, from, to, rest) = match args {
        [from, to] => (None, from, to, &args[2..]),
        [how, from, to, rest @ ..] => (Some(how), from, to, rest),
        _ => return Err(Fault::at(field.line, "too few arguments for a name rule")),
    };
    let exact = Word { text: "exact".to_owned(), ..from.clone() };
    let how = how.unwrap_or(&exact);
    let from = matcher(building, how, from, &part(to))?;
    if let Some(word) = rest.first().filter(|word| word.text == "metadata") {
        return Err(Fault::unsupported(word));
    }
    let (auto, answers) = answers(building, how, rest)?;
    // What was compared as a whole leads back without being told.
    let auto = auto || matches!(from, Match::Exact(..));
    Ok(Change::Name { from, auto, answers })
}

/// A part of a name, with a final dot as CoreDNS gives it one. What is made of it need not be a name: that is seen then.
fn part(word: &Word) -> String {
    let text = word.text.to_ascii_lowercase();
    if text.ends_with('.') { text } else { text + "." }
}

/// `answer auto`, `answer name FROM TO`, `answer value FROM TO`, one after the other.
fn answers(building: &mut Building<'_>, how: &Word, args: &[Word]) -> Result<(bool, Vec<Back>), Fault> {
    let (mut auto, mut backs, mut named, mut rest) = (false, Vec::new(), false, args);
    while let Some((word, more)) = rest.split_first() {
        // The word may be left out after the first rule.
        let more = match word.text.as_str() {
            "answer" => more,
            _ if auto || !backs.is_empty() => rest,
            _ => {
                let why = "exceeded the number of arguments for a non-answer rule argument for";
                return Err(Fault::at(word.line, format!("{why} {} rule", how.text)));
            }
        };
        let few = |word: &Word| Fault::at(word.line, format!("answer rule for {} rule: 2 arguments required", how.text));
        rest = match more {
            [kind, more @ ..] if kind.text == "auto" => {
                auto = true;
                more
            }
            [kind, from, to, more @ ..] if kind.text == "name" => {
                backs.push(Back::Owner(pattern(building, from, &part(to))?));
                named = true;
                more
            }
            [kind, from, to, more @ ..] if kind.text == "value" => {
                backs.push(Back::Value(pattern(building, from, &part(to))?));
                more
            }
            [kind, ..] if ["name", "value"].contains(&kind.text.as_str()) => return Err(few(kind)),
            [kind, ..] => {
                let why = format!("invalid type \"{}\" for answer rule for {} rule", kind.text, how.text);
                return Err(Fault::at(kind.line, why));
            }
            [] => return Err(Fault::at(word.line, format!("type missing for answer rule for {} rule", how.text))),
        };
    }
    if auto && named {
        return Err(Fault::at(how.line, "auto name answer rule cannot be combined with explicit name answer rules"));
    }
    Ok((auto, backs))
}

/// `[HOW] NAME` before `count` more words.
fn names<'a>(
    building: &mut Building<'_>,
    field: &Word,
    args: &'a [Word],
    count: usize,
) -> Result<(Match, &'a [Word]), Fault> {
    let exact = Word { text: "exact".to_owned(), ..field.clone() };
    let (how, name, rest) = match args {
        [name, rest @ ..] if rest.len() == count => (&exact, name, rest),
        [how, name, rest @ ..] if rest.len() == count => (how, name, rest),
        _ => return Err(Fault::at(field.line, format!("wrong number ({}) of arguments for a {} rule", args.len(), field.text))),
    };
    Ok((matcher(building, how, name, "")?, rest))
}

/// `30`, `30-300`, `-300`, `30-`.
fn range(word: &Word) -> Result<(u32, u32), Fault> {
    let number = |text: &str| text.parse::<u32>().ok();
    let read = match word.text.split_once('-') {
        None => number(&word.text).map(|ttl| (ttl, ttl)),
        Some(("", "")) => None,
        Some(("", most)) => number(most).map(|most| (0, most)),
        Some((least, "")) => number(least).map(|least| (least, i32::MAX as u32)),
        Some((least, most)) => number(least).zip(number(most)),
    };
    let why = || Fault::at(word.line, format!("invalid TTL '{}' for a ttl rule", word.text));
    read.filter(|(least, most)| least <= most).ok_or_else(why)
}

/// `[HOW] FROM TO`: aliases in answers.
fn target(building: &mut Building<'_>, field: &Word, args: &[Word]) -> Result<Change, Fault> {
    let exact = Word { text: "exact".to_owned(), ..field.clone() };
    let (how, from, to) = match args {
        [from, to] => (&exact, from, to),
        [how, from, to] => (how, from, to),
        _ => return Err(Fault::at(field.line, format!("too few ({}) arguments for a cname rule", args.len()))),
    };
    let (lower, to) = (Word { text: from.text.to_ascii_lowercase(), ..from.clone() }, to.text.to_ascii_lowercase());
    Ok(Change::Target(match how.text.to_ascii_lowercase().as_str() {
        "exact" => Match::Exact(normal(from)?, zones::normal(&to).map_err(|why| Fault::at(from.line, why))?),
        // Parts of names are taken as they are written.
        "prefix" => Match::Prefix(lower.text, to),
        "suffix" => Match::Suffix(lower.text, to),
        "substring" => Match::Substring(lower.text, to),
        "regex" => Match::Pattern(building.pattern(from)?, to),
        other => return Err(Fault::at(how.line, format!("unknown cname rewrite type: {other}"))),
    }))
}
