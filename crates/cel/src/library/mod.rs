//! The functions: one file per library, one row per overload. The checker, the evaluator and both costs read the same rows.

mod authz;
mod cidr;
mod compare;
mod comprehensions;
mod convert;
mod formats;
mod ip;
mod jsonpatch;
mod kube_lists;
mod kube_regex;
mod lists;
mod logic;
mod maths;
mod optional;
mod print;
mod quantity;
pub(crate) mod re;
mod semver;
mod sets;
mod standard;
mod strings;
mod times;
mod urls;

use std::collections::HashMap;
use std::sync::Arc;

use crate::cost::Cost;
use crate::types::Type;
use crate::value::{Error, Outcome, Value};

pub(crate) use convert::CONVERSIONS;
pub(crate) use formats::check as format_check;
pub(crate) use print::check as print_check;

/// What a function does.
pub type Run = for<'a> fn(&[Value<'a>]) -> Outcome<'a>;

/// How arguments are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// All overloads are one function, which sees for itself what it is given.
    Whole,
    /// Each overload is called with the types that it declares.
    Guarded,
    /// The same, and what follows an argument without a value is not computed.
    Sequential,
    /// The evaluator does it.
    Built,
}

/// An overload of a function.
#[derive(Clone, Copy)]
pub struct Row {
    /// The function's name.
    pub name: &'static str,
    /// The overload's, by which upstream knows it.
    pub overload: &'static str,
    /// Whether it is called on its first argument.
    pub member: bool,
    /// The types of its arguments; capitals are parameters.
    pub args: &'static str,
    /// The type of what comes out.
    pub result: &'static str,
    /// What it costs.
    pub cost: Cost,
    /// How it takes its arguments.
    pub bound: Bound,
    /// What it does.
    pub run: Run,
}

impl Row {
    const fn whole(mut self) -> Row {
        self.bound = Bound::Whole;
        self
    }

    const fn sequential(mut self) -> Row {
        self.bound = Bound::Sequential;
        self
    }

    const fn built(mut self) -> Row {
        self.bound = Bound::Built;
        self
    }
}

const fn function(
    name: &'static str,
    overload: &'static str,
    args: &'static str,
    result: &'static str,
    cost: Cost,
    run: Run,
) -> Row {
    Row { name, overload, member: false, args, result, cost, bound: Bound::Guarded, run }
}

const fn method(
    name: &'static str,
    overload: &'static str,
    args: &'static str,
    result: &'static str,
    cost: Cost,
    run: Run,
) -> Row {
    Row { name, overload, member: true, args, result, cost, bound: Bound::Guarded, run }
}

fn mismatch<T>() -> Result<T, Error> {
    Err(Error::NO_OVERLOAD)
}

/// A library.
pub struct Library {
    /// Its name, as upstream's.
    pub name: &'static str,
    /// Its overloads.
    pub rows: &'static [Row],
    /// Types that can be named in expressions.
    pub types: &'static [&'static str],
}

/// All of them, in the order in which upstream puts them together.
pub const ALL: &[&Library] = &[
    &logic::LIBRARY,
    &compare::LIBRARY,
    &maths::LIBRARY,
    &standard::LIBRARY,
    &convert::LIBRARY,
    &times::LIBRARY,
    &urls::LIBRARY,
    &kube_regex::LIBRARY,
    &kube_lists::LIBRARY,
    &authz::LIBRARY,
    &optional::LIBRARY,
    &quantity::LIBRARY,
    &strings::LIBRARY,
    &print::LIBRARY,
    &sets::LIBRARY,
    &ip::LIBRARY,
    &cidr::LIBRARY,
    &formats::LIBRARY,
    &comprehensions::LIBRARY,
    &semver::LIBRARY,
    &lists::LIBRARY,
    &jsonpatch::LIBRARY,
];

/// An overload with its types.
pub struct Overload {
    /// Its row.
    pub row: &'static Row,
    /// Its arguments' types, the target's first.
    pub args: Vec<Type>,
    /// What comes out.
    pub result: Type,
    /// The names of its parameters.
    pub parameters: Vec<Arc<str>>,
}

/// All functions by name.
pub type Functions = HashMap<&'static str, Vec<Arc<Overload>>>;

/// The functions of all libraries, put together once.
pub fn functions() -> &'static Functions {
    static FUNCTIONS: std::sync::OnceLock<Functions> = std::sync::OnceLock::new();
    FUNCTIONS.get_or_init(|| {
        let mut all = Functions::new();
        for row in ALL.iter().flat_map(|library| library.rows) {
            let mut parameters = Vec::new();
            let args = types(row.args, &mut parameters);
            let result = types(row.result, &mut parameters).pop().unwrap_or(Type::Dyn);
            all.entry(row.name).or_default().push(Arc::new(Overload { row, args, result, parameters }));
        }
        all
    })
}

/// The types that a text lists.
fn types(text: &str, parameters: &mut Vec<Arc<str>>) -> Vec<Type> {
    let mut depth = 0;
    let cut = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    text.split(cut).map(str::trim).filter(|text| !text.is_empty()).map(|text| one(text, parameters)).collect()
}

fn one(text: &str, parameters: &mut Vec<Arc<str>>) -> Type {
    let (name, inner) = match text.split_once('(') {
        Some((name, rest)) => (name, types(rest.strip_suffix(')').unwrap_or(rest), parameters)),
        None => (text, Vec::new()),
    };
    let mut inner = inner.into_iter();
    let mut next = || inner.next().unwrap_or(Type::Dyn);
    match name {
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        "list" => Type::list(next()),
        "map" => {
            let key = next();
            Type::map(key, next())
        }
        "optional" => Type::optional(next()),
        "type" => Type::Type(Some(Arc::new(next()))),
        "net.IP" | "net.CIDR" => Type::Opaque(name.into(), [].into()),
        name if name.contains('.') => Type::Struct(name.into()),
        name => {
            let name: Arc<str> = name.into();
            if !parameters.contains(&name) {
                parameters.push(name.clone());
            }
            Type::Param(name)
        }
    }
}

impl Overload {
    /// Whether values may be given to it.
    pub(crate) fn takes(&self, values: &[Value<'_>]) -> bool {
        self.args.len() == values.len() && self.args.iter().zip(values).all(|(of, value)| takes(of, value))
    }
}

fn takes(of: &Type, value: &Value<'_>) -> bool {
    match (of, value) {
        (Type::Dyn | Type::Param(_) | Type::Var(_), _) => true,
        (Type::List(item), Value::List(list)) => list.get(0).is_none_or(|first| takes(item, &first)),
        (Type::Map(key, item), Value::Map(map)) if map.object().is_none() => match map.entries().first() {
            Some((first, value)) => takes(key, first) && takes(item, value),
            None => true,
        },
        (Type::List(_) | Type::Map(..), _) => false,
        (of, value) => of.name() == value.type_of().name(),
    }
}
