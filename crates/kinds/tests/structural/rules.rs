//! Rules in CEL by dice, for schemas that are there: right ones nearly always, that hold now and then.

use cel::escape::escape;
use serde_json::{Value, json};

use crate::judge::Dice;

/// Puts rules into a schema, here and there.
pub fn decorate(dice: &mut Dice, schema: &mut Value) {
    place(dice, schema, 0, true);
}

fn place(dice: &mut Dice, schema: &mut Value, depth: usize, correlated: bool) {
    let correlates = correlated && (schema["type"] != "array" || schema["x-kubernetes-list-type"] == "map");
    for name in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(name).filter(|below| below.is_object()) {
            place(dice, below, depth + 1, correlates);
        }
    }
    for (_, below) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        place(dice, below, depth + 1, correlates);
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true && schema["type"].is_null() && dice.roll(30) > 0 {
        return;
    }
    if dice.roll(3) == 0 {
        let rules: Vec<Value> = (0..1 + dice.roll(3)).map(|_| rule(dice, schema, correlated)).collect();
        schema["x-kubernetes-validations"] = json!(rules);
    }
}

fn rule(dice: &mut Dice, schema: &Value, correlated: bool) -> Value {
    let mut expression = holds(dice, schema, "self", 0);
    let changes = if correlated { dice.roll(3) == 0 } else { dice.roll(40) == 0 };
    // Upstream says of a wrong old value that may be there what its library says.
    let optional = changes && dice.roll(3) == 0 && schema["x-kubernetes-int-or-string"] != true;
    if changes {
        let old = if optional { "oldSelf.value()" } else { "oldSelf" };
        let before = holds(dice, schema, old, 0);
        // Upstream compares objects that may be there field by field, in the order of Go's maps.
        let least = if optional && (schema["type"] == "object" || schema["type"] == "array") { 3 } else { 0 };
        expression = match least + dice.roll(5 - least) {
            0 => format!("self == {old}"),
            1 => format!("{old} == self || {expression}"),
            2 => format!("self != {old}"),
            3 => format!("({before}) ? ({expression}) : true"),
            _ => format!("{expression} && {before}"),
        };
        if optional {
            expression = [format!("!oldSelf.hasValue() || ({expression})"), format!("oldSelf.hasValue() ? ({expression}) : true")][dice.roll(2)].clone();
        }
    }
    let mut made = json!({"rule": expression});
    if optional || dice.roll(60) == 0 {
        made["optionalOldSelf"] = json!(dice.roll(12) > 0);
    }
    if dice.roll(4) == 0 {
        made["message"] = json!(dice.pick(&["must be right", " spaces ", "x", "ä<b>"]));
    }
    if dice.roll(5) == 0 {
        made["messageExpression"] = json!(message(dice, schema));
    }
    if dice.roll(5) == 0 {
        made["reason"] = json!(dice.pick(&["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]));
    }
    let fields: Vec<&String> = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    if !fields.is_empty() && dice.roll(4) == 0 {
        let name = fields[dice.roll(fields.len())];
        made["fieldPath"] = json!(if dice.roll(2) == 0 { format!(".{name}") } else { format!("['{name}']") });
    }
    if dice.roll(25) == 0 {
        hurt(dice, &mut made);
    }
    made
}

fn hurt(dice: &mut Dice, rule: &mut Value) {
    match dice.roll(9) {
        0 => rule["rule"] = json!(dice.pick(&["self.nothing", "self +", "1", "self == 5", "true || unknown(self)", " ", "self.zz.all(x, x)"])),
        1 => rule["message"] = json!(dice.pick(&[" ", "a\nb"])),
        2 => rule["messageExpression"] = json!(dice.pick(&[" ", "1", "self.nothing", "'a' +", "'' + ''", "'a\\nb'"])),
        3 => rule["reason"] = json!("Odd"),
        4 => rule["fieldPath"] = json!(dice.pick(&[".zz", "a", "..", ".a[0]", "['a", " ", ".a\n"])),
        5 => rule["optionalOldSelf"] = json!(dice.roll(2) == 0),
        6 => rule["rule"] = json!(format!("{}\n && true", rule["rule"].as_str().unwrap_or_default())),
        7 => rule["rule"] = json!("['a', 'b', 'c'].all(a, ['a', 'b', 'c'].all(b, string(self) != a + b))"),
        _ => rule["messageExpression"] = json!("string(oldSelf == self)"),
    }
}

/// An expression that gives a text.
fn message(dice: &mut Dice, schema: &Value) -> String {
    let of = match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), None) => "self".to_owned(),
        (Some("string" | "integer" | "number" | "boolean"), _) => "string(self)".to_owned(),
        (Some("array"), _) => "string(self.size())".to_owned(),
        _ => "''".to_owned(),
    };
    let condition = holds(dice, schema, "self", 1);
    [format!("'is ' + {of}"), of.clone(), format!("({condition}) ? 'yes' : 'no'"), format!("'  %s  '.format([{of}])")][dice.roll(4)].clone()
}

