//! Made-up expressions beside cel-go in Kubernetes' environment: the same messages, types, values, faults, estimates, costs.
//!
//! `CASES=5000 SEED=7 cargo test -p cel --test differential` runs more of them.

mod generate;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cel::cost::{Node, Range, Sizes};
use cel::plan::Budget;
use cel::types::Declared;
use cel::value::{Timestamp, json};
use cel::{Env, Type, Value};
use generate::Dice;
use serde_json::{Value as Json, json};

fn env() -> Env {
    let item = [("key", Type::String), ("count", Type::Int), ("more", Type::String)];
    let of_self = [
        ("replicas", Type::Int),
        ("name", Type::String),
        ("missing", Type::String),
        ("ratio", Type::Double),
        ("on", Type::Bool),
        ("labels", Type::map(Type::String, Type::String)),
        ("tags", Type::list(Type::String)),
        ("numbers", Type::list(Type::Int)),
        ("items", Type::list(Type::object("test.Self.items.@idx"))),
    ];
    let fields = |fields: &[(&str, Type)]| fields.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
    let objects: HashMap<_, HashMap<_, _>> =
        [("test.Self".to_owned(), fields(&of_self)), ("test.Self.items.@idx".to_owned(), fields(&item))].into();
    let variables = [
        ("self", Type::object("test.Self")),
        ("i", Type::Int),
        ("u", Type::Uint),
        ("d", Type::Double),
        ("b", Type::Bool),
        ("s", Type::String),
        ("y", Type::Bytes),
        ("li", Type::list(Type::Int)),
        ("ls", Type::list(Type::String)),
        ("m", Type::map(Type::String, Type::Int)),
        ("x", Type::Dyn),
        ("t", Type::Timestamp),
        ("r", Type::Duration),
    ];
    Env::new(variables.map(|(name, of)| (name.to_owned(), of)).into()).objects(Arc::new(Declared(objects)))
}

struct Trees {
    of_self: Json,
    any: Json,
    numbers: Json,
    texts: Json,
    map: Json,
}

fn trees() -> Trees {
    Trees {
        of_self: json!({"replicas": 3, "name": "web-1", "ratio": 0.5, "on": true, "labels": {"app": "web", "tier": "front"},
            "tags": ["a", "bb", "a"], "numbers": [3, 1, 2],
            "items": [{"key": "k1", "count": 1}, {"key": "k2", "count": 2, "more": "x"}]}),
        any: json!({"a": 1, "b": "text", "c": [1, "two", 3.5], "d": {"e": null}, "f": true}),
        numbers: json!([3, 1, 2]),
        texts: json!(["b", "a", "ccc"]),
        map: json!({"a": 1, "b": 2}),
    }
}

fn values(trees: &Trees) -> Vec<Value<'_>> {
    vec![
        json::view(&trees.of_self),
        Value::Int(5),
        Value::Uint(7),
        Value::Double(2.5),
        Value::Bool(true),
        Value::lent("hello wörld"),
        Value::Bytes((*b"abc").into()),
        json::view(&trees.numbers),
        json::view(&trees.texts),
        json::view(&trees.map),
        json::view(&trees.any),
        Value::Timestamp(Timestamp::parse("2024-02-29T12:34:56.789Z").expect("a moment").expect("in range")),
        Value::Duration(5_401_500_000_000),
    ]
}

struct Known;

impl Sizes for Known {
    fn size(&self, node: &Node<'_>) -> Option<Range> {
        let most = match &*node.path.unwrap_or_default().join(".") {
            "s" => 30,
            "ls" => 12,
            "ls.@items" => 9,
            "self.name" => 20,
            "self.labels" => 5,
            "self.labels.@values" => 63,
            "self.tags" => 8,
            "self.items" => 10,
            "li" => 50,
            "self.labels.@keys" => 11,
            _ => return None,
        };
        Some(Range { min: 0, max: most })
    }
}

