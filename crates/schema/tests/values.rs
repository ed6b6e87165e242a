//! YAML and numbers in JSON beside upstream's own readers.

#[path = "../../../tests/upstream/values/judge.rs"]
mod judge;

use std::sync::Arc;

use judge::{Dice, compare};
use meta::Gvk;
use schema::{Field, Kind, Schema, Shape, Type, TypeRef, go_json, json_tree, yaml_to_json};

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

/// A struct with every place in which something can be said twice; the types of the judge.
fn nested() -> Schema {
    let field = |name: &'static str, kind: Kind| Field::new(name.into(), Shape::of(kind));
    let pointer = |name, kind| Field { pointer: true, ..field(name, kind) };
    let list = |kind| Kind::List { item: Arc::new(Shape::of(kind)), wrapped: false };
    let map = |kind| Kind::Map { key: "".into(), value: Arc::new(Shape::of(kind)) };
    // As deep as the cases go.
    let inner = |deeper: Option<Arc<Type>>| {
        let mut fields = vec![field("text", Kind::String), pointer("flag", Kind::Bool)];
        if let Some(deeper) = deeper {
            fields.push(pointer("deep", Kind::Struct(TypeRef::Shared(deeper.clone()))));
            fields.push(field("list", list(Kind::Struct(TypeRef::Shared(deeper)))));
        }
        fields.push(field("labels", map(Kind::String)));
        Arc::new(Type::new("inner".into(), false, false, fields))
    };
    let inner = inner(Some(inner(Some(inner(None)))));
    let fields = vec![
        field("text", Kind::String),
        pointer("number", Kind::Int32),
        field("struct", Kind::Struct(TypeRef::Shared(inner.clone()))),
        pointer("pointer", Kind::Struct(TypeRef::Shared(inner.clone()))),
        field("list", list(Kind::Struct(TypeRef::Shared(inner.clone())))),
        field("texts", list(Kind::String)),
        field("labels", map(Kind::String)),
        field("map", map(Kind::Struct(TypeRef::Shared(inner)))),
        field("lists", map(list(Kind::String))),
        field("any", Kind::Json),
        field("port", Kind::IntOrString),
        pointer("portAgain", Kind::IntOrString),
        field("quantity", Kind::Quantity),
        pointer("share", Kind::Quantity),
        field("bytes", Kind::Bytes),
        field("raw", Kind::Raw),
    ];
    Schema::of(Gvk::new("", "v1", "nested"), Arc::new(Type::new("nested".into(), false, false, fields)))
}

/// Fields of `inner`; what goes deeper is said once, so that no list comes a third time.
fn inner(dice: &mut Dice, depth: usize) -> String {
    let pair = |dice: &mut Dice| match dice.roll(if depth < 2 { 6 } else { 3 }) {
        0 => format!("\"text\":{}", dice.pick(&["\"a\"", "\"b\"", "\"\"", "null"])),
        1 => format!("\"flag\":{}", dice.pick(&["true", "false", "null"])),
        2 => format!("\"labels\":{}", labels(dice)),
        3 => format!("\"deep\":{}", inner(dice, depth + 1)),
        4 => "\"deep\":null".to_owned(),
        _ => format!("\"{}\":1", dice.pick(&["unknown", "Text"])),
    };
    let pairs: Vec<String> = (0..dice.roll(4)).map(|_| pair(dice)).collect();
    format!("{{{}}}", pairs.join(","))
}

fn labels(dice: &mut Dice) -> String {
    let pair = |dice: &mut Dice| format!("\"{}\":{}", dice.pick(&["a", "b", "a.b"]), dice.pick(&["\"1\"", "\"2\"", "null"]));
    match dice.roll(8) {
        0 => "null".to_owned(),
        _ => format!("{{{}}}", (0..dice.roll(4)).map(|_| pair(dice)).collect::<Vec<_>>().join(",")),
    }
}

