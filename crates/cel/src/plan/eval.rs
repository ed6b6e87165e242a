//! The evaluator: steps, faults as values, and what each step costs (upstream: cel-go `interpreter/interpretable.go`,
//! `interpreter/runtimecost.go`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Budget, Op, Variables};
use crate::cost::{self, Cost};
use crate::limits;
use crate::types::Objects;
use crate::value::{Error, Key, List, Map, Outcome, Pairs, Value};

/// A variable of a loop.
pub(super) enum Slot<'a> {
    /// It has a value, or has failed to get one.
    Ready(Outcome<'a>),
    /// Nobody has asked for it yet.
    Lazy(&'a Op),
}

/// A run.
pub(super) struct Frame<'a, 'v> {
    pub(super) variables: &'v dyn Variables<'a>,
    pub(super) objects: &'a dyn Objects,
    pub(super) locals: Vec<Slot<'a>>,
    pub(super) cost: u64,
    pub(super) steps: u32,
    pub(super) budget: Budget<'v>,
}

impl<'a> Frame<'a, '_> {
    pub(super) fn charge(&mut self, cost: u64) -> Result<(), Error> {
        // What ended is not charged any more.
        if self.cost <= self.budget.limit {
            self.cost = self.cost.saturating_add(cost);
        }
        if self.cost > self.budget.limit { Err(Error::CostLimit) } else { Ok(()) }
    }

    /// Looks now and then whether somebody wants the end.
    pub(super) fn tick(&mut self) -> Result<(), Error> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(limits::CHECK_FREQUENCY)
            && self.budget.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed))
        {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    pub(super) fn eval(&mut self, op: &'a Op) -> Outcome<'a> {
        match op {
            Op::Constant(value) => Ok(value.lend()),
            Op::Attribute(attribute) => self.attribute(attribute),
            Op::Logic { all, left, right } => self.logic(*all, left, right),
            Op::Equal { same, args } => self.equal(*same, args),
            Op::NotFalse(arg) => {
                let value = self.eval(arg);
                self.charge(1)?;
                match value {
                    Err(error) if error.ends_all() => Err(error),
                    Ok(Value::Bool(value)) => Ok(Value::Bool(value)),
                    _ => Ok(Value::Bool(true)),
                }
            }
            Op::Otherwise { value, args } => match self.eval(&args[0])? {
                Value::Optional(None) => self.eval(&args[1]),
                Value::Optional(Some(held)) if *value => Ok((*held).clone()),
                other => Ok(other),
            },
            Op::Member { value, set } => {
                let value = self.eval(value)?;
                Ok(Value::Bool(Key::of(&value).is_some_and(|key| set.contains(&key))))
            }
            Op::Call(call) => self.call(call),
            Op::List { items, optional } => {
                let list = self.list(items, optional);
                self.charge(cost::LIST)?;
                list
            }
            Op::Map { entries } => {
                let map = self.map(entries);
                self.charge(cost::MAP)?;
                map
            }
            Op::Object { name, fields } => {
                let object = self.object(name, fields);
                self.charge(cost::OBJECT)?;
                object
            }
            Op::Fold(fold) => crate::deep(|| self.fold(fold)),
            Op::Push { place, list } => self.push(*place, list),
            Op::Insert { place, args } => self.insert(*place, args),
        }
    }

    fn logic(&mut self, all: bool, left: &'a Op, right: &'a Op) -> Outcome<'a> {
        let mut fault = None;
        for side in [left, right] {
            match self.eval(side) {
                Ok(Value::Bool(value)) if value != all => return Ok(Value::Bool(value)),
                Ok(Value::Bool(_)) => {}
                Err(error) if error.ends_all() => return Err(error),
                Err(error) => fault = fault.or(Some(error)),
                Ok(_) => fault = fault.or(Some(Error::NO_OVERLOAD)),
            }
        }
        fault.map_or(Ok(Value::Bool(all)), Err)
    }

    fn equal(&mut self, same: bool, args: &'a [Op; 2]) -> Outcome<'a> {
        let (left, right) = (self.eval(&args[0]), self.eval(&args[1]));
        for side in [&left, &right] {
            if let Err(error) = side
                && error.ends_all()
            {
                return Err(error.clone());
            }
        }
        let given = [left.as_ref().map_or(Value::Null, Value::clone), right.as_ref().map_or(Value::Null, Value::clone)];
        self.charge(cost::actual(if same { Cost::Equal } else { Cost::Differ }, &given, None))?;
        let equal = left?.equals(&right?);
        if same { equal.map(Value::Bool) } else { Ok(Value::Bool(equal != Ok(true))) }
    }

    fn list(&mut self, items: &'a [Op], optional: &[bool]) -> Outcome<'a> {
        let mut values = Vec::with_capacity(items.len());
        for (item, optional) in items.iter().zip(optional) {
            match (self.eval(item)?, optional) {
                (value, false) => values.push(value),
                (Value::Optional(None), true) => {}
                (Value::Optional(Some(held)), true) => values.push((*held).clone()),
                (other, true) => {
                    let rule = "cannot initialize optional list element from non-optional value";
                    return Err(Error::made(format!("{rule} {}", other.shown())));
                }
            }
        }
        Ok(Value::list(values))
    }

    /// What an optional entry holds, if anything.
    fn held(key: &str, value: Value<'a>) -> Result<Option<Value<'a>>, Error> {
        match value {
            Value::Optional(held) => Ok(held.map(|held| (*held).clone())),
            other => {
                let shown = other.shown();
                Err(Error::made(format!("cannot initialize optional entry '{key}' from non-optional value {shown}")))
            }
        }
    }

    fn map(&mut self, entries: &'a [(Op, Op, bool)]) -> Outcome<'a> {
        let mut pairs = Pairs::default();
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            let value = self.eval(value)?;
            if !optional {
                pairs.insert(key, value);
                continue;
            }
            match Self::held(&key.shown(), value)? {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            }
        }
        Ok(Value::Map(Map::Own(Arc::new(pairs))))
    }

    fn object(&mut self, name: &str, fields: &'a [(Arc<str>, Op, bool)]) -> Outcome<'a> {
        let mut all: Vec<(String, Value<'a>)> = Vec::with_capacity(fields.len());
        for (field, value, optional) in fields {
            let value = self.eval(value)?;
            let value = if *optional { Self::held(field, value)? } else { Some(value) };
            all.retain(|(known, _)| **known != **field);
            all.extend(value.map(|value| (field.to_string(), value)));
        }
        self.objects.make(name, all)
    }

    /// Takes what has been gathered so far; what is computed next cannot see it.
    fn take(&mut self, place: usize) -> Outcome<'a> {
        self.charge(cost::SELECT)?;
        match self.locals.get_mut(place).map(|slot| std::mem::replace(slot, Slot::Ready(Ok(Value::Null)))) {
            Some(Slot::Ready(outcome)) => outcome,
            Some(Slot::Lazy(init)) => self.eval(init),
            None => Err(Error::NO_OVERLOAD),
        }
    }

    fn push(&mut self, place: usize, list: &'a Op) -> Outcome<'a> {
        let gathered = self.take(place);
        let more = self.eval(list);
        self.charge(1)?;
        match (gathered?, more?) {
            (Value::List(mut gathered), Value::List(more)) => {
                if let List::Lent([]) = gathered {
                    gathered = List::Own(Arc::default());
                }
                match &mut gathered {
                    List::Own(items) => Arc::make_mut(items).extend(more.iter()),
                    _ => return gathered.plus(&more),
                }
                Ok(Value::List(gathered))
            }
            _ => Err(Error::NO_OVERLOAD),
        }
    }

    fn insert(&mut self, place: usize, args: &'a [Op]) -> Outcome<'a> {
        let gathered = self.take(place);
        let mut given = Vec::with_capacity(args.len());
        if args.len() > 1 {
            let gathered = gathered?;
            for (index, arg) in args.iter().enumerate() {
                let value = self.eval(arg);
                if index + 1 == args.len() {
                    self.charge(1)?;
                }
                given.push(value?);
            }
            return inserted(gathered, &given);
        }
        let more = self.eval(&args[0]);
        self.charge(1)?;
        let gathered = gathered?;
        given.push(more?);
        inserted(gathered, &given)
    }
}

/// A map with one entry more, or with those of another map; no key comes twice.
fn inserted<'a>(gathered: Value<'a>, given: &[Value<'a>]) -> Outcome<'a> {
    let Value::Map(mut map) = gathered else { return Err(Error::NO_OVERLOAD) };
    if let Map::Lent(_) = map
        && map.is_empty()
    {
        map = Map::Own(Arc::default());
    }
    let Map::Own(pairs) = &mut map else { return Err(Error::NO_OVERLOAD) };
    let pairs = Arc::make_mut(pairs);
    let mut one = |key: &Value<'a>, value: &Value<'a>| {
        if pairs.get(key).is_some() {
            return Err(Error::made(format!("insert failed: key {} already exists", key.shown())));
        }
        pairs.insert(key.clone(), value.clone());
        Ok(())
    };
    match given {
        [key, value] => one(key, value)?,
        [Value::Map(more)] => more.entries().iter().try_for_each(|(key, value)| one(key, value))?,
        _ => return Err(Error::NO_OVERLOAD),
    }
    Ok(Value::Map(map))
}
