//! Upstream's rules on literals: times and patterns must be right, lists and maps of one type, formats must fit.

use super::{Checked, Reference};
use crate::ast::{Id, Kind, Literal};
use crate::env::Env;
use crate::library;
use crate::source::Issues;
use crate::types::Type;

/// Adds what breaks them.
pub(super) fn check(checked: &Checked, env: &Env, issues: &mut Issues) {
    let mut walk = vec![(checked.ast.root, false)];
    while let Some((id, formatted)) = walk.pop() {
        let mut below = formatted;
        match checked.ast.kind(id) {
            Kind::Call { function, target, args } => {
                below |= &**function == "format";
                literal(checked, function, args, issues);
                if &**function == "format"
                    && let (Some(target), [list]) = (target, &args[..])
                {
                    library::print_check(checked, id, *target, *list, issues);
                }
            }
            Kind::List { items, optional } if !formatted && !env.allows_mixed() => {
                list(checked, items, optional, issues);
            }
            Kind::Map(entries) if !formatted && !env.allows_mixed() => {
                let rows = entries.iter().map(|entry| (entry.key, entry.value, entry.optional));
                map(checked, &rows.collect::<Vec<_>>(), issues);
            }
            _ => {}
        }
        walk.extend(checked.ast.children(id).into_iter().map(|child| (child, below)));
    }
}

fn at(checked: &Checked, id: Id, message: String, issues: &mut Issues) {
    issues.at(checked.ast.node(id).at as usize, message);
}

fn literal(checked: &Checked, function: &str, args: &[Id], issues: &mut Issues) {
    let Some(Kind::Literal(literal)) = args.first().map(|arg| checked.ast.kind(*arg)) else { return };
    let wrong = match (function, literal) {
        ("duration" | "timestamp", literal) => {
            let overloads = library::functions().get(function);
            let value = crate::plan::constant(literal);
            let run = overloads.and_then(|all| all.iter().find(|overload| overload.takes(std::slice::from_ref(&value))));
            run.is_none_or(|overload| (overload.row.run)(&[value]).is_err())
        }
        ("matches", Literal::String(pattern)) => library::re::compile(pattern).is_err(),
        _ => false,
    };
    if wrong {
        at(checked, args[0], format!("invalid {function} argument"), issues);
    }
}

fn mismatch(checked: &Checked, id: Id, expected: &Type, found: &Type, issues: &mut Issues) {
    at(checked, id, format!("expected type '{expected}' but found '{found}'"), issues);
}

/// The type of an item; of an optional one what it holds.
fn item(checked: &Checked, id: Id, optional: bool) -> &Type {
    let of = checked.type_of(id);
    if optional { of.held().unwrap_or(of) } else { of }
}

fn list(checked: &Checked, items: &[Id], optional: &[bool], issues: &mut Issues) {
    let mut types = items.iter().zip(optional).map(|(id, optional)| (*id, item(checked, *id, *optional)));
    let Some((_, first)) = types.next() else { return };
    if let Some((id, other)) = types.find(|(_, of)| !first.equivalent(of)) {
        mismatch(checked, id, first, other, issues);
    }
}

fn map(checked: &Checked, rows: &[(Id, Id, bool)], issues: &mut Issues) {
    let Some(((key, value, optional), rest)) = rows.split_first() else { return };
    let (keys, values) = (checked.type_of(*key), item(checked, *value, *optional));
    for (key, value, optional) in rest {
        let (of_key, of_value) = (checked.type_of(*key), item(checked, *value, *optional));
        if !keys.equivalent(of_key) {
            mismatch(checked, *key, keys, of_key, issues);
        }
        if !values.equivalent(of_value) {
            mismatch(checked, *value, values, of_value, issues);
        }
    }
}

/// Whether a call is one of an overload.
pub(crate) fn calls(checked: &Checked, id: Id, overload: &str) -> bool {
    match checked.reference(id) {
        Reference::Functions(all) => all.iter().any(|one| one.row.overload == overload),
        _ => false,
    }
}

