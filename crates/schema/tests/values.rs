//! YAML and numbers in JSON beside upstream's own readers.

#[path = "../../../tests/upstream/values/judge.rs"]
mod judge;

use std::sync::Arc;

use judge::{Dice, compare};
use meta::Gvk;
use schema::{Field, Kind, Schema, Shape, Type, go_json, json_tree, yaml_to_json};

const CASES: usize = 10_000;

/// Plain scalars that one reader or the other takes for something else than text.
const SCALARS: &[&str] = &[
    "a", "yes", "no", "on", "off", "y", "n", "Yes", "NO", "On", "true", "True", "TRUE", "false", "tRUE", "null", "Null", "NULL", "~", "", "0", "1",
    "-1", "+1", "010", "0o10", "0x1F", "0b101", "-0b1", "-010", "1_000", "1e3", "1E3", "1e+3", "1.0", "10.0", "1.5", ".5", "5.", "1.", "-.5", "+.5", "1e1",
    "0.1", "1_0.5", ".inf", "-.inf", ".nan", ".NaN", "08", "09", "0x", "1:30", "190:20:30", "2001-01-01", "2001-12-14t21:59:43.10-05:00",
    "2001-12-15 2:59:43.10", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775808",
    "-9223372036854775809", "0xFFFFFFFFFFFFFFFF", "123456789012345678901234567890", "1e400", "1e21", "1e-7", "0x1p3", "1e", "e3", "1__0", "_1", "0_1",
    "-", "--", "-a", "a b", "a: b", "a #b", "#c", "a#b", "\"a\"", "\"\\x41\\u00e9\\n\"", "'it''s'", "\"\\/\"", "!!str 1", "!!int \"1\"", "!!float 1", "!!binary aGk=",
    "!!bool \"yes\"", "!!null \"\"", "!custom a", "&x a", "*x", "<<", "=", "@a", "`a", "%a", "a:", ":a", "?", "? a", "|", ">", "{}", "[]", "{a: b}", "[a, 1, yes]",
    "[a, ]", "{a, b: }", "{a: [b, {c: d}]}", "[", "{", "]", "}", "\"", "'", "é", "\u{85}", "\u{a0}", "0.", "00", "-0", "+0", "-0.0", "1e0", "12e03", "0e0",
];

/// None that JSON cannot have, and no null as a key: upstream does not mind it where a later key has the same name.
fn scalar(dice: &mut Dice) -> String {
    let scalar = dice.pick(SCALARS);
    if scalar.to_lowercase().contains(".nan") || scalar.contains(".inf") || scalar.starts_with('?') { "text".to_owned() } else { scalar.to_owned() }
}

fn node(dice: &mut Dice, indent: usize, depth: usize) -> String {
    let pad = " ".repeat(indent);
    match dice.roll(if depth > 2 { 3 } else { 8 }) {
        0..3 => format!(" {}\n", scalar(dice)),
        3 => {
            let lines: String = (0..1 + dice.roll(3)).map(|_| format!("{pad}  {}\n", dice.pick(&["a", "  b", "", "c # d", "- e"]))).collect();
            format!(" {}\n{lines}", dice.pick(&["|", ">", "|-", ">-", "|+", ">+", "|2", "|1"]))
        }
        4 | 5 => {
            let items: String = (0..1 + dice.roll(3)).map(|_| format!("{pad}-{}", node(dice, indent + 2, depth + 1))).collect();
            format!("\n{items}")
        }
        _ => format!("\n{}", map(dice, indent + 2, depth + 1)),
    }
}

fn map(dice: &mut Dice, indent: usize, depth: usize) -> String {
    const KEYS: &[&str] = &["a", "b", "c", "yes", "1", "2.5", "\"q\"", "<<", "010", "x y", "'s'"];
    let pad = " ".repeat(indent);
    (0..1 + dice.roll(3)).map(|_| format!("{pad}{}:{}", dice.pick(KEYS), node(dice, indent, depth))).collect()
}

