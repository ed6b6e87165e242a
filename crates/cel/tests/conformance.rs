//! The language's own conformance files. What Kubernetes' dialect has not is listed with the reason, and a listed case that
//! passes is an error.

mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use cel::plan::Budget;
use cel::value::{Map, Pairs, Timestamp};
use cel::{Env, Type, Value};
use serde_json::Value as Json;

const EXCLUDED: &str = include_str!("conformance-excluded.txt");

#[test]
fn the_language() {
    let program = upstream::Program::shared();
    let folder = upstream::folder("cel.dev/expr").join("tests/simple/testdata");
    let printed = program.run(&["conformance", folder.to_str().expect("text")], String::new());
    let excluded: BTreeMap<&str, &str> = EXCLUDED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(" # ").expect("a case and a reason"))
        .collect();
    let (mut passed, mut left_out, mut wrong) = (0, 0, Vec::new());
    let mut used = BTreeMap::new();
    for line in printed.lines() {
        let (file, text) = line.split_once(' ').expect("a name and tests");
        let tests: Json = serde_json::from_str(text).expect("JSON");
        for (section, test) in cases(&tests) {
            let name = format!("{file}/{section}/{}", test["name"].as_str().unwrap_or_default());
            let listed = listed(&name, &excluded);
            let outcome = std::panic::catch_unwind(|| run(test)).unwrap_or_else(|_| Err("panics".to_owned()));
            match (listed, outcome) {
                (None, Ok(())) => passed += 1,
                (None, Err(why)) => wrong.push(format!("{name}: {}: {why}", test["expr"])),
                (Some(entry), Err(_)) => {
                    left_out += 1;
                    used.insert(entry, ());
                }
                (Some(_), Ok(())) => wrong.push(format!("{name} is left out, but passes")),
            }
        }
    }
    println!("conformance: {passed} passed, {left_out} left out");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    let unused: Vec<_> = excluded.keys().filter(|entry| !used.contains_key(*entry)).collect();
    assert!(unused.is_empty(), "no case has these names: {unused:?}");
    assert!(passed > 1000, "{passed} cases are too few to be all");
}

/// The entry of the list that leaves a case out: its name, its section or its file.
fn listed<'e>(name: &str, excluded: &BTreeMap<&'e str, &str>) -> Option<&'e str> {
    let parts: Vec<&str> = name.splitn(3, '/').collect();
    let all = [parts[0].to_owned(), parts[..2].join("/"), name.to_owned()];
    all.iter().find_map(|name| excluded.get_key_value(&**name).map(|(entry, _)| *entry))
}

fn cases(tests: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let sections = tests["section"].as_array().into_iter().flatten();
    sections.flat_map(|section| {
        let name = section["name"].as_str().unwrap_or_default();
        section["test"].as_array().into_iter().flatten().map(move |test| (name, test))
    })
}

fn run(test: &Json) -> Result<(), String> {
    let mut variables = Vec::new();
    for declared in test["typeEnv"].as_array().into_iter().flatten() {
        if declared.get("function").is_some() {
            return Err("declares a function".to_owned());
        }
        variables.push((declared["name"].as_str().unwrap_or_default().to_owned(), type_of(&declared["ident"]["type"])?));
    }
    let bindings = test["bindings"].as_object();
    for name in bindings.into_iter().flat_map(|all| all.keys()) {
        if !variables.iter().any(|(known, _)| known == name) {
            variables.push((name.clone(), Type::Dyn));
        }
    }
    let env = Env::new(variables.clone()).mixed_literals().container(test["container"].as_str().unwrap_or_default());
    let checked = env.compile(test["expr"].as_str().unwrap_or_default()).map_err(|issues| issues.to_string())?;
    if let Some(expected) = test["typedResult"].get("deducedType") {
        let expected = type_of(expected)?;
        if *checked.output() != expected {
            return Err(format!("type {} instead of {expected}", checked.output()));
        }
    }
    if test["checkOnly"] == true {
        return Ok(());
    }
    let fails = test.get("evalError").is_some();
    let program = match checked.program() {
        Ok(program) => program,
        Err(_) if fails => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let mut values = Vec::new();
    for (name, _) in &variables {
        let bound = bindings.and_then(|all| all.get(name)).map_or(Ok(Value::Null), |bound| value_of(&bound["value"]))?;
        values.push(bound);
    }
    let (outcome, _) = program.run(&values, Budget { limit: u64::MAX, interrupt: None });
    match outcome {
        Err(_) if fails => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(value) if fails => Err(format!("gives {}", value.shown())),
        Ok(value) => {
            let expected = match (test.get("value"), test["typedResult"].get("result")) {
                (Some(expected), _) | (None, Some(expected)) => value_of(expected)?,
                _ => Value::Bool(true),
            };
            if same(&value, &expected) { Ok(()) } else { Err(format!("gives {} instead of {}", value.shown(), expected.shown())) }
        }
    }
}

/// Equal, and of one type.
fn same<'a>(one: &Value<'a>, other: &Value<'a>) -> bool {
    match (one, other) {
        // The JSON reader is right to the last but one digit.
        (Value::Double(a), Value::Double(b)) => a == b || (a - b).abs() <= a.abs() * 1e-15 || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(&a, &b)),
        (Value::Map(a), Value::Map(b)) => {
            let has = |(key, value): &(Value<'a>, Value<'a>)| {
                b.entries().iter().any(|(other, that)| same(key, other) && same(value, that))
            };
            a.len() == b.len() && a.entries().iter().all(has)
        }
        (one, other) => {
            std::mem::discriminant(one) == std::mem::discriminant(other) && one.shown() == other.shown()
        }
    }
}

