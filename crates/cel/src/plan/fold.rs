//! Loops.

use super::eval::{Frame, Slot};
use super::{Fold, Op};
use crate::value::{Error, Outcome, Value};

impl<'a> Frame<'a, '_> {
    pub(super) fn fold(&mut self, fold: &'a Fold) -> Outcome<'a> {
        let range = self.eval(&fold.range)?;
        while self.locals.len() < fold.place + 3 {
            self.locals.push(Slot::Ready(Ok(Value::Null)));
        }
        self.locals[fold.place] = match &fold.init {
            Op::Constant(value) => Slot::Ready(Ok(value.lend())),
            init => Slot::Lazy(init),
        };
        match &range {
            Value::List(list) => {
                for (index, item) in (0..list.len()).map_while(|index| Some((index, list.at(index)?))) {
                    let index = i64::try_from(index).unwrap_or(i64::MAX);
                    let (first, second) = if fold.two { (Ok(Value::Int(index)), Some(item)) } else { (item, None) };
                    if !self.round(fold, first, second)? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for key in map.keys() {
                    let second = match fold.two {
                        true => Some(map.get(&key).unwrap_or(Ok(Value::Null))),
                        false => None,
                    };
                    if !self.round(fold, Ok(key), second)? {
                        break;
                    }
                }
            }
            other if fold.two => {
                return Err(Error::made(format!("unsupported comprehension range type: {}", go_type(other))));
            }
            other => return Err(Error::made(format!("got '{}', expected iterable type", go_type(other)))),
        }
        let outcome = self.eval(&fold.result);
        self.locals[fold.place] = Slot::Ready(Ok(Value::Null));
        outcome
    }

    /// One round; whether there is to be another.
    fn round(&mut self, fold: &'a Fold, first: Outcome<'a>, second: Option<Outcome<'a>>) -> Result<bool, Error> {
        self.locals[fold.place + 1] = Slot::Ready(first);
        if let Some(second) = second {
            self.locals[fold.place + 2] = Slot::Ready(second);
        }
        match self.eval(&fold.condition) {
            Ok(Value::Bool(false)) => return Ok(false),
            Err(error) if error.ends_all() => return Err(error),
            _ => {}
        }
        match self.eval(&fold.step) {
            Err(error) if error.ends_all() => return Err(error),
            outcome => self.locals[fold.place] = Slot::Ready(outcome),
        }
        self.tick()?;
        Ok(true)
    }
}

/// What upstream's program calls such a value.
fn go_type(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "types.Null",
        Value::Bool(_) => "types.Bool",
        Value::Int(_) => "types.Int",
        Value::Uint(_) => "types.Uint",
        Value::Double(_) => "types.Double",
        Value::String(_) => "types.String",
        Value::Bytes(_) => "types.Bytes",
        Value::Duration(_) => "types.Duration",
        Value::Timestamp(_) => "types.Timestamp",
        Value::Type(_) => "*types.Type",
        Value::Optional(_) => "*types.Optional",
        Value::List(_) | Value::Map(_) | Value::Opaque(_) => "ref.Val",
    }
}
