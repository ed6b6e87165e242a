//! Amounts (upstream: Kubernetes' `quantity.go`).

use std::any::Any;
use std::cmp::Ordering;

use meta::Quantity;
use meta::quantity::Format;

use super::{Library, Row, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Opaque, Outcome, Value};

const Q: &str = "kubernetes.Quantity";

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.quantity",
    types: &[Q],
    rows: &[
        function("quantity", "string_to_quantity", "string", Q, Cost::Parsed, to_quantity),
        function("isQuantity", "is_quantity_string", "string", "bool", Cost::Parsed, is_quantity),
        function("sign", "quantity_sign", Q, "int", Cost::Fixed(1), |args| Ok(Value::Int(i64::from(amount(args, 0)?.sign())))),
        two("isGreaterThan", "quantity_is_greater_than", "bool", |args| Ok(Value::Bool(order(args)?.is_gt()))),
        two("isLessThan", "quantity_is_less_than", "bool", |args| Ok(Value::Bool(order(args)?.is_lt()))),
        two("compareTo", "quantity_compare_to", "int", |args| Ok(Value::Int(order(args)? as i64))),
        method("asApproximateFloat", "quantity_get_float", Q, "double", Cost::Fixed(1), as_float),
        method("asInteger", "quantity_get_int", Q, "int", Cost::Fixed(1), as_integer),
        method("isInteger", "quantity_is_integer", Q, "bool", Cost::Fixed(1), is_integer),
        two("add", "quantity_add", Q, |args| sum(args, false)),
        method("add", "quantity_add_int", "kubernetes.Quantity, int", Q, Cost::Fixed(1), |args| sum(args, false)),
        two("sub", "quantity_sub", Q, |args| sum(args, true)),
        method("sub", "quantity_sub_int", "kubernetes.Quantity, int", Q, Cost::Fixed(1), |args| sum(args, true)),
    ],
};

const fn two(name: &'static str, overload: &'static str, result: &'static str, run: super::Run) -> Row {
    method(name, overload, "kubernetes.Quantity, kubernetes.Quantity", result, Cost::Fixed(1), run)
}

/// An amount.
#[derive(Clone, Copy, Debug)]
struct Amount(Quantity);

impl Opaque for Amount {
    fn type_name(&self) -> &'static str {
        Q
    }
    fn equals(&self, other: &dyn Opaque) -> Option<bool> {
        other.any().downcast_ref::<Amount>().map(|other| self.0 == other.0)
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

fn to_quantity<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text)] => match Quantity::parse(text) {
            Ok(amount) => Ok(Value::opaque(Amount(amount))),
            Err(why) => Err(Error::made(why.to_string())),
        },
        _ => mismatch(),
    }
}

fn is_quantity<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text)] => Ok(Value::Bool(Quantity::parse(text).is_ok())),
        _ => mismatch(),
    }
}

fn amount(args: &[Value<'_>], index: usize) -> Result<Quantity, Error> {
    args.get(index).and_then(Value::as_opaque::<Amount>).map(|amount| amount.0).ok_or(Error::NO_OVERLOAD)
}

fn order(args: &[Value<'_>]) -> Result<Ordering, Error> {
    Ok(amount(args, 0)?.cmp(&amount(args, 1)?))
}

fn as_float<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let amount = amount(args, 0)?;
    // Thousandths are exact where whole units are not.
    let milli = amount.milli_value();
    let value = if milli == i64::MAX || milli == i64::MIN { amount.value() as f64 } else { milli as f64 / 1000.0 };
    Ok(Value::Double(value))
}

/// The whole number that an amount is, if it is one of 64 bits.
fn whole(amount: Quantity) -> Option<i64> {
    let value = amount.value();
    (Quantity::from_units(value, Format::DecimalSi) == amount).then_some(value)
}

fn as_integer<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    whole(amount(args, 0)?).map(Value::Int).ok_or(Error::fixed("cannot convert value to integer"))
}

fn is_integer<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(whole(amount(args, 0)?).is_some()))
}

fn sum<'a>(args: &[Value<'a>], minus: bool) -> Outcome<'a> {
    let one = amount(args, 0)?;
    let other = match args.get(1) {
        Some(Value::Int(number)) => Quantity::from_units(*number, Format::DecimalExponent),
        _ => amount(args, 1)?,
    };
    Ok(Value::opaque(Amount(if minus { one.minus(other) } else { one.plus(other) })))
}