fn type_of(of: &Json) -> Result<Type, String> {
    let (kind, inner) = of.as_object().and_then(|of| of.iter().next()).ok_or("no type")?;
    Ok(match (&**kind, inner.as_str()) {
        ("primitive", Some("BOOL")) => Type::Bool,
        ("primitive", Some("INT64")) => Type::Int,
        ("primitive", Some("UINT64")) => Type::Uint,
        ("primitive", Some("DOUBLE")) => Type::Double,
        ("primitive", Some("STRING")) => Type::String,
        ("primitive", Some("BYTES")) => Type::Bytes,
        ("wellKnown", Some("DURATION")) => Type::Duration,
        ("wellKnown", Some("TIMESTAMP")) => Type::Timestamp,
        ("dyn", _) => Type::Dyn,
        ("null", _) => Type::Null,
        ("type", _) => Type::Type(type_of(inner).ok().map(Arc::new)),
        ("wrapper", Some(name)) => Type::Nullable(Arc::new(type_of(&serde_json::json!({"primitive": name}))?)),
        ("listType", _) => Type::list(type_of(&inner["elemType"])?),
        ("mapType", _) => Type::map(type_of(&inner["keyType"])?, type_of(&inner["valueType"])?),
        ("messageType", Some("google.protobuf.Duration")) => Type::Duration,
        ("messageType", Some("google.protobuf.Timestamp")) => Type::Timestamp,
        ("abstractType", _) if inner["name"] == "optional_type" => Type::optional(type_of(&inner["parameterTypes"][0])?),
        _ => return Err(format!("type {of}")),
    })
}

fn value_of<'a>(value: &Json) -> Result<Value<'a>, String> {
    let (kind, inner) = value.as_object().and_then(|value| value.iter().next()).ok_or("no value")?;
    let text = inner.as_str().unwrap_or_default();
    let unknown = || format!("value {value}");
    Ok(match &**kind {
        "nullValue" => Value::Null,
        "boolValue" => Value::Bool(inner.as_bool().ok_or_else(unknown)?),
        "int64Value" => Value::Int(text.parse().map_err(|_| unknown())?),
        "uint64Value" => Value::Uint(text.parse().map_err(|_| unknown())?),
        "doubleValue" => Value::Double(match (inner.as_f64(), text) {
            (Some(number), _) => number,
            (_, "Infinity") => f64::INFINITY,
            (_, "-Infinity") => f64::NEG_INFINITY,
            (_, "NaN") => f64::NAN,
            _ => return Err(unknown()),
        }),
        "stringValue" => Value::text(text),
        "bytesValue" => Value::Bytes(base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| unknown())?.into()),
        "listValue" => Value::list(inner["values"].as_array().into_iter().flatten().map(value_of).collect::<Result<_, _>>()?),
        "mapValue" => {
            let mut pairs = Pairs::default();
            for entry in inner["entries"].as_array().into_iter().flatten() {
                pairs.insert(value_of(&entry["key"])?, value_of(&entry["value"])?);
            }
            Value::Map(Map::Own(Arc::new(pairs)))
        }
        "typeValue" => Value::Type(Arc::new(named_type(text).ok_or_else(unknown)?)),
        "objectValue" => message(inner)?,
        _ => return Err(unknown()),
    })
}

fn named_type(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "type" => Type::Type(None),
        "google.protobuf.Timestamp" => Type::Timestamp,
        "google.protobuf.Duration" => Type::Duration,
        "optional_type" => Type::optional(Type::Dyn),
        _ => return None,
    })
}

fn message<'a>(inner: &Json) -> Result<Value<'a>, String> {
    let name = inner["@type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let text = inner["value"].as_str().unwrap_or_default();
    match name {
        "google.protobuf.Duration" => meta::duration::parse(text).map(Value::Duration),
        "google.protobuf.Timestamp" => match Timestamp::parse(text) {
            Some(Ok(moment)) => Ok(Value::Timestamp(moment)),
            _ => Err(format!("moment {text}")),
        },
        _ => Err(format!("message {name}")),
    }
}