#[test]
fn yaml() {
    let make = |dice: &mut Dice| {
        let text = match dice.roll(8) {
            0 => format!("{}\n", dice.pick(SCALARS)),
            1 => format!("a: {}\n", dice.pick(SCALARS)),
            2 => format!("a: &x{}b: *x\n", node(dice, 0, 1)),
            3 => format!("- {}\n- {}\n", scalar(dice), scalar(dice)),
            _ => map(dice, 0, 0),
        };
        // Tabs, what may be in a tag, behind a closed one, or at the left of a block are where YAML 1.2 differs from 1.1.
        if dice.roll(4) == 0 && !text.contains(['!', '\'', '"', '[', '{']) && !text.starts_with(['|', '>']) {
            return dice.hurt(text, &[" ", ":", "-", "a"]);
        }
        text
    };
    compare("yaml", CASES, make, |text| {
        let (value, _) = yaml_to_json(text)?;
        Ok(String::from_utf8_lossy(&go_json(&value)).into_owned())
    });
}

#[test]
fn trees_of_json() {
    const PARTS: &[&str] = &[
        "{", "}", "[", "]", ":", ",", "\"a\"", "\"b\"", "1", "10.0", "1e1", "1.5", "-0", "-1", "01", "1.", ".5", "1e", "null", "true", "false", "nul", " ", "\n",
        "\"\\u00e9\"", "\"\\ud800\"", "\"\u{1}\"", "\"<\"", "9223372036854775807", "9223372036854775808", "1e400", "1e21", "0.1", "\"", "\\",
    ];
    let make = |dice: &mut Dice| {
        let number = dice.pick(&["0", "-0", "-1", "10.0", "1e1", "1E+2", "1.5", "0.000001", "1e-7", "1e20", "1e21", "9223372036854775807", "9223372036854775808"]);
        match dice.roll(3) {
            0 => format!("{{\"a\":{number},\"b\":[{}]}}", dice.row(PARTS, 3)),
            1 => format!("[{number}]"),
            _ => dice.row(PARTS, 7),
        }
    };
    compare("tree", CASES, make, |text| {
        let (value, _) = json_tree(text.as_bytes())?;
        Ok(String::from_utf8_lossy(&go_json(&value)).into_owned())
    });
}

/// A type with a field of every sort of scalar.
fn scalars() -> Schema {
    let kinds = [
        ("int32", Kind::Int32),
        ("int64", Kind::Int64),
        ("float", Kind::Float),
        ("string", Kind::String),
        ("bool", Kind::Bool),
        ("bytes", Kind::Bytes),
    ];
    let fields = kinds.into_iter().map(|(name, kind)| Field::new(name.into(), Shape::of(kind))).collect();
    Schema::of(Gvk::new("", "v1", "scalars"), Arc::new(Type::new("scalars".into(), false, false, fields)))
}

#[test]
fn fields_of_json() {
    const VALUES: &[&str] = &[
        "0", "1", "-1", "-0", "10.0", "1e1", "1E1", "1e+1", "1.5", "0.1", "2147483647", "2147483648", "-2147483648", "-2147483649",
        "9223372036854775807", "9223372036854775808", "1e400", "null", "true", "false", "\"1\"", "\"\"", "[]", "{}", "01", "+1", "1.", ".5", "\"a\"",
        "\"\\u0041\"",
    ];
    const BYTES: &[&str] = &[
        "\"aGk=\"", "\"aGk\"", "\"aG k=\"", "\"aGk=\\n\"", "\"a\\r\\nGk=\"", "\"\"", "\"=\"", "\"aGl=\"", "\"aGk=x\"", "\"-_-_\"", "\"+/+/\"",
        "\"a\"", "\"====\"", "5", "null", "[104,105]", "[256]", "[1.0]", "[-1]", "[\"a\"]", "[]", "{}", "\"aGk=aGk=\"",
    ];
    let make = |dice: &mut Dice| {
        let field = |dice: &mut Dice| match dice.roll(4) {
            0 => format!("\"bytes\":{}", dice.pick(BYTES)),
            _ => format!("\"{}\":{}", dice.pick(&["int32", "int64", "float", "string", "bool"]), dice.pick(VALUES)),
        };
        format!("{{{}}}", (0..1 + dice.roll(2)).map(|_| field(dice)).collect::<Vec<_>>().join(","))
    };
    let schema = scalars();
    compare("scalars", CASES, make, |text| {
        let object = schema.decode_json(text.as_bytes()).map_err(|error| error.to_string())?.object;
        Ok(String::from_utf8_lossy(&go_json(&object.into_value())).into_owned())
    });
}
