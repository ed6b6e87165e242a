//! Names and what is selected from them (upstream: cel-go `interpreter/attributes.go`).

use std::sync::Arc;

use super::eval::{Frame, Slot};
use super::{Attribute, Base, By, Op, Step};
use crate::cost;
use crate::value::{Error, List, Outcome, Value};

impl<'a> Frame<'a, '_> {
    /// A name or a selection that stands for itself.
    pub(super) fn attribute(&mut self, attribute: &'a Attribute) -> Outcome<'a> {
        let value = self.resolve(attribute);
        let choice = matches!(attribute.base, Base::Choice { .. });
        match (choice, attribute.test) {
            (false, false) => self.charge(cost::SELECT)?,
            // Upstream takes back what it has not charged.
            (true, true) => self.cost = self.cost.saturating_sub(cost::SELECT),
            _ => self.charge(0)?,
        }
        match value {
            Ok(Value::Optional(held)) if attribute.test => Ok(Value::Bool(held.is_some())),
            other => other,
        }
    }

    pub(super) fn local(&mut self, place: usize) -> Outcome<'a> {
        match self.locals.get(place) {
            Some(Slot::Ready(outcome)) => outcome.clone(),
            Some(Slot::Lazy(init)) => {
                let init = *init;
                let outcome = self.eval(init);
                if let Err(error) = &outcome
                    && error.ends_all()
                {
                    return outcome;
                }
                self.locals[place] = Slot::Ready(outcome.clone());
                outcome
            }
            None => Err(Error::NO_OVERLOAD),
        }
    }

    /// The value, without the cost of the name itself.
    fn resolve(&mut self, attribute: &'a Attribute) -> Outcome<'a> {
        let base = match &attribute.base {
            Base::Variable(place) => self.variables.value(*place)?,
            Base::Local(place) => self.local(*place)?,
            Base::Value(op) => self.eval(op)?,
            Base::Choice { condition, yes, no } => {
                return match self.eval(condition)? {
                    Value::Bool(true) => crate::deep(|| self.resolve(yes)),
                    Value::Bool(false) => crate::deep(|| self.resolve(no)),
                    _ => Err(Error::NO_OVERLOAD),
                };
            }
        };
        if attribute.path.is_empty() {
            return Ok(base);
        }
        let (mut value, mut optional) = match base {
            Value::Optional(None) => return Ok(Value::Optional(None)),
            Value::Optional(Some(held)) => ((*held).clone(), true),
            other => (other, false),
        };
        for step in &attribute.path {
            optional |= step.optional;
            let found = self.find(&value, step);
            if optional {
                match found? {
                    Some(found) => {
                        self.charge(cost::SELECT)?;
                        value = if step.test { Value::Null } else { found };
                    }
                    None => return Ok(Value::Optional(None)),
                }
                continue;
            }
            self.charge(cost::SELECT)?;
            value = match found {
                Ok(found) if step.test => Value::Bool(found.is_some()),
                Ok(Some(found)) => found,
                Ok(None) => return Err(self.missing(&value, step)),
                Err(_) if step.test && !is_container(&value) => Value::Bool(false),
                Err(error) => return Err(error),
            };
        }
        Ok(if optional { Value::Optional(Some(Arc::new(value))) } else { value })
    }

    /// What a step selects from a value, if it is there.
    fn find(&mut self, value: &Value<'a>, step: &'a Step) -> Result<Option<Value<'a>>, Error> {
        match &step.by {
            By::Field(field) => match value {
                Value::Map(map) => map.field(field).transpose(),
                other => look(other, &Value::lent(field)),
            },
            By::Constant(key) => look(value, &key.lend()),
            By::Value(op) => {
                let key = self.key(op)?;
                let found = look(value, &key)?;
                // The message needs the key, which is gone afterwards.
                if found.is_none() && !step.optional && !step.test {
                    return Err(not_there(value, &key));
                }
                Ok(found)
            }
        }
    }

    /// A key that is computed; a name does not count as one.
    fn key(&mut self, op: &'a Op) -> Outcome<'a> {
        match op {
            Op::Attribute(attribute) => self.resolve(attribute),
            other => self.eval(other),
        }
    }

    fn missing(&self, value: &Value<'a>, step: &Step) -> Error {
        match &step.by {
            By::Field(field) => not_there(value, &Value::text(field.clone())),
            By::Constant(key) => not_there(value, &key.lend()),
            By::Value(_) => Error::NO_OVERLOAD,
        }
    }
}

fn is_container(value: &Value<'_>) -> bool {
    matches!(value, Value::Map(_) | Value::List(_))
}

fn not_there(value: &Value<'_>, key: &Value<'_>) -> Error {
    match value {
        Value::List(_) => Error::made(format!("index out of bounds: {}", key.shown())),
        _ => Error::made(format!("no such key: {}", key.shown())),
    }
}

fn look<'a>(value: &Value<'a>, key: &Value<'_>) -> Result<Option<Value<'a>>, Error> {
    match value {
        Value::Map(map) => map.get(key).transpose(),
        Value::List(list) => {
            let position = List::position(key)?;
            usize::try_from(position).ok().and_then(|position| list.at(position)).transpose()
        }
        _ => Ok(None),
    }
}
