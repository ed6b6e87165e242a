//! Types of expressions (upstream: cel-go `checker/checker.go`), then upstream's rules on literals (`cel/validator.go`).

mod calls;
mod literals;
mod rules;
mod unify;

use std::sync::Arc;

use crate::ast::{Ast, Comprehension, Id, Kind, Literal};
use crate::env::Env;
use crate::library::Overload;
use crate::plan::Program;
use crate::source::Issues;
use crate::types::{Objects, Type};
use crate::value::Error;
pub(crate) use rules::calls;
use unify::{Known, most_general};

/// What a node stands for, beyond its kind.
#[derive(Clone)]
pub(crate) enum Reference {
    /// Nothing but itself.
    None,
    /// A declared variable, by place.
    Variable(usize),
    /// A variable of a loop.
    Local,
    /// A type.
    Type(Type),
    /// A call of one of these.
    Functions(Vec<Arc<Overload>>),
    /// An object of this type.
    Object(Arc<str>),
}

/// An expression whose types are known.
pub struct Checked {
    pub(crate) ast: Ast,
    pub(crate) types: Vec<Type>,
    pub(crate) references: Vec<Reference>,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) names: Vec<String>,
}

impl Checked {
    /// The type of what it gives.
    pub fn output(&self) -> &Type {
        self.type_of(self.ast.root)
    }

    /// Makes it ready to run. Errors are what constants give that are computed now.
    pub fn program(&self) -> Result<Program, Error> {
        Program::of(self)
    }

    /// What it will cost at least and at most.
    pub fn estimate(&self, sizes: &dyn crate::cost::Sizes) -> crate::cost::Range {
        crate::cost::estimate(self, sizes)
    }

    /// Nodes after macros have been written out.
    pub fn nodes(&self) -> usize {
        self.ast.nodes.len()
    }

    /// Whether it names a variable.
    pub fn uses(&self, variable: &str) -> bool {
        let named = |reference: &Reference| match reference {
            Reference::Variable(place) => self.names.get(*place).is_some_and(|name| name == variable),
            _ => false,
        };
        self.references.iter().any(named)
    }

    pub(crate) fn type_of(&self, id: Id) -> &Type {
        &self.types[id as usize]
    }

    pub(crate) fn reference(&self, id: Id) -> &Reference {
        &self.references[id as usize]
    }
}

/// Checks an expression.
pub(crate) fn check(env: &Env, ast: Ast) -> Result<Checked, Issues> {
    let issues = Issues::new(ast.source.clone());
    let count = ast.nodes.len();
    let root = ast.root;
    let mut checker = Checker {
        env,
        ast,
        types: vec![Type::Error; count],
        references: vec![Reference::None; count],
        known: Known::default(),
        locals: Vec::new(),
        issues,
    };
    checker.check(root);
    let Checker { ast, mut types, references, known, issues, .. } = checker;
    for of in &mut types {
        *of = known.resolve(of, true);
    }
    if !issues.is_empty() {
        return Err(issues);
    }
    let names = env.variables().iter().map(|(name, _)| name.clone()).collect();
    let checked = Checked { ast, types, references, objects: env.shared_types(), names };
    let mut issues = Issues::new(checked.ast.source.clone());
    rules::check(&checked, env, &mut issues);
    if issues.is_empty() { Ok(checked) } else { Err(issues) }
}

struct Checker<'e> {
    env: &'e Env,
    ast: Ast,
    types: Vec<Type>,
    references: Vec<Reference>,
    known: Known,
    /// Variables of the loops around, the innermost last.
    locals: Vec<(Arc<str>, Type)>,
    issues: Issues,
}

