//! Calls that are written out as loops, tests and conditions (upstream: cel-go `parser/macro.go`, `ext/comprehensions.go`,
//! `ext/lists.go`, `cel/library.go`).

use std::sync::Arc;

use super::{ACCUMULATOR, Builder, OLD_ACCUMULATOR};
use crate::ast::{Comprehension, Id, Kind, Literal};
use crate::limits;

type Expanded = Result<Id, (usize, String)>;

/// A macro.
pub struct Macro {
    /// Its name.
    pub name: &'static str,
    /// How many arguments it takes.
    pub args: usize,
    /// Whether it is called on something.
    pub member: bool,
    /// What it becomes: the parenthesis' place, target, arguments; the error is a place and what is wrong there.
    pub(super) expand: fn(&mut Builder, usize, Option<Id>, &[Id]) -> Expanded,
}

const fn of(name: &'static str, args: usize, expand: fn(&mut Builder, usize, Option<Id>, &[Id]) -> Expanded) -> Macro {
    Macro { name, args, member: true, expand }
}

/// All of them.
pub const ALL: &[Macro] = &[
    Macro { name: "has", args: 1, member: false, expand: has },
    of("all", 2, |b, at, target, args| loops(b, at, target, &args[..1], |b| all(b, at, args[1]))),
    of("all", 3, |b, at, target, args| loops(b, at, target, &args[..2], |b| all(b, at, args[2]))),
    of("exists", 2, |b, at, target, args| loops(b, at, target, &args[..1], |b| exists(b, at, args[1]))),
    of("exists", 3, |b, at, target, args| loops(b, at, target, &args[..2], |b| exists(b, at, args[2]))),
    of("exists_one", 2, |b, at, target, args| loops(b, at, target, &args[..1], |b| exists_one(b, at, args[1]))),
    of("exists_one", 3, |b, at, target, args| loops(b, at, target, &args[..2], |b| exists_one(b, at, args[2]))),
    of("existsOne", 3, |b, at, target, args| loops(b, at, target, &args[..2], |b| exists_one(b, at, args[2]))),
    of("map", 2, |b, at, target, args| map(b, at, target, args[0], None, args[1])),
    of("map", 3, |b, at, target, args| map(b, at, target, args[0], Some(args[1]), args[2])),
    of("filter", 2, filter),
    of("transformList", 3, |b, at, target, args| loops(b, at, target, &args[..2], |b| list(b, at, None, args[2]))),
    of("transformList", 4, |b, at, target, args| loops(b, at, target, &args[..2], |b| list(b, at, Some(args[2]), args[3]))),
    of("transformMap", 3, |b, at, target, args| loops(b, at, target, &args[..2], |b| by_key(b, at, args[0], None, args[2]))),
    of("transformMap", 4, |b, at, target, args| loops(b, at, target, &args[..2], |b| by_key(b, at, args[0], Some(args[2]), args[3]))),
    of("transformMapEntry", 3, |b, at, target, args| loops(b, at, target, &args[..2], |b| entries(b, at, None, args[2]))),
    of("transformMapEntry", 4, |b, at, target, args| loops(b, at, target, &args[..2], |b| entries(b, at, Some(args[2]), args[3]))),
    of("sortBy", 2, sort_by),
    of("optMap", 2, |b, at, target, args| opt_map(b, at, target, args, "optMap", true)),
    of("optFlatMap", 2, |b, at, target, args| opt_map(b, at, target, args, "optFlatMap", false)),
];

/// The macro for a call.
pub(super) fn find(name: &str, args: usize, member: bool) -> Option<&'static Macro> {
    ALL.iter().find(|m| m.name == name && m.args == args && m.member == member)
}

/// What is gathered in a loop.
struct Gather {
    init: Id,
    condition: Id,
    step: Id,
    result: Id,
}

fn literal(b: &mut Builder, value: Literal, at: usize) -> Id {
    b.add(Kind::Literal(value), at)
}

fn result(b: &mut Builder, at: usize) -> Id {
    b.ident(ACCUMULATOR, at)
}

