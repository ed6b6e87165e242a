//! Estimates of the extensions' calls (upstream: cel-go `ext/lists.go`, `ext/sets.go`).

use super::calls::asked;
use super::walk::{Arg, Walk};
use super::{Cost, LIST, Range, TEXT};
use crate::ast::{Kind, Literal};

/// Cost and size, if the rule is one of theirs.
pub(super) fn cost(walk: &Walk<'_>, rule: Cost, target: Option<&Arg>, args: &[Arg]) -> Option<(Range, Option<Range>)> {
    let on = target.map(|target| asked(walk, target));
    match rule {
        Cost::Sets(times) if args.len() == 2 => {
            let pairs = asked(walk, &args[0]).times(asked(walk, &args[1]));
            Some((pairs.factor(times as f64).plus(Range::fixed(1)), None))
        }
        Cost::Slice if args.len() == 2 => {
            let (start, end) = (written(walk, &args[0], 0), written(walk, &args[1], on?.max));
            Some(list(1.0, Range::fixed(end.wrapping_sub(start))))
        }
        Cost::Numbers => Some(list(1.0, Range::fixed(written(walk, args.first()?, u64::MAX)))),
        Cost::Reverse => Some(list(1.0, on?)),
        Cost::Flatten => {
            let depth = args.first().map_or(1, |depth| written(walk, depth, u64::MAX));
            Some(list(depth as f64, on?))
        }
        Cost::Distinct => Some(list(2.0, on?.times(on?))),
        Cost::Sort(text) => Some(sort(on?, text)),
        Cost::SortBy(text) => Some(sort(asked(walk, args.first()?), text)),
        _ => None,
    }
}

fn sort(size: Range, text: bool) -> (Range, Option<Range>) {
    list(if text { 2.0 + TEXT } else { 2.0 }, size.times(size))
}

fn list(times: f64, size: Range) -> (Range, Option<Range>) {
    (size.factor(times).plus(Range::fixed(1)).plus(Range::fixed(LIST)), Some(size))
}

/// A number that is written out.
fn written(walk: &Walk<'_>, arg: &Arg, otherwise: u64) -> u64 {
    match arg.id.map(|id| walk.checked.ast.kind(id)) {
        Some(Kind::Literal(Literal::Int(number))) => u64::try_from(*number).unwrap_or(0),
        _ => otherwise,
    }
}
