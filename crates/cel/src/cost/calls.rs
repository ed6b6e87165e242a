//! The estimate of a call (upstream: cel-go `checker/cost.go`, Kubernetes' `library/cost.go`).

use super::walk::{Arg, Walk};
use super::{Cost, LIST, Node, PATTERN, Range, TEXT, extensions};
use crate::ast::{Id, Kind, Literal};
use crate::types::Type;

/// Bytes of an address.
const ADDRESS: Range = Range { min: 4, max: 16 };
/// The longest pattern of a format; the longest text of one.
const FORMAT_PATTERN: f64 = 128.0;
const FORMAT: u64 = 64;

/// Cost and size of what comes out, with the costs of the arguments.
pub(super) fn cost(
    walk: &mut Walk<'_>,
    id: Id,
    rule: Cost,
    target: Option<&Arg>,
    args: &[Arg],
    costs: &[Range],
) -> (Range, Option<Range>) {
    let sum = costs.iter().fold(Range::fixed(0), |sum, cost| sum.plus(*cost));
    match rule {
        Cost::Logic => {
            let (left, right) = (costs[0], costs[1]);
            (Range { min: left.min, max: left.plus(right).max }, None)
        }
        Cost::Conditional => {
            let size = known(&args[1]).union(known(&args[2]));
            if let (Some(yes), Some(no)) = (entries(walk, &args[1]), entries(walk, &args[2])) {
                walk.set_entries(id, yes.union(no));
            }
            (costs[0].plus(costs[1].union(costs[2])), Some(size))
        }
        rule => {
            let (cost, size) = own(walk, id, rule, target, args);
            (cost.plus(sum), size)
        }
    }
}

fn known(arg: &Arg) -> Range {
    arg.size.unwrap_or(Range::UNKNOWN)
}

/// The size; where it is not known from the expression, the caller is asked.
pub(super) fn asked(walk: &Walk<'_>, arg: &Arg) -> Range {
    let node = Node { path: arg.path.as_deref(), of: &arg.of };
    arg.size.or_else(|| walk.known.size(&node)).unwrap_or(Range::UNKNOWN)
}

fn entries(walk: &Walk<'_>, arg: &Arg) -> Option<super::walk::Entries> {
    walk.entries_of(arg.id?)
}

/// The items of a list as an argument.
fn item(list: &Arg) -> Option<Arg> {
    let of = list.of.parameters().first().map(|of| (*of).clone())?;
    let path = list.path.as_ref().map(|path| path.iter().cloned().chain(["@items".to_owned()]).collect());
    Some(Arg { id: None, path, of, size: None })
}

fn one() -> (Range, Option<Range>) {
    (Range::fixed(1), None)
}

fn search(text: Range, pattern: Range) -> Range {
    text.plus(Range::fixed(1)).factor(TEXT).times(pattern.factor(PATTERN))
}

