//! What is run: names are places, constants are computed, patterns are compiled.

mod attribute;
mod build;
mod calls;
mod eval;
mod fold;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use regex::Regex;

use crate::ast::Literal;
use crate::cost::Cost;
use crate::library::{Overload, Run};
use crate::limits;
use crate::types::Objects;
use crate::value::{Error, Key, Outcome, Str, Value};

/// An expression that can be run, by many at once.
pub struct Program {
    root: Op,
    objects: Arc<dyn Objects>,
}

/// What a run is bounded by, and what it has used.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// What it may cost.
    pub limit: u64,
    /// Set by whoever wants it to end.
    pub interrupt: Option<&'a AtomicBool>,
}

impl Default for Budget<'_> {
    fn default() -> Self {
        Budget { limit: limits::PER_CALL, interrupt: None }
    }
}

/// The variables of a run, by their places in the environment.
pub trait Variables<'a> {
    /// The value at a place.
    fn value(&self, place: usize) -> Outcome<'a>;
}

impl<'a> Variables<'a> for [Value<'a>] {
    fn value(&self, place: usize) -> Outcome<'a> {
        self.get(place).cloned().ok_or_else(|| Error::made(format!("no such attribute(s): {place}")))
    }
}

impl<'a> Variables<'a> for Vec<Value<'a>> {
    fn value(&self, place: usize) -> Outcome<'a> {
        self[..].value(place)
    }
}

impl<'a, const N: usize> Variables<'a> for [Value<'a>; N] {
    fn value(&self, place: usize) -> Outcome<'a> {
        self[..].value(place)
    }
}

impl Program {
    pub(crate) fn of(checked: &crate::check::Checked) -> Result<Program, Error> {
        let root = build::build(checked)?;
        Ok(Program { root, objects: checked.objects.clone() })
    }

    /// Runs it. The second is what it cost, also when there is no value.
    pub fn run<'a>(&'a self, variables: &dyn Variables<'a>, budget: Budget<'_>) -> (Outcome<'a>, u64) {
        let mut frame = eval::Frame { variables, objects: &*self.objects, locals: Vec::new(), cost: 0, steps: 0, budget };
        let outcome = frame.eval(&self.root);
        (outcome, frame.cost)
    }
}

/// A step: what is computed, and how.
enum Op {
    /// A constant.
    Constant(Value<'static>),
    /// A variable, or what something gives, and what is selected from it.
    Attribute(Box<Attribute>),
    /// `left && right` if all, `left || right` if not.
    Logic { all: bool, left: Box<Op>, right: Box<Op> },
    /// `a == b`, `a != b`
    Equal { same: bool, args: Box<[Op; 2]> },
    /// `@not_strictly_false(a)`
    NotFalse(Box<Op>),
    /// `a.or(b)`, `a.orValue(b)`
    Otherwise { value: bool, args: Box<[Op; 2]> },
    /// `a in [constants]`
    Member { value: Box<Op>, set: HashSet<Key> },
    /// A call.
    Call(Box<Call>),
    /// `[a, b]`
    List { items: Box<[Op]>, optional: Box<[bool]> },
    /// `{a: b}`
    Map { entries: Box<[(Op, Op, bool)]> },
    /// `Type{a: b}`
    Object { name: Arc<str>, fields: Box<[(Arc<str>, Op, bool)]> },
    /// A loop.
    Fold(Box<Fold>),
    /// `accumulator + [item]`, in place.
    Push { place: usize, list: Box<Op> },
    /// `cel.@mapInsert(accumulator, key, value)`, in place.
    Insert { place: usize, args: Box<[Op]> },
}

/// What a selection begins with.
enum Base {
    /// A declared variable.
    Variable(usize),
    /// A variable of a loop.
    Local(usize),
    /// What something gives.
    Value(Op),
    /// One of two, as a condition says.
    Choice { condition: Op, yes: Box<Attribute>, no: Box<Attribute> },
}

/// A variable or a value, and what is selected from it, step by step.
struct Attribute {
    base: Base,
    path: Vec<Step>,
    /// `has()`: the last step is a question.
    test: bool,
}

/// One selection.
#[derive(Clone)]
struct Step {
    by: By,
    optional: bool,
    /// Whether there is such a thing is all that is asked.
    test: bool,
}

/// What is selected by.
#[derive(Clone)]
enum By {
    /// A field or key that is known.
    Field(Arc<str>),
    /// Another constant.
    Constant(Value<'static>),
    /// What something gives.
    Value(Arc<Op>),
}

/// A call.
struct Call {
    name: &'static str,
    /// The overloads of which one is meant.
    overloads: Vec<Arc<Overload>>,
    cost: Cost,
    how: How,
    args: Box<[Op]>,
}

/// How a call is made.
enum How {
    /// Whatever the arguments are.
    Whole(Run),
    /// With arguments of the declared types; whether one without a value keeps the next from being computed.
    Guarded { sequential: bool },
    /// With a pattern that was compiled beforehand.
    Pattern(Regex, Search),
}

/// What is done with a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    Matches,
    Find,
    FindAll,
}

/// A loop.
struct Fold {
    range: Op,
    /// The place of what is gathered; the variables follow.
    place: usize,
    two: bool,
    init: Op,
    condition: Op,
    step: Op,
    result: Op,
}

/// A literal as a value.
pub(crate) fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::String(text) => Value::String(Str::Made(text.clone())),
        Literal::Bytes(bytes) => Value::Bytes(bytes.clone()),
    }
}
