//! What a call has cost, from its arguments and what came out.

use super::{Cost, LIST, PATTERN, TEXT};
use crate::library::format_check;
use crate::value::Value;

/// The cost of a call; arguments without a value are given as null.
pub(crate) fn actual(rule: Cost, args: &[Value<'_>], result: Option<&Value<'_>>) -> u64 {
    let size = |index: usize| args.get(index).map_or(1, Value::size);
    let text = |size: u64, times: f64| (size as f64 * times * TEXT).ceil() as u64;
    match rule {
        Cost::One | Cost::AddList | Cost::Logic | Cost::Conditional | Cost::IndexList | Cost::IndexMap => 1,
        Cost::Fixed(cost) => cost,
        Cost::Copied | Cost::Parsed => text(size(0), 1.0),
        Cost::Replace | Cost::Split | Cost::ParsedTwice => text(size(0), 2.0),
        Cost::Join => text(result.map_or(1, Value::size), 2.0),
        Cost::Find | Cost::Matches => search(size(0), size(1)),
        Cost::ContainsIp(parsed) => text(2 * size(0), 1.0) + if parsed { text(size(1), 1.0) } else { 0 },
        Cost::ContainsCidr(parsed) => {
            text(2 * size(0), 1.0) + text(size(0), 1.0) + 1 + if parsed { text(size(1), 1.0) } else { 0 }
        }
        Cost::Validate => match args.first().and_then(format_check) {
            Some(pattern) => search(size(1), pattern),
            None => 1,
        },
        Cost::Selector => {
            let length = size(1) as f64;
            let requirements = (length * 0.5).ceil();
            LIST + (length * TEXT).ceil() as u64 + (requirements * 50.0).ceil() as u64
        }
        Cost::Traverse => args.first().map_or(0, traverse),
        Cost::Prefix | Cost::ToBytes | Cost::ToText | Cost::Quote | Cost::Format => text(size(0), 1.0),
        Cost::InList => size(1),
        Cost::Equal if matches!(args.first(), Some(Value::Opaque(_))) => 1,
        Cost::Compare | Cost::Equal | Cost::Differ => text(size(0).min(size(1)), 1.0),
        Cost::AddText => text(size(0) + size(1), 1.0),
        Cost::Contains => text(size(0), 1.0) * text(size(1), 1.0),
        Cost::Sets(times) => 1 + size(0).saturating_mul(size(1)).saturating_mul(times),
        Cost::Numbers => match args.first() {
            Some(Value::Int(end)) => list(1.0, u64::try_from(*end).unwrap_or(0)),
            _ => list(1.0, 1),
        },
        Cost::Slice | Cost::Reverse => list(1.0, result.map_or(1, Value::size)),
        Cost::Flatten => {
            let depth = match args.get(1) {
                Some(Value::Int(depth)) => *depth as f64,
                _ => 1.0,
            };
            list(depth, size(0))
        }
        Cost::Distinct | Cost::Sort(_) => against_itself(args.first()),
        Cost::SortBy(_) => against_itself(args.get(1)),
    }
}

fn search(text: u64, pattern: u64) -> u64 {
    let text = ((1.0 + text as f64) * TEXT).ceil() as u64;
    let pattern = (pattern as f64 * PATTERN).ceil() as u64;
    text.saturating_mul(pattern)
}

fn list(times: f64, size: u64) -> u64 {
    // What is below zero goes round, as upstream's conversion does.
    ((size as f64 * times) as i64 as u64).wrapping_add(1 + LIST)
}

fn against_itself(of: Option<&Value<'_>>) -> u64 {
    let size = of.map_or(1, Value::size);
    let first = match of {
        Some(Value::List(list)) => list.get(0),
        _ => None,
    };
    let times = if matches!(first, Some(Value::String(_) | Value::Bytes(_))) { 2.0 + TEXT } else { 2.0 };
    list(times, size.saturating_mul(size))
}

/// A whole tree: each scalar counts one, texts by their length.
fn traverse(value: &Value<'_>) -> u64 {
    match value {
        Value::String(text) => (text.len() as f64 * TEXT) as u64,
        Value::Bytes(bytes) => (bytes.len() as f64 * TEXT) as u64,
        Value::List(list) => crate::deep(|| list.iter().map(|item| traverse(&item)).sum()),
        Value::Map(map) => {
            crate::deep(|| map.entries().iter().map(|(key, value)| traverse(key) + traverse(value)).sum())
        }
        _ => 1,
    }
}