/// A question about a value.
fn holds(dice: &mut Dice, schema: &Value, it: &str, depth: usize) -> String {
    let kind = if schema["x-kubernetes-int-or-string"] == true { "either" } else { schema["type"].as_str().unwrap_or("") };
    if dice.roll(150) == 0 {
        return format!("{it} == 'odd'");
    }
    match kind {
        "string" => text(dice, schema, it),
        "integer" => match dice.roll(6) {
            0 => format!("{it} > {}", dice.roll(5)),
            1 => format!("{it} % 2 == 0"),
            2 => format!("{it} in [1, 2, 3, 97]"),
            3 => format!("10 / {it} > 1"),
            4 => format!("{it} * 9223372036854775807 > 0"),
            _ => format!("double({it}) < 4.5"),
        },
        "number" => [format!("{it} >= 0.5"), format!("{it} == 2.0"), format!("int({it}) < 3"), format!("{it} in [0.5, 3.0]")][dice.roll(4)].clone(),
        "boolean" => [it.to_owned(), format!("!{it}"), format!("{it} == true")][dice.roll(3)].clone(),
        "either" => match dice.roll(4) {
            0 => format!("(type({it}) == int ? {it} > 3 : {it} != 'a')"),
            1 => format!("{it} > 2"),
            2 => format!("{it} == 'abc' || {it} == 3"),
            _ => format!("string({it}).size() < 2"),
        },
        "array" => list(dice, schema, it, depth),
        "object" if schema["additionalProperties"].is_object() => map(dice, schema, it, depth),
        "object" => object(dice, schema, it, depth),
        _ => "true".to_owned(),
    }
}

fn text(dice: &mut Dice, schema: &Value, it: &str) -> String {
    match schema["format"].as_str() {
        Some("date" | "date-time") => {
            [format!("{it} > timestamp('2026-01-01T00:00:00Z')"), format!("{it}.getFullYear() == 2026"), format!("string({it}) == '2026-12-01T00:00:00Z'")][dice.roll(3)].clone()
        }
        Some("duration") => [format!("{it} < duration('2h')"), format!("{it}.getMinutes() > 3"), format!("string({it}) != ''")][dice.roll(3)].clone(),
        Some("byte") => [format!("{it}.size() < 3"), format!("{it} == b'abc'"), format!("string({it}) == 'abc'")][dice.roll(3)].clone(),
        _ => match dice.roll(8) {
            0 => format!("{it} == 'a'"),
            1 => format!("{it}.size() > {}", dice.roll(4)),
            2 => format!("{it}.startsWith('a') || {it} == ''"),
            3 => format!("{it}.matches('^[a-c]+$')"),
            4 => format!("{it} in ['a', 'b', 'zürich<&>']"),
            5 => format!("!({it}.contains('b'))"),
            6 => format!("isIP({it}) || isURL({it})"),
            _ => format!("int({it}) > 5"),
        },
    }
}

fn list(dice: &mut Dice, schema: &Value, it: &str, depth: usize) -> String {
    let name = ["x", "y", "z", "w"][depth.min(3)];
    let inner = if depth > 3 { "true".to_owned() } else { holds(dice, &schema["items"], name, depth + 1) };
    let simple = matches!(schema["items"]["type"].as_str(), Some("string" | "integer" | "boolean")) && schema["items"]["format"].is_null();
    match dice.roll(13) {
        10 if simple => format!("{it} == {it}.reverse()"),
        11 if simple => format!("{it}.reverse() == {it}"),
        0 => format!("{it}.size() < {}", 1 + dice.roll(4)),
        1 => format!("{it}.exists({name}, {inner})"),
        2 => format!("{it}.exists_one({name}, {inner})"),
        3 => format!("{it}.filter({name}, {inner}).size() == {}", dice.roll(3)),
        4 => format!("{it}.size() == 0 || {}", holds(dice, &schema["items"], &format!("{it}[0]"), depth + 1)),
        5 => format!("{it}.all(i, {name}, i >= 0 && {inner})"),
        6 if simple => format!("{it} + {it} == {it}"),
        7 if simple => format!("{it} == {it}.filter({name}, {inner})"),
        8 if simple => format!("{it}.filter({name}, {inner}) == {it}"),
        9 if simple => format!("({it} + {it}.filter({name}, {inner})).size() < 4"),
        _ => format!("{it}.all({name}, {inner})"),
    }
}

fn map(dice: &mut Dice, schema: &Value, it: &str, depth: usize) -> String {
    let name = ["k", "l", "m", "n"][depth.min(3)];
    let inner = if depth > 3 { "true".to_owned() } else { holds(dice, &schema["additionalProperties"], &format!("{it}[{name}]"), depth + 1) };
    match dice.roll(6) {
        0 => format!("{it}.size() < {}", 1 + dice.roll(3)),
        1 => format!("'a' in {it}"),
        2 => format!("has({it}.size) || {it}.exists({name}, {name} > 'b')"),
        3 => format!("{it}['a'] == {it}['b']"),
        4 => format!("{it} == {it}"),
        _ => format!("{it}.all({name}, {name} == 'b' || {inner})"),
    }
}

fn object(dice: &mut Dice, schema: &Value, it: &str, depth: usize) -> String {
    let fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    if fields.is_empty() || dice.roll(25) == 0 {
        return format!("{it} == {it}");
    }
    if schema["x-kubernetes-embedded-resource"] == true && dice.roll(3) > 0 {
        return [format!("{it}.kind == 'Pod'"), format!("has({it}.metadata.name)"), format!("{it}.apiVersion.size() > 2")][dice.roll(3)].clone();
    }
    if depth == 0 && dice.roll(12) == 0 {
        return [format!("{it}.metadata.name == 'a'"), format!("{it}.kind == 'Thing'"), format!("!has({it}.metadata.generateName)")][dice.roll(3)].clone();
    }
    let (name, below) = fields[dice.roll(fields.len())];
    let escaped = escape(name).unwrap_or_else(|| "zz".to_owned());
    let inner = if depth > 3 { "true".to_owned() } else { holds(dice, below, &format!("{it}.{escaped}"), depth + 1) };
    match dice.roll(6) {
        0 => inner,
        1 => format!("has({it}.{escaped}) && {inner}"),
        2 => format!("has({it}.{escaped})"),
        3 => format!("{it}.{escaped} == {it}.{escaped}"),
        4 => format!("({it}.?{escaped}.hasValue() ? ({inner}) : true)"),
        _ => format!("!has({it}.{escaped}) || {inner}"),
    }
}
