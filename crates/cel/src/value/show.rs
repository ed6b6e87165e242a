//! Values as texts in messages (Go's `%v` of upstream's values), and numbers as Go writes them.

use super::{Value, time};

impl Value<'_> {
    /// As upstream's messages show it.
    pub fn shown(&self) -> String {
        match self {
            Value::Null => "NULL_VALUE".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Uint(value) => value.to_string(),
            Value::Double(value) => general(*value),
            Value::String(text) => text.to_string(),
            Value::Bytes(bytes) => format!("[{}]", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")),
            Value::Duration(nanos) => time::go_duration(*nanos),
            Value::Timestamp(moment) => moment.debug(),
            Value::List(list) => format!("[{}]", list.iter().map(|item| item.shown()).collect::<Vec<_>>().join(", ")),
            Value::Map(map) => {
                let entries: Vec<String> =
                    map.entries().iter().map(|(key, value)| format!("{}: {}", key.shown(), value.shown())).collect();
                format!("{{{}}}", entries.join(", "))
            }
            Value::Type(of) => of.name().to_owned(),
            Value::Optional(None) => "optional.none()".to_owned(),
            Value::Optional(Some(held)) => format!("optional({})", held.shown()),
            Value::Opaque(value) => value.show(),
        }
    }
}

/// A double as Go's `%g` writes it: the fewest digits that are read as the same number.
pub fn general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Where the digits are as many as the number needs, Go changes the form at six.
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("∞"),
        f64::NEG_INFINITY => Some("-∞"),
        _ => None,
    }
}

/// A double with so many digits behind the point, with commas between thousands.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    if let Some(name) = special(value) {
        return name.to_owned();
    }
    // Nothing has no sign.
    let value = if value == 0.0 { 0.0 } else { value };
    let plain = format!("{value:.digits$}");
    let (sign, plain) = plain.strip_prefix('-').map_or(("", &*plain), |rest| ("-", rest));
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// `1.500000×10⁰³`.
pub(crate) fn scientific(value: f64) -> String {
    if let Some(name) = special(value) {
        return name.to_owned();
    }
    let value = if value == 0.0 { 0.0 } else { value };
    let plain = format!("{value:.6e}");
    let (mantissa, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |rest| ("⁻", rest));
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digits: String = format!("{exponent:0>2}").bytes().map(|digit| RAISED[usize::from(digit - b'0')]).collect();
    format!("{mantissa}×10{sign}{digits}")
}
