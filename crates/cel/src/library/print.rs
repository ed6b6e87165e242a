//! `'…'.format([…])` (upstream: cel-go `ext/formatting.go` with the locale `en_US`).

use super::{Library, method, mismatch};
use crate::ast::{Id, Kind, Literal};
use crate::check::{Checked, calls};
use crate::cost::Cost;
use crate::source::Issues;
use crate::types::Type;
use crate::value::{Error, List, Outcome, Value, fixed, general, scientific, time};

pub(super) const LIBRARY: Library = Library {
    name: "format",
    types: &[],
    rows: &[method("format", "string_format", "string, list(dyn)", "string", Cost::Format, format).sequential()],
};

/// Digits behind the point; a double has no more.
const DIGITS: usize = 1100;

/// How an argument is printed.
#[derive(Clone, Copy)]
enum Clause {
    Text,
    Decimal,
    Fixed(usize),
    /// With this width: upstream takes the precision for one.
    Scientific(usize),
    Binary,
    Hex(bool),
    Octal,
}

/// What is wrong, and with which argument.
struct Wrong(Option<Id>, String);

impl Clause {
    /// What is said of an argument that it is not for.
    fn refuse(self, given: &str) -> String {
        let rule = match self {
            Clause::Text => {
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
            }
            Clause::Decimal => "decimal clause can only be used on integers",
            Clause::Fixed(_) => "fixed-point clause can only be used on doubles",
            Clause::Scientific(_) => "scientific clause can only be used on doubles",
            Clause::Binary => "only integers and bools can be formatted as binary",
            Clause::Hex(_) => "only integers, byte buffers, and strings can be formatted as hex",
            Clause::Octal => "octal clause can only be used on integers",
        };
        format!("{rule}, was given {given}")
    }
}

/// Reads a format and puts in what each argument is printed as.
fn walk(format: &str, count: usize, mut print: impl FnMut(usize, Clause) -> Result<String, Wrong>) -> Result<(String, usize), Wrong> {
    let mut out = String::new();
    let mut rest = format;
    let mut index = 0;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            out.push('%');
            rest = behind;
            continue;
        }
        if rest.is_empty() && index < count {
            return Err(Wrong(None, "unexpected end of string".to_owned()));
        }
        if index >= count {
            return Err(Wrong(None, format!("index {index} out of range")));
        }
        let (clause, behind) = clause(rest).map_err(|why| Wrong(None, format!("could not parse formatting clause: {why}")))?;
        let text = print(index, clause).map_err(|Wrong(id, why)| Wrong(id, format!("error during formatting: {why}")))?;
        out.push_str(&text);
        rest = behind;
        index += 1;
    }
    out.push_str(rest);
    Ok((out, index))
}

fn clause(rest: &str) -> Result<(Clause, &str), String> {
    let (precision, rest) = match rest.strip_prefix('.') {
        None => (6, rest),
        Some(behind) => {
            let end = behind.find(|c: char| !c.is_ascii_digit());
            let end = end.ok_or("error while parsing precision: could not find end of precision specifier")?;
            let digits = &behind[..end];
            if digits.is_empty() {
                let why = "strconv.Atoi: parsing \"\": invalid syntax";
                return Err(format!("error while parsing precision: error while converting precision to integer: {why}"));
            }
            (digits.parse().unwrap_or(DIGITS), &behind[end..])
        }
    };
    let clause = match rest.as_bytes().first() {
        Some(b's') => Clause::Text,
        Some(b'd') => Clause::Decimal,
        Some(b'f') => Clause::Fixed(precision.min(DIGITS)),
        Some(b'e') => Clause::Scientific(precision.min(DIGITS)),
        Some(b'b') => Clause::Binary,
        Some(b'x') => Clause::Hex(false),
        Some(b'X') => Clause::Hex(true),
        Some(b'o') => Clause::Octal,
        other => {
            let other = other.map_or(' ', |byte| char::from(*byte));
            return Err(format!("unrecognized formatting clause \"{other}\""));
        }
    };
    Ok((clause, &rest[1..]))
}

fn format<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(format), Value::List(list)] = args else { return mismatch() };
    let print = |index, clause| print(&list.get(index).unwrap_or(Value::Null), clause).map_err(|why| Wrong(None, why));
    match walk(format, list.len(), print) {
        Ok((text, _)) => Ok(Value::text(text)),
        Err(Wrong(_, why)) => Err(Error::made(why)),
    }
}

fn print(value: &Value<'_>, clause: Clause) -> Result<String, String> {
    Ok(match (clause, value) {
        (Clause::Text, value) => text(value)?,
        (Clause::Decimal | Clause::Binary | Clause::Octal | Clause::Hex(_), Value::Int(number)) => {
            whole(clause, number.unsigned_abs(), *number < 0)
        }
        (Clause::Decimal | Clause::Binary | Clause::Octal | Clause::Hex(_), Value::Uint(number)) => whole(clause, *number, false),
        (Clause::Fixed(digits), value) => fixed(double(value).ok_or_else(|| clause.refuse(&value.type_name()))?, digits),
        (Clause::Scientific(width), value) => {
            let printed = scientific(double(value).ok_or_else(|| clause.refuse(&value.type_name()))?);
            format!("{printed:>width$}")
        }
        (Clause::Binary, Value::Bool(value)) => u8::from(*value).to_string(),
        (Clause::Hex(upper), Value::String(text)) => hex(text.as_bytes(), upper),
        (Clause::Hex(upper), Value::Bytes(bytes)) => hex(bytes, upper),
        (clause, value) => return Err(clause.refuse(&value.type_name())),
    })
}

