//! What is demanded of numbers. Whole numbers are compared as such, which cuts the fraction of a bound off.

use serde_json::{Number, Value};

use super::Check;
use super::outcome::{Failure, Outcome};
use crate::structural::shown::float;

/// Go's largest double that is sure to be a whole number of JSON.
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// Whether upstream takes a double for a whole number (`swag.IsFloat64AJSONInteger`): so close to one is enough.
pub fn is_whole(value: f64) -> bool {
    if !(-LARGEST..=LARGEST).contains(&value) {
        return false;
    }
    let cut = value.trunc();
    if value == cut {
        return true;
    }
    // A negative one that is none becomes a huge one when Go cuts it.
    if value < 0.0 || cut == 0.0 {
        return false;
    }
    (value - cut).abs() / (value.abs() + cut.abs()) < 1e-9
}

/// A double as an integer; what does not fit becomes the smallest one, as on the processor.
#[allow(clippy::cast_possible_truncation, reason = "it was looked at whether it fits")]
pub fn truncated(value: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    if fits { value as i64 } else { i64::MIN }
}

/// What is wrong with a number.
pub fn check(check: &Check, number: &Number, at: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let value = number.as_f64().unwrap_or(0.0);
    let whole = number.as_i64();
    let shown = Value::Number(number.clone());
    if !in_range(check, Range::of(number)) {
        outcome.add(out_of_range(check, "Checked", at));
    }
    let bound = |bound: f64, what: &str, outcome: &mut Outcome| {
        let right = in_range(check, Range::Double(bound));
        if !right {
            outcome.add(out_of_range(check, what, at));
        }
        whole.filter(|_| right).map(|whole| (whole, truncated(bound)))
    };
    if let Some(factor) = check.multiple_of {
        let pair = bound(factor, "MultipleOf", &mut outcome);
        outcome_of_factor(pair, value, factor, &shown, at, &mut outcome);
    }
    for (limit, what, words) in [
        (check.minimum, "Minimum boundary", ["greater than or equal to", "greater than"]),
        (check.maximum, "Maximum boundary", ["less than or equal to", "less than"]),
    ] {
        let Some(limit) = limit else { continue };
        let least = words[1] == "greater than";
        let pair = bound(limit.at, what, &mut outcome);
        let (order, text) = match pair {
            Some((whole, bound)) => (Some(whole.cmp(&bound)), bound.to_string()),
            None => (value.partial_cmp(&limit.at), float(limit.at)),
        };
        let beyond = if least { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
        if order == Some(beyond) || limit.exclusive && order == Some(std::cmp::Ordering::Equal) {
            let words = words[usize::from(limit.exclusive)];
            let value = if pair.is_none() && whole.is_some() { Value::from(value) } else { shown.clone() };
            outcome.add(Failure::invalid(at, value, format!("{at} in body should be {words} {text}")));
        }
    }
    outcome.matches += 1;
    outcome
}

fn outcome_of_factor(pair: Option<(i64, i64)>, value: f64, factor: f64, shown: &Value, at: &str, outcome: &mut Outcome) {
    let not_positive = |factor: Value, text: String| {
        let said = format!("factor MultipleOf declared for {at} must be positive: {text}");
        Failure::invalid(at, factor, said)
    };
    let (wrong, text) = match pair {
        Some((_, factor)) if factor <= 0 => return outcome.add(not_positive(factor.into(), factor.to_string())),
        Some((whole, factor)) => (whole % factor != 0, factor.to_string()),
        None if factor <= 0.0 => return outcome.add(not_positive(factor.into(), float(factor))),
        None => {
            let times = if factor < 1.0 { 1.0 / factor * value } else { value / factor };
            (!is_whole(times), float(factor))
        }
    };
    if wrong {
        let value = if pair.is_none() { Value::from(value) } else { shown.clone() };
        outcome.add(Failure::invalid(at, value, format!("{at} in body should be a multiple of {text}")));
    }
}

enum Range {
    Whole(i64),
    Double(f64),
}

impl Range {
    fn of(number: &Number) -> Range {
        number.as_i64().map_or_else(|| Range::Double(number.as_f64().unwrap_or(0.0)), Range::Whole)
    }
}

/// The one type, if there is one, and its format, if it is one of numbers.
fn named(check: &Check) -> (&str, &str) {
    let [one] = &check.types[..] else { return ("", "") };
    let format = match (&**one, &*check.format) {
        ("integer", format @ ("int32" | "int64")) | ("number", format @ ("float" | "double")) => format,
        _ => "",
    };
    (if matches!(&**one, "integer" | "number") { one } else { "" }, format)
}

fn in_range(check: &Check, number: Range) -> bool {
    match (named(check), number) {
        (("integer", "int32"), Range::Whole(whole)) => i32::try_from(whole).is_ok(),
        (("integer", format), Range::Double(value)) => {
            // It is printed and read as a whole number.
            let largest = if format == "int32" { 2_147_483_648.0 } else { 9_223_372_036_854_775_808.0 };
            value.fract() == 0.0 && (-largest..largest).contains(&value)
        }
        ((_, "float"), Range::Double(value)) => value.abs() < f64::from(f32::MAX) + 1.014_120_480_182_583_5e31,
        _ => true,
    }
}

fn out_of_range(check: &Check, what: &str, at: &str) -> Failure {
    let (name, format) = named(check);
    let format = if format.is_empty() { "(default format)".to_owned() } else { format!("with format {format}") };
    Failure::somewhere(format!("{what} value must be of type {name} {format} in {at}"))
}