fn own(walk: &mut Walk<'_>, id: Id, rule: Cost, target: Option<&Arg>, args: &[Arg]) -> (Range, Option<Range>) {
    // What a method is called on, or the first argument.
    let Some(first) = target.or(args.first()) else {
        return match rule {
            Cost::Fixed(cost) => (Range::fixed(cost), None),
            _ => one(),
        };
    };
    let asked_first = |walk: &Walk<'_>| asked(walk, first);
    match rule {
        Cost::Fixed(cost) => (Range::fixed(cost), None),
        Cost::Copied => {
            let size = asked_first(walk);
            (size.factor(TEXT), Some(size))
        }
        Cost::Parsed => (asked_first(walk).factor(TEXT), None),
        Cost::ParsedTwice => (asked_first(walk).factor(2.0 * TEXT), None),
        Cost::Replace if args.len() >= 2 => replace(asked_first(walk), asked(walk, &args[0]), asked(walk, &args[1])),
        Cost::Split => {
            let size = asked_first(walk);
            let most = match args.get(1).and_then(|arg| arg.id).map(|id| walk.checked.ast.kind(id)) {
                Some(Kind::Literal(Literal::Int(most))) => *most as u64,
                _ => size.max,
            };
            (size.factor(2.0 * TEXT), Some(Range { min: 0, max: most }))
        }
        Cost::Join => join(walk, first, args),
        Cost::Find if !args.is_empty() => {
            let size = asked_first(walk);
            (search(size, asked(walk, &args[0])), Some(Range { min: 0, max: size.max }))
        }
        Cost::ContainsIp(parsed) => (network(walk, args, parsed), None),
        Cost::ContainsCidr(parsed) => {
            (network(walk, args, parsed).plus(ADDRESS.factor(TEXT)).plus(Range::fixed(1)), None)
        }
        Cost::Validate if !args.is_empty() => {
            (asked(walk, &args[0]).factor(TEXT).factor(FORMAT_PATTERN * PATTERN), None)
        }
        Cost::Selector if args.len() == 1 => {
            let size = asked(walk, &args[0]);
            (Range::fixed(LIST).plus(size.factor(TEXT)).plus(size.factor(0.5).factor(50.0)), None)
        }
        Cost::Traverse => {
            let size = asked_first(walk);
            let Some(item) = item(first) else { return (size.factor(TEXT), None) };
            let mut each = Range::fixed(1);
            if matches!(item.of, Type::String | Type::Bytes) {
                each = each.plus(asked(walk, &item).factor(TEXT));
            }
            (size.times(each), None)
        }
        Cost::Format => (known(first).factor(TEXT), None),
        Cost::ToBytes => {
            let size = known(first);
            (size.factor(TEXT), Some(Range { min: size.min, max: size.max.wrapping_mul(4) }))
        }
        Cost::ToText => {
            let size = known(first);
            (size.factor(TEXT), Some(Range { min: size.min / 4, max: size.max }))
        }
        Cost::Quote => {
            let size = known(first);
            let most = size.max.wrapping_mul(2).wrapping_add(2);
            (size.factor(TEXT), Some(Range { min: size.min.wrapping_add(2), max: most }))
        }
        Cost::Prefix if args.len() == 1 => (known(&args[0]).factor(TEXT), None),
        Cost::InList if args.len() == 2 => (known(&args[1]).factor(1.0), None),
        Cost::Matches if args.len() == 1 => (search(known(first), known(&args[0])), None),
        Cost::Contains if args.len() == 1 => (known(first).factor(TEXT).times(known(&args[0]).factor(TEXT)), None),
        Cost::AddText | Cost::AddList if args.len() == 2 => {
            let size = known(&args[0]).plus(known(&args[1]));
            if let (Some(left), Some(right)) = (entries(walk, &args[0]), entries(walk, &args[1])) {
                walk.set_entries(id, left.union(right));
            }
            (if rule == Cost::AddList { Range::fixed(1) } else { size.factor(TEXT) }, Some(size))
        }
        Cost::Equal if args.len() == 2 => (special(&args[0], &args[1]).unwrap_or_else(|| compare(args)), None),
        Cost::Compare | Cost::Differ if args.len() == 2 => (compare(args), None),
        rule => extensions::cost(walk, rule, target, args).unwrap_or_else(one),
    }
}

fn compare(args: &[Arg]) -> Range {
    let most = known(&args[0]).max.min(known(&args[1]).max);
    Range { min: u64::from(most > 0), max: most }.factor(TEXT)
}

/// Kubernetes' own types are compared at once.
fn special(left: &Arg, right: &Arg) -> Option<Range> {
    if left.of.name() != right.of.name() {
        return None;
    }
    match (&left.of, left.of.name()) {
        (Type::Opaque(..), "net.IP" | "net.CIDR") => Some(Range::fixed(1)),
        (Type::Struct(_), "kubernetes.NamedFormat") => Some(Range { min: 1, max: FORMAT }.factor(TEXT)),
        (Type::Struct(_), "kubernetes.URL") => {
            let most = right.size.map_or(1, |size| size.max);
            Some(Range { min: 1, max: most }.factor(TEXT))
        }
        (Type::Struct(_), "kubernetes.Quantity" | "kubernetes.Semver") => Some(Range::fixed(1)),
        (Type::Struct(_), name) if name.starts_with("kubernetes.authorization.") => Some(Range::fixed(1)),
        _ => None,
    }
}

fn network(walk: &Walk<'_>, args: &[Arg], parsed: bool) -> Range {
    let cost = ADDRESS.plus(ADDRESS).factor(TEXT);
    match args.first() {
        Some(arg) if parsed => cost.plus(asked(walk, arg).factor(TEXT)),
        _ => cost,
    }
}

fn replace(size: Range, old: Range, new: Range) -> (Range, Option<Range>) {
    let (mut count, mut kept) = (Range::fixed(0), Range::fixed(0));
    let quotient = |a: u64, b: u64| (a as f64 / b as f64).ceil() as u64;
    if old.min == 0 {
        count.max = size.max.saturating_add(1);
        kept.max = size.max;
    } else if new.max <= old.min {
        kept.max = size.max;
    } else {
        count.max = quotient(size.max, old.min);
    }
    if old.max == 0 {
        count.min = size.min.saturating_add(1);
        kept.min = size.min;
    } else if old.max <= new.min {
        kept.min = size.min;
    } else {
        count.min = quotient(size.min, old.max);
    }
    (size.factor(2.0 * TEXT), Some(count.times(new).plus(kept)))
}

fn join(walk: &Walk<'_>, list: &Arg, args: &[Arg]) -> (Range, Option<Range>) {
    let count = asked(walk, list);
    let mut size = item(list).map_or(Range::fixed(0), |item| count.times(asked(walk, &item)));
    if let Some(between) = args.first() {
        let gaps = Range { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
        size = size.plus(asked(walk, between).times(gaps));
    }
    (size.factor(TEXT), Some(size))
}