fn whole(clause: Clause, number: u64, negative: bool) -> String {
    let digits = match clause {
        Clause::Binary => format!("{number:b}"),
        Clause::Octal => format!("{number:o}"),
        Clause::Hex(false) => format!("{number:x}"),
        Clause::Hex(true) => format!("{number:X}"),
        _ => number.to_string(),
    };
    if negative { format!("-{digits}") } else { digits }
}

fn hex(bytes: &[u8], upper: bool) -> String {
    bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(value) => Some(*value),
        Value::String(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn text(value: &Value<'_>) -> Result<String, String> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => general(*value),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                let why = "invalid UTF-8 in bytes, cannot convert to string";
                return Err(format!("could not convert argument {} to string", meta::text::quoted(why)));
            }
        },
        Value::Duration(nanos) => time::seconds(*nanos),
        Value::Timestamp(moment) => moment.to_string(),
        Value::Type(of) => of.name().to_owned(),
        Value::List(list) => items(list)?,
        Value::Map(map) if map.object().is_none() => entries(&map.entries())?,
        other => return Err(Clause::Text.refuse(&other.type_name())),
    })
}

/// As it would be written in an expression.
fn inner(value: &Value<'_>) -> Result<String, String> {
    Ok(match value {
        Value::String(text) => meta::text::quoted(text),
        Value::Bytes(_) => format!("b{}", meta::text::quoted(&text(value)?)),
        Value::Double(value) if value.is_nan() => "\"NaN\"".to_owned(),
        Value::Double(value) if value.is_infinite() => format!("\"{}\"", general(*value)),
        Value::Double(value) => format!("{value:.6}"),
        Value::Timestamp(moment) => format!("timestamp(\"{moment}\")"),
        Value::Duration(nanos) => format!("duration(\"{}\")", time::seconds(*nanos)),
        Value::Optional(_) | Value::Opaque(_) => return Err(format!("no formatting function for {}", value.type_name())),
        other => crate::deep(|| text(other))?,
    })
}

fn items(list: &List<'_>) -> Result<String, String> {
    let items: Vec<String> = list.iter().map(|item| inner(&item)).collect::<Result<_, _>>()?;
    Ok(format!("[{}]", items.join(", ")))
}

fn entries(entries: &[(Value<'_>, Value<'_>)]) -> Result<String, String> {
    let mut pairs = Vec::new();
    for (key, value) in entries {
        if !matches!(key, Value::String(_) | Value::Bool(_) | Value::Int(_) | Value::Uint(_)) {
            return Err(format!("no formatting function for map key of type {}", key.type_name()));
        }
        pairs.push((inner(key)?, inner(value)?));
    }
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
    Ok(format!("{{{}}}", pairs.join(", ")))
}

/// Checks a format that is written out, with a list of arguments that is.
pub(crate) fn check(checked: &Checked, id: Id, target: Id, list: Id, issues: &mut Issues) {
    let (Kind::Literal(Literal::String(format)), Kind::List { items, .. }) = (checked.ast.kind(target), checked.ast.kind(list))
    else {
        return;
    };
    if !calls(checked, id, "string_format") {
        return;
    }
    let print = |index: usize, clause| match fits(checked, items[index], clause) {
        Ok(()) => Ok(String::new()),
        Err(bad) => Err(Wrong(Some(bad), clause.refuse(checked.type_of(bad).name()))),
    };
    match walk(format, items.len(), print) {
        Ok((_, used)) if used < items.len() => {
            let why = format!("too many arguments supplied to string.format (expected {used}, got {})", items.len());
            issues.at(checked.ast.node(id).at as usize, why);
        }
        Ok(_) => {}
        Err(Wrong(bad, why)) => issues.at(checked.ast.node(bad.unwrap_or(id)).at as usize, why),
    }
}

/// Whether an argument fits; the error is what does not.
fn fits(checked: &Checked, id: Id, clause: Clause) -> Result<(), Id> {
    let of = checked.type_of(id);
    let whole = matches!(of, Type::Int | Type::Uint);
    let right = match clause {
        Clause::Text => {
            let opaque = matches!(of, Type::Opaque(..) | Type::Struct(_) | Type::Error);
            if !opaque {
                for child in match checked.ast.kind(id) {
                    Kind::List { .. } | Kind::Map(_) => checked.ast.children(id),
                    _ => Vec::new(),
                } {
                    crate::deep(|| fits(checked, child, clause))?;
                }
            }
            !opaque
        }
        Clause::Decimal | Clause::Octal => whole,
        Clause::Fixed(_) | Clause::Scientific(_) => matches!(of, Type::Double | Type::String),
        Clause::Binary => whole || *of == Type::Bool,
        Clause::Hex(_) => whole || matches!(of, Type::String | Type::Bytes),
    };
    if right || of.is_dyn() { Ok(()) } else { Err(id) }
}