fn nested_field(dice: &mut Dice) -> String {
    const ANY: &[&str] = &["1", "{\"a\":1,\"a\":2}", "{\"b\":{}}", "[{\"a\":1,\"a\":{}}]", "null", "\"x\""];
    let list = |dice: &mut Dice, item: &dyn Fn(&mut Dice) -> String| {
        format!("[{}]", (0..dice.roll(4)).map(|_| item(dice)).collect::<Vec<_>>().join(","))
    };
    let text = |dice: &mut Dice| dice.pick(&["\"a\"", "\"b\"", "null"]).to_owned();
    match dice.roll(16) {
        0 => format!("\"text\":{}", text(dice)),
        1 => format!("\"number\":{}", dice.pick(&["0", "1", "2", "null"])),
        2 | 3 => format!("\"struct\":{}", if dice.roll(6) == 0 { "null".to_owned() } else { inner(dice, 0) }),
        4 | 5 => format!("\"pointer\":{}", if dice.roll(6) == 0 { "null".to_owned() } else { inner(dice, 0) }),
        6 => format!("\"list\":{}", if dice.roll(6) == 0 { "null".to_owned() } else { list(dice, &|dice| inner(dice, 0)) }),
        7 => format!("\"texts\":{}", list(dice, &text)),
        8 => format!("\"labels\":{}", labels(dice)),
        9 => format!("\"map\":{{\"{}\":{},\"b\":{}}}", dice.pick(&["a", "b"]), inner(dice, 0), inner(dice, 1)),
        10 => format!("\"lists\":{{\"a\":{},\"{}\":{}}}", list(dice, &text), dice.pick(&["a", "b"]), list(dice, &text)),
        11 => format!("\"any\":{}", dice.pick(ANY)),
        12 => format!("\"{}\":{}", dice.pick(&["port", "portAgain"]), dice.pick(&["1", "\"a\"", "null"])),
        // What null leaves of a quantity that is no pointer depends upstream on how it was written before.
        13 if dice.roll(2) == 0 => format!("\"quantity\":{}", dice.pick(&["1", "\"1Gi\"", "\"1000m\"", "0.5", "2000"])),
        13 => format!("\"share\":{}", dice.pick(&["1", "\"1Gi\"", "\"1000m\"", "0.5", "2000", "null", "null"])),
        14 => format!("\"bytes\":{}", dice.pick(&["\"aGk=\"", "\"\"", "null"])),
        // What is said twice in it stays so upstream, where it is kept as it is written; a tree has it once.
        _ => format!("\"raw\":{}", dice.pick(&["{\"a\":1}", "{\"b\":{}}", "null"])),
    }
}

fn with_strict(printed: &[u8], strict: &[String]) -> String {
    format!("{} [{}]", String::from_utf8_lossy(printed), strict.join(" "))
}

#[test]
fn fields_that_are_said_twice() {
    let schema = nested();
    // Few names, so that they meet; a list at most twice: see `Walk::list`.
    let make = |dice: &mut Dice| {
        let mut fields: Vec<String> = Vec::new();
        for _ in 0..1 + dice.roll(5) {
            let field = nested_field(dice);
            let name = field.split(':').next().unwrap_or_default().to_owned();
            let again = if dice.roll(2) == 0 { fields.last().cloned() } else { None };
            let field = match again {
                Some(last) => loop {
                    let other = nested_field(dice);
                    if other.split(':').next() == last.split(':').next() {
                        break other;
                    }
                },
                None => field,
            };
            let name = field.split(':').next().map_or(name, str::to_owned);
            let times = fields.iter().filter(|other| other.starts_with(&format!("{name}:"))).count();
            if times < 2 {
                fields.push(field);
            }
        }
        format!("{{{}}}", fields.join(","))
    };
    compare("twice", CASES, make, |text| {
        let decoded = schema.decode_json(text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(with_strict(&schema.encode(&decoded.object, false).0, &decoded.strict_errors))
    });
}

#[test]
fn keys_of_trees_that_are_said_twice() {
    let make = |dice: &mut Dice| {
        let value = |dice: &mut Dice| dice.pick(&["1", "{}", "{\"a\":1,\"a\":2}", "[{\"b\":1,\"b\":[]}]", "null", "{\"c\":{\"a b\":1,\"a b\":2}}"]).to_owned();
        let pair = |dice: &mut Dice| format!("\"{}\":{}", dice.pick(&["a", "b", "a.b", "\\u0061"]), value(dice));
        format!("{{{}}}", (0..dice.roll(5)).map(|_| pair(dice)).collect::<Vec<_>>().join(","))
    };
    compare("treetwice", CASES, make, |text| {
        let (value, strict) = json_tree(text.as_bytes())?;
        Ok(with_strict(&go_json(&value), &strict))
    });
}

#[test]
fn keys_of_yaml_that_are_said_twice() {
    let make = |dice: &mut Dice| {
        fn map(dice: &mut Dice, indent: usize) -> String {
            let pad = " ".repeat(indent);
            let line = |dice: &mut Dice| {
                let key = dice.pick(&["a", "b", "'a'", "1", "yes", "\"x y\""]);
                match dice.roll(if indent > 4 { 2 } else { 4 }) {
                    0 => format!("{pad}{key}: 1\n"),
                    1 => format!("{pad}{key}: {{c: 1, d: 2, {}: 3}}\n", dice.pick(&["c", "e"])),
                    2 => format!("{pad}{key}:\n{}", map(dice, indent + 2)),
                    _ => format!("{pad}{key}:\n{pad}- {}", map(dice, indent + 2).trim_start()),
                }
            };
            (0..1 + dice.roll(3)).map(|_| line(dice)).collect()
        }
        map(dice, 0)
    };
    compare("yamltwice", CASES, make, |text| {
        let (value, strict) = yaml_to_json(text)?;
        Ok(format!("{} {}", String::from_utf8_lossy(&go_json(&value)), strict.join("\n")).replace('\n', "\\n"))
    });
}
