//! Selectors and quantities beside upstream's own readers.

#[path = "../../../tests/upstream/values/judge.rs"]
mod judge;

use judge::{Dice, compare};
use meta::Quantity;
use meta::selector::{Fields, Labels, Operator, Requirement};

const CASES: usize = 20_000;

#[test]
fn label_selectors() {
    const PARTS: &[&str] = &[
        "a", "b", "a.b/c", "in", "notin", " in ", " notin ", "(", ")", ",", "=", "==", "!=", "!", ">", "<", " ", "1", "-1", "x y", "", "\t",
        "exists", "A_b", "-", "é", "a/b/c", "/", "()", "(,)", "0x1", "\n",
    ];
    let make = |dice: &mut Dice| {
        let term = |dice: &mut Dice| match dice.roll(7) {
            0 => format!("{}{}{}", dice.pick(PARTS), dice.pick(&["=", "==", "!=", " = ", ">", "<", " > "]), dice.pick(PARTS)),
            1 => format!("{} {} ({})", dice.pick(PARTS), dice.pick(&["in", "notin", "IN"]), dice.row(&["a", "b", ",", " ", "c-d", ""], 6)),
            2 => format!("!{}", dice.pick(PARTS)),
            3 => dice.pick(PARTS).to_owned(),
            _ => dice.row(PARTS, 6),
        };
        let count = 1 + dice.roll(3);
        let text = (0..count).map(|_| term(dice)).collect::<Vec<_>>().join(dice.pick(&[",", " , ", ", "]));
        dice.hurt(text, PARTS)
    };
    compare("selector", CASES, make, |text| {
        let labels = Labels::parse(text).map_err(|e| e.to_string())?;
        let one = |requirement: &Requirement| {
            let operator = match requirement.operator {
                Operator::In => "in",
                Operator::NotIn => "notin",
                Operator::Exists => "exists",
                Operator::DoesNotExist => "!",
                Operator::GreaterThan => "gt",
                Operator::LessThan => "lt",
            };
            let values: Vec<String> = requirement.values.iter().map(|value| format!("{value:?}")).collect();
            format!("{:?} {operator} [{}]", requirement.key, values.join(" "))
        };
        let mut list: Vec<String> = labels.requirements.iter().map(one).collect();
        list.sort();
        Ok(format!("{} [{}]", !labels.nothing, list.join(" ")))
    });
}

#[test]
fn field_selectors() {
    const PARTS: &[&str] = &["a", "metadata.name", "=", "==", "!=", "!", ",", "\\", "\\,", "\\=", "\\\\", " ", "b", "", "é", "a.b/c"];
    let make = |dice: &mut Dice| dice.row(PARTS, 9);
    compare("fields", CASES, make, |text| {
        let fields = Fields::parse(text).map_err(|e| e.to_string())?;
        let one = |(field, value, wanted): &(String, String, bool)| {
            format!("{field:?} {} {value:?}", if *wanted { "=" } else { "!=" })
        };
        Ok(format!("[{}]", fields.terms.iter().map(one).collect::<Vec<_>>().join(" ")))
    });
}

#[test]
fn quantities() {
    const DIGITS: &[&str] = &["0", "1", "5", "9", "10", "100", "1024", "99999", ".", "0.", "-", "+", "00"];
    const SUFFIXES: &[&str] = &[
        "", "", "m", "u", "n", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E3", "e-3", "E+2", "e0", "K", "mi",
        "i", "e", "E-", "e1.5", "B", " ",
    ];
    // Amounts that there are: of more than 10^26 of anything other digits are printed.
    let make = |dice: &mut Dice| {
        if dice.roll(20) == 0 {
            return dice.pick(&["9223372036854775807", "999999999999", "-9223372036854775807", "1000000000000001", "4611686018427387904"]).to_owned();
        }
        let text = format!("{}{}{}", dice.pick(&["", "", "", "-", "+", " "]), dice.row(DIGITS, 3), dice.pick(SUFFIXES));
        if dice.roll(4) == 0 { dice.hurt(text, &["0", ".", "e", "i", "M", "-", " ", "é"]) } else { text }
    };
    compare("quantity", CASES, make, |text| {
        let quantity = Quantity::parse(text).map_err(|e| e.to_string())?;
        let printed = Quantity::printed(text).map_err(|e| e.to_string())?;
        if quantity.sign() < 0 || quantity > Quantity::from_units(9_000_000_000_000_000, quantity.format()) {
            return Ok(printed);
        }
        Ok(format!("{printed} {} {}", quantity.value(), quantity.milli_value()))
    });
}

#[test]
fn durations() {
    const NUMBERS: &[&str] = &["0", "1", "1.5", ".5", "5.", ".", "100", "9223372036854775807", "0.000000001", "1.0000000000000000000001", "9223372036.854775807", ""];
    const UNITS: &[&str] = &["h", "m", "s", "ms", "us", "µs", "μs", "ns", "", "d", "H", " ", "hour", " h"];
    let make = |dice: &mut Dice| {
        let part = |dice: &mut Dice| format!("{}{}", dice.pick(NUMBERS), dice.pick(UNITS));
        let parts: String = (0..1 + dice.roll(3)).map(|_| part(dice)).collect();
        format!("{}{parts}", dice.pick(&["", "", "", "-", "+", " ", "P"]))
    };
    compare("duration", CASES, make, |text| meta::duration::parse(text).map(|nanos| nanos.to_string()));
}