impl Checker<'_> {
    fn type_of(&self, id: Id) -> Type {
        self.types[id as usize].clone()
    }

    fn set(&mut self, id: Id, of: Type) {
        self.types[id as usize] = of;
    }

    fn refer(&mut self, id: Id, to: Reference) {
        self.references[id as usize] = to;
    }

    fn wrong(&mut self, id: Id, message: String) {
        let at = self.ast.node(id).at;
        self.issues.at(at as usize, message);
    }

    fn mismatch(&mut self, id: Id, expected: &Type, found: &Type) {
        self.wrong(id, format!("expected type '{expected}' but found '{found}'"));
    }

    fn undeclared(&mut self, id: Id, name: &str) {
        let container = self.env.container_name();
        self.wrong(id, format!("undeclared reference to '{name}' (in container '{container}')"));
        self.set(id, Type::Error);
    }

    fn check(&mut self, id: Id) {
        crate::deep(|| match self.ast.kind(id).clone() {
            Kind::Literal(literal) => self.set(id, of_literal(&literal)),
            Kind::Ident(name) => self.ident(id, &name),
            Kind::Select { operand, field, test } => self.select(id, operand, &field, test),
            Kind::Call { function, target, args } => self.call(id, &function, target, &args),
            Kind::List { items, optional } => self.list(id, &items, &optional),
            Kind::Map(entries) => self.map(id, &entries),
            Kind::Struct { name, fields } => self.object(id, &name, &fields),
            Kind::Comprehension(comprehension) => self.comprehension(id, &comprehension),
        });
    }

    /// What a name stands for.
    fn find(&self, name: &str) -> Option<(Type, Reference)> {
        self.env.candidates(name).into_iter().find_map(|name| {
            if let Some((_, of)) = self.locals.iter().rev().find(|(local, _)| **local == *name) {
                return Some((of.clone(), Reference::Local));
            }
            if let Some((place, of)) = self.env.variable(&name) {
                return Some((of.clone(), Reference::Variable(place)));
            }
            let of = self.env.named_type(&name)?;
            Some((Type::Type(Some(Arc::new(of.clone()))), Reference::Type(of)))
        })
    }

    fn ident(&mut self, id: Id, name: &str) {
        match self.find(name) {
            Some((of, reference)) => {
                self.set(id, of);
                self.refer(id, reference);
            }
            None => self.undeclared(id, name),
        }
    }

    fn select(&mut self, id: Id, operand: Id, field: &str, test: bool) {
        if !test
            && let Some((of, reference)) = self.ast.qualified_name(id).and_then(|name| self.find(&name))
        {
            self.set(id, of);
            self.refer(id, reference);
            return;
        }
        let of = self.field(id, operand, field, false);
        let of = if test { Type::Bool } else { of };
        self.set(id, self.known.resolve(&of, false));
    }

    /// The type of a field of an operand.
    fn field(&mut self, id: Id, operand: Id, field: &str, optional: bool) -> Type {
        self.check(operand);
        let whole = self.known.resolve(&self.type_of(operand), false);
        let held = whole.held().cloned();
        let is_optional = held.is_some();
        let target = held.unwrap_or(whole);
        let result = match &target {
            Type::Map(_, value) => (**value).clone(),
            Type::Struct(name) => match self.env.types().field(name, field) {
                Some(of) => of,
                None if self.env.types().exists(name) => {
                    self.wrong(id, format!("undefined field '{field}'"));
                    Type::Error
                }
                None => {
                    self.wrong(id, format!("unexpected failed resolution of '{name}'"));
                    Type::Error
                }
            },
            of if of.is_parameter() => {
                self.known.fits(&[&Type::Dyn], &[of]);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            of => {
                self.wrong(id, format!("type '{of}' does not support field selection"));
                Type::Dyn
            }
        };
        if is_optional || optional { Type::optional(result) } else { result }
    }

    fn comprehension(&mut self, id: Id, c: &Comprehension) {
        self.check(c.range);
        self.check(c.init);
        let range = self.known.resolve(&self.type_of(c.range), false);
        let gathered = self.type_of(c.init);
        let (first, second) = match &range {
            Type::List(item) if c.second.is_some() => (Type::Int, (**item).clone()),
            Type::List(item) => ((**item).clone(), Type::Error),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            of if matches!(of, Type::Dyn | Type::Error) || of.is_parameter() => {
                self.known.fits(&[&Type::Dyn], &[of]);
                (Type::Dyn, Type::Dyn)
            }
            of => {
                let rule = "cannot be range of a comprehension (must be list, map, or dynamic)";
                self.wrong(c.range, format!("expression of type '{of}' {rule}"));
                (Type::Error, Type::Error)
            }
        };
        let outer = self.locals.len();
        self.locals.push((c.accumulator.clone(), gathered.clone()));
        self.locals.push((c.variable.clone(), first));
        if let Some(name) = &c.second {
            self.locals.push((name.clone(), second));
        }
        self.check(c.condition);
        self.must_be(c.condition, &Type::Bool);
        self.check(c.step);
        self.must_be(c.step, &gathered);
        self.locals.truncate(outer + 1);
        self.check(c.result);
        self.locals.truncate(outer);
        let of = self.known.resolve(&self.type_of(c.result), false);
        self.set(id, of);
    }

    fn must_be(&mut self, id: Id, of: &Type) {
        let found = self.type_of(id);
        if !self.known.fits(&[of], &[&found]) {
            self.mismatch(id, of, &found);
        }
    }

    /// The type that both have, for items and entries of a literal.
    fn join(&mut self, before: Option<Type>, next: Type) -> Type {
        let Some(before) = before else { return next };
        if self.known.fits(&[&before], &[&next]) {
            return most_general(&before, &next).clone();
        }
        // That types are mixed is for the rules to say: some calls take such literals.
        Type::Dyn
    }
}

fn of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}