fn wrong<T>(b: &Builder, id: Id, message: impl Into<String>) -> Result<T, (usize, String)> {
    Err((b.nodes[id as usize].at as usize, message.into()))
}

fn name(b: &Builder, id: Id, otherwise: &str) -> Result<Arc<str>, (usize, String)> {
    match &b.nodes[id as usize].kind {
        Kind::Ident(name) => Ok(name.clone()),
        _ => wrong(b, id, otherwise),
    }
}

fn no_accumulator(b: &Builder, id: Id, name: &str) -> Result<(), (usize, String)> {
    if name == ACCUMULATOR || name == OLD_ACCUMULATOR {
        return wrong(b, id, "iteration variable overwrites accumulator variable");
    }
    Ok(())
}

/// A loop with one or two variables.
fn loops(b: &mut Builder, at: usize, target: Option<Id>, variables: &[Id], gather: impl FnOnce(&mut Builder) -> Gather) -> Expanded {
    let Some(range) = target else { return Err((at, "is called on nothing".to_owned())) };
    let names: Vec<Arc<str>> =
        variables.iter().map(|id| name(b, *id, "argument must be a simple name")).collect::<Result<_, _>>()?;
    if let [first, second] = &names[..]
        && first == second
    {
        return wrong(b, variables[1], format!("duplicate variable name: {first}"));
    }
    for (id, name) in variables.iter().zip(&names) {
        no_accumulator(b, *id, name)?;
    }
    let Gather { init, condition, step, result } = gather(b);
    let comprehension = Comprehension {
        range,
        variable: names[0].clone(),
        second: names.get(1).cloned(),
        accumulator: ACCUMULATOR.into(),
        init,
        condition,
        step,
        result,
    };
    Ok(b.add(Kind::Comprehension(Box::new(comprehension)), at))
}

fn all(b: &mut Builder, at: usize, predicate: Id) -> Gather {
    let init = literal(b, Literal::Bool(true), at);
    let so_far = result(b, at);
    let condition = b.call("@not_strictly_false", vec![so_far], at);
    let so_far = result(b, at);
    let step = b.call("_&&_", vec![so_far, predicate], at);
    Gather { init, condition, step, result: result(b, at) }
}

fn exists(b: &mut Builder, at: usize, predicate: Id) -> Gather {
    let init = literal(b, Literal::Bool(false), at);
    let so_far = result(b, at);
    let not = b.call("!_", vec![so_far], at);
    let condition = b.call("@not_strictly_false", vec![not], at);
    let so_far = result(b, at);
    let step = b.call("_||_", vec![so_far, predicate], at);
    Gather { init, condition, step, result: result(b, at) }
}

fn exists_one(b: &mut Builder, at: usize, predicate: Id) -> Gather {
    let init = literal(b, Literal::Int(0), at);
    let condition = literal(b, Literal::Bool(true), at);
    let (so_far, one) = (result(b, at), literal(b, Literal::Int(1), at));
    let more = b.call("_+_", vec![so_far, one], at);
    let same = result(b, at);
    let step = b.call("_?_:_", vec![predicate, more, same], at);
    let (so_far, one) = (result(b, at), literal(b, Literal::Int(1), at));
    Gather { init, condition, step, result: b.call("_==_", vec![so_far, one], at) }
}

/// The step, if a filter lets it.
fn filtered(b: &mut Builder, at: usize, filter: Option<Id>, step: Id) -> Id {
    let Some(filter) = filter else { return step };
    let same = result(b, at);
    b.call("_?_:_", vec![filter, step, same], at)
}

fn list(b: &mut Builder, at: usize, filter: Option<Id>, item: Id) -> Gather {
    let init = b.add(Kind::List { items: Vec::new(), optional: Vec::new() }, at);
    let condition = literal(b, Literal::Bool(true), at);
    let so_far = result(b, at);
    let item = b.add(Kind::List { items: vec![item], optional: vec![false] }, at);
    let step = b.call("_+_", vec![so_far, item], at);
    let step = filtered(b, at, filter, step);
    Gather { init, condition, step, result: result(b, at) }
}

