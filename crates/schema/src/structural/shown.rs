//! Values as messages show them.

use serde_json::Value;

use crate::encode;

/// A value as upstream's errors print it: numbers as Go's `%v`, texts in quotes, everything else as JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => meta::text::quoted(text),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or(0.0)),
        other => String::from_utf8_lossy(&encode::plain(other)).into_owned(),
    }
}

/// A double as Go's `%v` prints it: with an exponent from 1e6 on, and below 1e-4.
pub fn float(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..6).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", power.abs());
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_printed_as_by_go() {
        for (value, text) in [(1.0, "1"), (-0.5, "-0.5"), (123_456.0, "123456"), (1e6, "1e+06"), (1e21, "1e+21"), (0.00001, "1e-05"), (0.0, "0")] {
            assert_eq!(float(value), text);
        }
    }
}
