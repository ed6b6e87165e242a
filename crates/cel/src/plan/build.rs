//! From a checked tree to what is run (upstream: cel-go `interpreter/planner.go`, `decorators.go`).

use std::collections::HashSet;
use std::sync::Arc;

use super::{Attribute, Base, By, Call, Fold, How, Op, Search, Step, constant};
use crate::ast::{Comprehension, Entry, Field, Id, Kind};
use crate::check::{Checked, Reference};
use crate::cost::Cost;
use crate::library::{Bound, CONVERSIONS, Overload, re};
use crate::value::{Error, Key, Map, Pairs, Value};

/// Builds what is run.
pub(super) fn build(checked: &Checked) -> Result<Op, Error> {
    Builder { checked, scopes: Vec::new(), places: 0 }.op(checked.ast.root)
}

struct Builder<'c> {
    checked: &'c Checked,
    /// Variables of the loops around and their places.
    scopes: Vec<(Arc<str>, usize)>,
    /// How many places are taken.
    places: usize,
}

impl Builder<'_> {
    fn op(&mut self, id: Id) -> Result<Op, Error> {
        crate::deep(|| match self.checked.ast.kind(id).clone() {
            Kind::Literal(literal) => Ok(Op::Constant(constant(&literal))),
            Kind::Ident(name) => Ok(self.name(id, &name)),
            Kind::Select { operand, field, test } => self.select(id, operand, field, test),
            Kind::Call { function, target, args } => self.call(id, &function, target, &args),
            Kind::List { items, optional } => self.list(&items, &optional),
            Kind::Map(entries) => self.map(&entries),
            Kind::Struct { fields, .. } => self.object(id, &fields),
            Kind::Comprehension(comprehension) => self.fold(&comprehension),
        })
    }

    fn ops(&mut self, ids: impl IntoIterator<Item = Id>) -> Result<Vec<Op>, Error> {
        ids.into_iter().map(|id| self.op(id)).collect()
    }

    fn name(&self, id: Id, name: &str) -> Op {
        let base = match self.checked.reference(id) {
            Reference::Variable(place) => Base::Variable(*place),
            Reference::Type(of) => return Op::Constant(Value::Type(Arc::new(of.clone()))),
            _ => Base::Local(self.place(name)),
        };
        Op::Attribute(Box::new(Attribute { base, path: Vec::new(), test: false }))
    }

    fn place(&self, name: &str) -> usize {
        self.scopes.iter().rev().find(|(known, _)| **known == *name).map_or(usize::MAX, |(_, place)| *place)
    }

    /// What something is selected from: a selection goes on, all else begins one.
    fn attribute(op: Op) -> Box<Attribute> {
        match op {
            Op::Attribute(attribute) => attribute,
            other => Box::new(Attribute { base: Base::Value(other), path: Vec::new(), test: false }),
        }
    }

    /// Both sides of a choice are selected from, when the choice is.
    fn append(attribute: &mut Attribute, step: &Step) {
        match &mut attribute.base {
            Base::Choice { yes, no, .. } => {
                Self::append(yes, step);
                Self::append(no, step);
            }
            _ => attribute.path.push(step.clone()),
        }
    }

    fn select(&mut self, id: Id, operand: Id, field: Arc<str>, test: bool) -> Result<Op, Error> {
        if !test && !matches!(self.checked.reference(id), Reference::None) {
            let name = self.checked.ast.qualified_name(id).unwrap_or_default();
            return Ok(self.name(id, &name));
        }
        let mut attribute = Self::attribute(self.op(operand)?);
        Self::append(&mut attribute, &Step { by: By::Field(field), optional: false, test });
        attribute.test = test;
        Ok(Op::Attribute(attribute))
    }

    fn index(&mut self, args: &[Id], optional: bool) -> Result<Op, Error> {
        let mut attribute = Self::attribute(self.op(args[0])?);
        let by = match self.op(args[1])? {
            Op::Constant(Value::String(text)) => By::Field((&*text).into()),
            Op::Constant(value) => By::Constant(value),
            op => By::Value(Arc::new(op)),
        };
        Self::append(&mut attribute, &Step { by, optional, test: false });
        Ok(Op::Attribute(attribute))
    }

    fn call(&mut self, id: Id, function: &str, target: Option<Id>, args: &[Id]) -> Result<Op, Error> {
        match (function, args) {
            ("_&&_" | "_||_", [left, right]) => {
                let (left, right) = (Box::new(self.op(*left)?), Box::new(self.op(*right)?));
                return Ok(Op::Logic { all: function == "_&&_", left, right });
            }
            ("_?_:_", [condition, yes, no]) => {
                let condition = self.op(*condition)?;
                let (yes, no) = (Self::attribute(self.op(*yes)?), Self::attribute(self.op(*no)?));
                let base = Base::Choice { condition, yes, no };
                return Ok(Op::Attribute(Box::new(Attribute { base, path: Vec::new(), test: false })));
            }
            ("_==_" | "_!=_", [left, right]) => {
                let args = Box::new([self.op(*left)?, self.op(*right)?]);
                return Ok(Op::Equal { same: function == "_==_", args });
            }
            ("@not_strictly_false", [arg]) => return Ok(Op::NotFalse(Box::new(self.op(*arg)?))),
            ("_[_]", _) => return self.index(args, false),
            ("_[?_]" | "_?._", _) => return self.index(args, true),
            ("or" | "orValue", [other]) => {
                if let Some(target) = target {
                    let args = Box::new([self.op(target)?, self.op(*other)?]);
                    return Ok(Op::Otherwise { value: function == "orValue", args });
                }
            }
            ("_+_", [left, right]) => {
                if let Some(place) = self.accumulator(*left)
                    && matches!(self.checked.ast.kind(*right), Kind::List { .. })
                {
                    return Ok(Op::Push { place, list: Box::new(self.op(*right)?) });
                }
            }
            ("cel.@mapInsert", [first, rest @ ..]) => {
                if let Some(place) = self.accumulator(*first) {
                    return Ok(Op::Insert { place, args: self.ops(rest.iter().copied())?.into() });
                }
            }
            _ => {}
        }
        let ops = self.ops(target.into_iter().chain(args.iter().copied()))?;
        let Reference::Functions(overloads) = self.checked.reference(id) else {
            return Err(Error::made(format!("no such overload: {function}")));
        };
        self.plain_call(overloads.clone(), ops)
    }

    fn accumulator(&self, id: Id) -> Option<usize> {
        match self.checked.ast.kind(id) {
            Kind::Ident(name) if **name == *crate::parse::ACCUMULATOR => Some(self.place(name)),
            _ => None,
        }
    }

    fn plain_call(&mut self, overloads: Vec<Arc<Overload>>, args: Vec<Op>) -> Result<Op, Error> {
        let row = overloads[0].row;
        let single = overloads.len() == 1;
        let cost = if single { row.cost } else { row.cost.open() };
        if single && row.overload == "in_list" && args.len() == 2 {
            return Ok(member(args, overloads));
        }
        let how = match row.bound {
            Bound::Whole | Bound::Built => How::Whole(row.run),
            Bound::Guarded => How::Guarded { sequential: !single || args.len() > 2 },
            Bound::Sequential => How::Guarded { sequential: true },
        };
        let search = match row.name {
            "matches" => Some(Search::Matches),
            "find" => Some(Search::Find),
            "findAll" => Some(Search::FindAll),
            _ => None,
        };
        let how = match (search, args.get(1)) {
            (Some(search), Some(Op::Constant(Value::String(pattern)))) => {
                How::Pattern(re::compile(pattern).map_err(Error::made)?, search)
            }
            _ => how,
        };
        // Whatever the target's types are, all overloads of the function may be meant then.
        let overloads = if single { overloads } else { all_of(row.name, args.len()) };
        let call = Call { name: row.name, overloads, cost, how, args: args.into() };
        if CONVERSIONS.contains(&row.name)
            && let [Op::Constant(value)] = &*call.args
        {
            let value = call.value(std::slice::from_ref(value))?;
            return Ok(Op::Constant(value));
        }
        Ok(Op::Call(Box::new(call)))
    }

    fn list(&mut self, items: &[Id], optional: &[bool]) -> Result<Op, Error> {
        let items = self.ops(items.iter().copied())?;
        let plain = items.iter().all(|item| matches!(item, Op::Constant(_))) && !optional.contains(&true);
        if plain {
            let values = items.into_iter().filter_map(|item| match item {
                Op::Constant(value) => Some(value),
                _ => None,
            });
            return Ok(Op::Constant(Value::list(values.collect())));
        }
        Ok(Op::List { items: items.into(), optional: optional.into() })
    }

    fn map(&mut self, entries: &[Entry]) -> Result<Op, Error> {
        let mut all = Vec::new();
        for entry in entries {
            all.push((self.op(entry.key)?, self.op(entry.value)?, entry.optional));
        }
        let mut pairs = Pairs::default();
        for entry in &all {
            match entry {
                (Op::Constant(key), Op::Constant(value), false) => pairs.insert(key.clone(), value.clone()),
                _ => return Ok(Op::Map { entries: all.into() }),
            }
        }
        Ok(Op::Constant(Value::Map(Map::Own(Arc::new(pairs)))))
    }

    fn object(&mut self, id: Id, fields: &[Field]) -> Result<Op, Error> {
        let Reference::Object(name) = self.checked.reference(id).clone() else {
            return Err(Error::fixed("unknown type"));
        };
        let mut all = Vec::new();
        for field in fields {
            all.push((field.name.clone(), self.op(field.value)?, field.optional));
        }
        Ok(Op::Object { name, fields: all.into() })
    }

    fn fold(&mut self, c: &Comprehension) -> Result<Op, Error> {
        let range = self.op(c.range)?;
        let init = self.op(c.init)?;
        let (place, outer) = (self.places, self.scopes.len());
        self.places += 3;
        self.scopes.push((c.accumulator.clone(), place));
        self.scopes.push((c.variable.clone(), place + 1));
        if let Some(name) = &c.second {
            self.scopes.push((name.clone(), place + 2));
        }
        let condition = self.op(c.condition)?;
        let step = self.op(c.step)?;
        self.scopes.truncate(outer + 1);
        let result = self.op(c.result)?;
        self.scopes.truncate(outer);
        self.places = place;
        Ok(Op::Fold(Box::new(Fold { range, place, two: c.second.is_some(), init, condition, step, result })))
    }
}

/// All overloads of a function with so many arguments.
fn all_of(name: &str, args: usize) -> Vec<Arc<Overload>> {
    let all = crate::library::functions().get(name).map_or(&[][..], Vec::as_slice);
    all.iter().filter(|overload| overload.args.len() == args).cloned().collect()
}

/// A search in a list: where the list is constant, it is a set.
fn member(mut args: Vec<Op>, overloads: Vec<Arc<Overload>>) -> Op {
    let set = match &args[1] {
        Op::Constant(Value::List(list)) if list.is_empty() => return Op::Constant(Value::Bool(false)),
        Op::Constant(Value::List(list)) => {
            let primitive = |value: &Value<'_>| !matches!(value, Value::Double(d) if d.is_nan());
            list.iter().map(|item| primitive(&item).then(|| Key::of(&item)).flatten()).collect::<Option<HashSet<Key>>>()
        }
        _ => None,
    };
    match set {
        Some(set) => Op::Member { value: Box::new(args.swap_remove(0)), set },
        None => {
            let run = overloads[0].row.run;
            let call = Call { name: "@in", overloads, cost: Cost::InList, how: How::Whole(run), args: args.into() };
            Op::Call(Box::new(call))
        }
    }
}

