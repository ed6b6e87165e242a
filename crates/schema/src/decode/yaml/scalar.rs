//! What scalars of YAML 1.1 mean (upstream: `go.yaml.in/yaml/v2`, `resolve.go`), and keys as JSON has them
//! (`sigs.k8s.io/yaml`, `convertToJSONableObject`).

use std::borrow::Cow;

use base64::Engine;
use granit_parser::Tag;
use serde_json::{Number, Value};

const CORE: &str = "tag:yaml.org,2002:";

/// The short form of a tag: `!!str`.
pub fn name(tag: &Tag) -> Cow<'_, str> {
    match (tag.handle(), tag.suffix()) {
        (CORE, suffix) => format!("!!{suffix}").into(),
        ("", whole) => whole.strip_prefix(CORE).map_or(whole.into(), |suffix| format!("!!{suffix}").into()),
        (handle, suffix) => format!("{handle}{suffix}").into(),
    }
}

/// The value of a text under a tag, or of a plain text.
pub fn resolve(tag: &str, text: &str) -> Result<Value, String> {
    match tag {
        "!!str" => return Ok(Value::String(text.to_owned())),
        "!!binary" => return binary(text),
        "" | "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp" => {}
        _ => return Ok(Value::String(text.to_owned())),
    }
    let (is, value) = plain(tag, text)?;
    match (tag, is) {
        ("", _) => Ok(value),
        (tag, is) if tag == is => Ok(value),
        ("!!float", "!!int") => Ok(value.as_f64().and_then(Number::from_f64).map_or(value, Value::Number)),
        (tag, is) => Err(format!("cannot decode {is} `{text}` as a {tag}")),
    }
}

/// The tag that a plain text has by itself, and its value.
fn plain(tag: &str, text: &str) -> Result<(&'static str, Value), String> {
    let string = || Ok(("!!str", Value::String(text.to_owned())));
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Ok(("!!bool", true.into())),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Ok(("!!bool", false.into())),
        "" | "~" | "null" | "Null" | "NULL" => return Ok(("!!null", Value::Null)),
        ".nan" | ".NaN" | ".NAN" => return Err(unsupported("NaN")),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Err(unsupported("+Inf")),
        "-.inf" | "-.Inf" | "-.INF" => return Err(unsupported("-Inf")),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => match float(text) {
            Some(number) => Ok(("!!float", number)),
            None => string(),
        },
        b'+' | b'-' | b'0'..=b'9' => {
            if matches!(tag, "" | "!!timestamp") && is_timestamp(text) {
                return Ok(("!!timestamp", Value::String(text.to_owned())));
            }
            let digits = text.replace('_', "");
            if let Some(integer) = integer(&digits) {
                return Ok(("!!int", integer));
            }
            float(&digits).map_or_else(string, |number| Ok(("!!float", number)))
        }
        _ => string(),
    }
}

fn unsupported(number: &str) -> String {
    format!("json: unsupported value: {number}")
}

/// `0b` and the digits, which may have a sign of their own, or Go's `ParseInt` and `ParseUint` with the base that the text says: `0x`, `0b`, `0o`, or `0` for octal.
fn integer(text: &str) -> Option<Value> {
    if let Some(digits) = text.strip_prefix("0b").filter(|digits| digits.starts_with(['-', '+'])) {
        return i64::from_str_radix(digits, 2).ok().map(Value::from);
    }
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return i64::try_from(-i128::from(size)).ok().map(Value::from);
    }
    match i64::try_from(size) {
        Ok(number) => Some(number.into()),
        Err(_) => (!signed).then(|| size.into()),
    }
}

/// A number of digits with a point or an exponent; none that is too large.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let good = digits(whole) && fraction.is_none_or(digits) && (!whole.is_empty() || fraction.is_some_and(|f| !f.is_empty()));
    let power = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
    if !good || power.is_some_and(|p| p.is_empty() || !digits(p)) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    Number::from_f64(number).map(Value::Number)
}

/// Whether it is one of the times that upstream knows. They stay texts; what matters is that they are no numbers.
fn is_timestamp(text: &str) -> bool {
    let year = text.find('-') == Some(4) && text.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    year && text.len() > 5
}

fn binary(text: &str) -> Result<Value, String> {
    let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed);
    let bytes = bytes.map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
    Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A key as JSON has it, and as messages show it.
pub fn key(key: Value) -> Result<(String, String), String> {
    let name = match key {
        Value::String(text) => {
            let shown = format!("{text:?}");
            return Ok((text, shown));
        }
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.to_string(),
            (None, Some(double)) if !number.is_u64() => short(double),
            _ => return Err(format!("unsupported map key of type: uint64, key: {number}")),
        },
        Value::Null => return Err("unsupported map key of type: nil, key: <nil>".to_owned()),
        Value::Array(_) | Value::Object(_) => return Err("invalid map key".to_owned()),
    };
    Ok((name.clone(), name))
}

/// Go's `FormatFloat(number, 'g', -1, 32)`.
fn short(number: f64) -> String {
    let single = number as f32;
    let text = format!("{single:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    match exponent.parse::<i32>() {
        Ok(power) if (-4..21).contains(&power) => single.to_string(),
        Ok(power) => format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.unsigned_abs()),
        Err(_) => text,
    }
}
