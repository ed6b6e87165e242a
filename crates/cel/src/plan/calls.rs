//! Calls of functions.

use super::eval::Frame;
use super::{Call, How, Search};
use crate::cost;
use crate::library::re;
use crate::value::{Error, Outcome, Value};

impl<'a> Frame<'a, '_> {
    pub(super) fn call(&mut self, call: &'a Call) -> Outcome<'a> {
        let sequential = match &call.how {
            How::Whole(_) => call.args.len() > 2,
            How::Guarded { sequential } => *sequential,
            How::Pattern(..) => true,
        };
        let mut values: [Value<'a>; 4] = [const { Value::Null }; 4];
        let mut more = Vec::new();
        let mut fault = None;
        let count = call.args.len();
        if count > values.len() {
            more = vec![Value::Null; count];
        }
        let given: &mut [Value<'a>] = if count > values.len() { &mut more } else { &mut values[..count] };
        for (index, (arg, place)) in call.args.iter().zip(given.iter_mut()).enumerate() {
            match self.eval(arg) {
                Ok(value) => *place = value,
                Err(error) if error.ends_all() => return Err(error),
                // A call counts when all of its arguments have been looked at.
                Err(error) if sequential && index + 1 < count => return Err(error),
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        // What is known to be too much is not begun.
        let known = !call.cost.by_result();
        if known {
            self.charge(cost::actual(call.cost, given, None))?;
        }
        let outcome = match fault {
            Some(error) => Err(error),
            None => call.value(given),
        };
        if !known {
            self.charge(cost::actual(call.cost, given, outcome.as_ref().ok()))?;
        }
        outcome
    }
}

impl Call {
    /// What comes out of these arguments.
    pub(super) fn value<'a>(&self, args: &[Value<'a>]) -> Outcome<'a> {
        match &self.how {
            How::Whole(run) => run(args),
            How::Guarded { .. } => match self.overloads.iter().find(|overload| overload.takes(args)) {
                Some(overload) => (overload.row.run)(args),
                None => {
                    let types: Vec<String> = args.iter().map(Value::type_name).collect();
                    Err(Error::made(format!("no such overload: {}({})", self.name, types.join(", "))))
                }
            },
            How::Pattern(pattern, search) => {
                let Some(Value::String(text)) = args.first() else { return Err(Error::NO_OVERLOAD) };
                match search {
                    Search::Matches => Ok(Value::Bool(pattern.is_match(text))),
                    Search::Find => Ok(re::find(pattern, text)),
                    Search::FindAll => re::find_all(pattern, text, args.get(2)),
                }
            }
        }
    }
}
