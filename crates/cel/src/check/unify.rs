//! Which types fit each other, and what types that are not known yet turn out to be (upstream: cel-go `checker/types.go`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::types::Type;

/// What is known of types that were not.
#[derive(Default)]
pub(super) struct Known {
    of: HashMap<u32, Type>,
    /// What was changed, to be taken back when it turns out not to fit.
    trail: Vec<(u32, Option<Type>)>,
    next: u32,
}

impl Known {
    /// A type that is not known yet.
    pub(super) fn fresh(&mut self) -> Type {
        self.next += 1;
        Type::Var(self.next - 1)
    }

    fn find(&self, of: &Type) -> Option<&Type> {
        match of {
            Type::Var(number) => self.of.get(number),
            _ => None,
        }
    }

    fn set(&mut self, of: &Type, to: Type) {
        if let Type::Var(number) = of {
            let before = self.of.insert(*number, to);
            self.trail.push((*number, before));
        }
    }

    fn back(&mut self, to: usize) {
        while self.trail.len() > to {
            match self.trail.pop() {
                Some((number, Some(before))) => drop(self.of.insert(number, before)),
                Some((number, None)) => drop(self.of.remove(&number)),
                None => break,
            }
        }
    }

    /// Whether each type of one list may be given where one of the other is wanted. What is learnt stays if it is so.
    pub(super) fn fits(&mut self, given: &[&Type], wanted: &[&Type]) -> bool {
        let before = self.trail.len();
        let fits = self.all(given, wanted);
        if fits {
            self.trail.truncate(before);
        } else {
            self.back(before);
        }
        fits
    }

    fn all(&mut self, given: &[&Type], wanted: &[&Type]) -> bool {
        given.len() == wanted.len() && given.iter().zip(wanted).all(|(given, wanted)| self.one(given, wanted))
    }

    fn one(&mut self, t1: &Type, t2: &Type) -> bool {
        if t2.is_parameter() {
            match self.substitutes(t1, t2) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if t1.is_parameter() {
            return self.substitutes(t2, t1).0;
        }
        let open = |t: &Type| matches!(t, Type::Dyn | Type::Error);
        if open(t1) || open(t2) {
            return true;
        }
        match (t1, t2) {
            (Type::Null, other) | (other, Type::Null) => nullable(other),
            (Type::Type(_), other) => matches!(other, Type::Type(_)),
            (Type::List(a), Type::List(b)) => self.one(a, b),
            (Type::Map(a, b), Type::Map(c, d)) => self.one(a, c) && self.one(b, d),
            (Type::Opaque(a, p), Type::Opaque(b, q)) => {
                a == b && self.all(&p.iter().collect::<Vec<_>>(), &q.iter().collect::<Vec<_>>())
            }
            (one, other) => one.same(other),
        }
    }

    /// Whether `t1` may stand for the unknown `t2`, and whether something is known of that already.
    fn substitutes(&mut self, t1: &Type, t2: &Type) -> (bool, bool) {
        if t1 == t2 {
            return (true, true);
        }
        if let Some(known) = self.find(t2).cloned() {
            if t1.same(&known) && t1.is_parameter() == known.is_parameter() {
                return (true, true);
            }
            if self.one(t1, &known) {
                let general = most_general(t1, &known).clone();
                if self.absent(t2, &general) {
                    self.set(t2, general);
                }
                return (true, true);
            }
            return (false, true);
        }
        if self.absent(t2, t1) {
            self.set(t2, t1.clone());
            return (true, false);
        }
        (false, false)
    }

    /// Whether a type does not occur in another.
    fn absent(&self, of: &Type, within: &Type) -> bool {
        if of == within {
            return false;
        }
        if within.is_parameter() {
            return self.find(within).is_none_or(|known| self.absent(of, known));
        }
        within.parameters().iter().all(|parameter| self.absent(of, parameter))
    }

    /// A type with what is known of it; what is not becomes dyn at the end.
    pub(super) fn resolve(&self, of: &Type, end: bool) -> Type {
        if let Some(known) = self.find(of) {
            return self.resolve(known, end);
        }
        match of {
            of if of.is_parameter() => if end { Type::Dyn } else { of.clone() },
            Type::List(item) => Type::list(self.resolve(item, end)),
            Type::Map(key, value) => Type::map(self.resolve(key, end), self.resolve(value, end)),
            Type::Type(Some(inner)) => Type::Type(Some(Arc::new(self.resolve(inner, end)))),
            Type::Opaque(name, inner) => Type::Opaque(name.clone(), inner.iter().map(|t| self.resolve(t, end)).collect()),
            other => other.clone(),
        }
    }
}

fn nullable(of: &Type) -> bool {
    matches!(of, Type::Null | Type::Nullable(_) | Type::Opaque(..) | Type::Struct(_) | Type::Duration | Type::Timestamp)
}

/// The one of two types that fit each other which says less.
pub(super) fn most_general<'t>(one: &'t Type, other: &'t Type) -> &'t Type {
    if says_less(one, other) { one } else { other }
}

fn says_less(one: &Type, other: &Type) -> bool {
    let open = |t: &Type| t.is_dyn() || t.is_parameter();
    if open(one) {
        return true;
    }
    if open(other) {
        return false;
    }
    match (one, other) {
        (Type::Opaque(a, p), Type::Opaque(b, q)) => {
            a == b && p.len() == q.len() && p.iter().zip(&**q).all(|(a, b)| says_less(a, b))
        }
        (Type::List(a), Type::List(b)) => says_less(a, b),
        (Type::Map(a, b), Type::Map(c, d)) => says_less(a, c) && says_less(b, d),
        (Type::Type(_), Type::Type(_)) => true,
        (one, other) => one.same(other),
    }
}