fn inserted(b: &mut Builder, at: usize, filter: Option<Id>, args: Vec<Id>) -> Gather {
    let init = b.add(Kind::Map(Vec::new()), at);
    let condition = literal(b, Literal::Bool(true), at);
    let step = b.call("cel.@mapInsert", args, at);
    let step = filtered(b, at, filter, step);
    Gather { init, condition, step, result: result(b, at) }
}

fn by_key(b: &mut Builder, at: usize, variable: Id, filter: Option<Id>, value: Id) -> Gather {
    let so_far = result(b, at);
    let key = b.add(b.nodes[variable as usize].kind.clone(), at);
    inserted(b, at, filter, vec![so_far, key, value])
}

fn entries(b: &mut Builder, at: usize, filter: Option<Id>, map: Id) -> Gather {
    let so_far = result(b, at);
    inserted(b, at, filter, vec![so_far, map])
}

fn map(b: &mut Builder, at: usize, target: Option<Id>, variable: Id, filter: Option<Id>, item: Id) -> Expanded {
    name(b, variable, "argument is not an identifier")?;
    loops(b, at, target, &[variable], |b| list(b, at, filter, item))
}

fn filter(b: &mut Builder, at: usize, target: Option<Id>, args: &[Id]) -> Expanded {
    map(b, at, target, args[0], Some(args[1]), args[0])
}

fn has(b: &mut Builder, at: usize, _: Option<Id>, args: &[Id]) -> Expanded {
    match b.nodes[args[0] as usize].kind.clone() {
        Kind::Select { operand, field, test: false } => Ok(b.add(Kind::Select { operand, field, test: true }, at)),
        _ => wrong(b, args[0], "invalid argument to has() macro"),
    }
}

/// A variable for a part of an expression; it is computed when it is first asked for.
fn bound(b: &mut Builder, at: usize, variable: Arc<str>, value: Id, result: Id) -> Id {
    let range = b.add(Kind::List { items: Vec::new(), optional: Vec::new() }, at);
    let condition = literal(b, Literal::Bool(false), at);
    let step = b.ident(&variable, at);
    let comprehension = Comprehension {
        range,
        variable: "#unused".into(),
        second: None,
        accumulator: variable,
        init: value,
        condition,
        step,
        result,
    };
    b.add(Kind::Comprehension(Box::new(comprehension)), at)
}

fn sort_by(b: &mut Builder, at: usize, target: Option<Id>, args: &[Id]) -> Expanded {
    const INPUT: &str = "@__sortBy_input__";
    let Some(target) = target else { return Err((at, "is called on nothing".to_owned())) };
    if matches!(b.nodes[target as usize].kind, Kind::Literal(_) | Kind::Map(_) | Kind::Struct { .. }) {
        return wrong(b, target, "sortBy can only be applied to a list, identifier, comprehension, call or select expression");
    }
    let input = b.ident(INPUT, at);
    let keys = map(b, at, Some(input), args[0], None, args[1])?;
    let input = b.ident(INPUT, at);
    let sorted = b.add(Kind::Call { function: "@sortByAssociatedKeys".into(), target: Some(input), args: vec![keys] }, at);
    Ok(bound(b, at, INPUT.into(), target, sorted))
}

fn opt_map(b: &mut Builder, at: usize, target: Option<Id>, args: &[Id], macro_name: &str, wrap: bool) -> Expanded {
    let Some(target) = target else { return Err((at, "is called on nothing".to_owned())) };
    let variable = name(b, args[0], &format!("{macro_name}() variable name must be a simple identifier"))?;
    // Each copy may double what is there already.
    if b.nodes.len() > limits::NODES {
        return Err((at, format!("expression has more than {} nodes", limits::NODES)));
    }
    let method = |b: &mut Builder, function: &str, target| {
        b.add(Kind::Call { function: function.into(), target: Some(target), args: Vec::new() }, at)
    };
    let there = method(b, "hasValue", target);
    let copy = b.copy(target);
    let value = method(b, "value", copy);
    let mut found = bound(b, at, variable, value, args[1]);
    if wrap {
        found = b.call("optional.of", vec![found], at);
    }
    let none = b.call("optional.none", Vec::new(), at);
    Ok(b.call("_?_:_", vec![there, found, none], at))
}