fn say(env: &Env, trees: &Trees, text: &str) -> Json {
    let checked = match env.compile(text) {
        Ok(checked) => checked,
        Err(issues) => return json!({"compile": issues.to_string(), "min": 0, "max": 0, "cost": 0}),
    };
    let range = checked.estimate(&Known);
    let mut out = json!({"type": checked.output().to_string(), "min": range.min, "max": range.max, "cost": 0});
    let program = match checked.program() {
        Ok(program) => program,
        Err(error) => {
            out["program"] = error.to_string().into();
            return out;
        }
    };
    let values = values(trees);
    let (outcome, cost) = program.run(&values, Budget::default());
    out["cost"] = cost.into();
    match outcome {
        Ok(value) => out["value"] = show(&value).into(),
        Err(error) => out["error"] = error.to_string().into(),
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value}u"),
        Value::Double(value) => format!("d{:x}", value.to_bits()),
        Value::String(text) => format!("s{}", hex(text.as_bytes())),
        Value::Bytes(bytes) => format!("b{}", hex(bytes)),
        Value::Timestamp(moment) => format!("t{}.{}", moment.seconds(), moment.nanos()),
        Value::Duration(nanos) => format!("r{nanos}"),
        Value::Optional(Some(held)) => format!("some({})", show(held)),
        Value::Optional(None) => "none".to_owned(),
        Value::List(list) => format!("[{}]", list.iter().map(|item| show(&item)).collect::<Vec<_>>().join(",")),
        Value::Map(map) => {
            let mut parts: Vec<String> =
                map.entries().iter().map(|(key, value)| format!("{}:{}", show(key), show(value))).collect();
            parts.sort();
            format!("{{{}}}", parts.join(","))
        }
        Value::Type(of) => format!("type {}", of.name()),
        Value::Opaque(value) if value.type_name() == "kubernetes.Quantity" => format!("q{}", value.show()),
        Value::Opaque(value) => value.type_name().to_owned(),
    }
}

/// What differs, told apart by what it is about.
fn differences(program: &upstream::Program, texts: &[String]) -> Vec<String> {
    let input: String = texts.iter().map(|text| format!("{}\n", Json::from(&**text))).collect();
    let output = program.run(&["judge"], input);
    let (env, trees) = (env(), trees());
    let mut wrong = Vec::new();
    assert_eq!(output.lines().count(), texts.len());
    for (text, line) in texts.iter().zip(output.lines()) {
        let upstream: Json = serde_json::from_str(line).expect("JSON");
        let ours = say(&env, &trees, text);
        // Where upstream's own program is wrong, it must fail here as well, in our words.
        if upstream["error"].as_str().is_some_and(|why| why.starts_with("internal error: ")) && ours.get("error").is_some() {
            continue;
        }
        let about: Vec<&str> = ["compile", "type", "min", "max", "program", "value", "error", "cost"]
            .into_iter()
            .filter(|key| upstream.get(key).unwrap_or(&Json::Null) != ours.get(key).unwrap_or(&Json::Null))
            .collect();
        if !about.is_empty() {
            let pick = |from: &Json| about.iter().map(|key| format!("{key}={}", from[*key])).collect::<Vec<_>>().join(" ");
            wrong.push(format!("{text}\n  upstream: {}\n  ours:     {}", pick(&upstream), pick(&ours)));
        }
    }
    wrong.sort_by_key(|text| (text.len(), text.clone()));
    wrong.dedup();
    wrong
}

#[test]
fn expressions_written_down() {
    let program = upstream::Program::shared();
    let texts: Vec<String> = include_str!("expressions.txt").lines().map(str::to_owned).collect();
    let wrong = differences(&program, &texts);
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), texts.len(), wrong[..wrong.len().min(40)].join("\n"));
}

#[test]
fn expressions_made_up() {
    let program = upstream::Program::shared();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    for seed in [1, fresh] {
        let seed = number("SEED").unwrap_or(seed);
        let count = usize::try_from(number("CASES").unwrap_or(600)).expect("fits");
        let mut dice = Dice(seed);
        let texts: Vec<String> = (0..count).map(|_| generate::expression(&mut dice)).collect();
        let wrong = differences(&program, &texts);
        let found = format!("SEED={seed}: {} of {count} differ\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
        println!("differential: {count} expressions, {} differ", wrong.len());
        if seed == 1 || number("SEED").is_some() {
            assert!(wrong.is_empty(), "{found}");
        } else if !wrong.is_empty() {
            eprintln!("{found}");
        }
    }
}

#[test]
fn expressions_at_the_bounds() {
    let program = upstream::Program::shared();
    let texts = generate::extreme();
    let wrong: Vec<String> = differences(&program, &texts).iter().map(|text| text.chars().take(1000).collect()).collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}

/// Both refuse what is broken; what the reader says of it may be said otherwise.
#[test]
fn expressions_with_mistakes() {
    let program = upstream::Program::shared();
    let mut dice = Dice(1);
    let texts: Vec<String> = (0..3000)
        .map(|_| {
            let text = generate::expression(&mut dice);
            generate::hurt(&mut dice, &text)
        })
        .collect();
    let refused = |says: &str| says.contains("compile=ERROR") || says.contains("compile=\"ERROR");
    let mut wrong = Vec::new();
    let mut otherwise = 0;
    for text in differences(&program, &texts) {
        let (upstream, ours) = text.split_once("\n  ours:").expect("both");
        if upstream.contains("Syntax error") && refused(ours) {
            otherwise += 1;
        } else {
            wrong.push(text);
        }
    }
    println!("mistakes: {} of {} are told in other words", otherwise, texts.len());
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}
