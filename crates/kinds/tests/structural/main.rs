//! Custom resources and their definitions beside upstream's (`tests/upstream/structural`): schemas like those that people
//! write, and made-up ones, with objects that fit and objects that do not. What is read, pruned, filled in and said is the
//! same.

mod define;
#[path = "../../../../tests/upstream/values/judge.rs"]
mod judge;
mod make;
mod rules;

use judge::{Dice, compare_with};
use kinds::Context;
use kinds::kinds::customresourcedefinition::{descriptor, embedded};
use meta::field::Errors;
use meta::{Gvk, Object};
use schema::Schema;
use serde_json::{Value, json};

const MODULE: &str = "structural";

fn custom(schema: &Value) -> Result<Schema, String> {
    // It is read as a part of a definition is.
    let props = Schema::definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps").expect("built in");
    let read = props.decode_json(schema.to_string().as_bytes()).expect("a schema").object;
    Schema::structural(Gvk::new("example.com", "v1", "Thing"), read.fields())
}

/// What an object becomes, as upstream's program prints it.
fn of_object(text: &str) -> Result<String, String> {
    let asked: Value = serde_json::from_str(text).expect("JSON");
    let refused = |why: String| json!({"refused": why, "strict": null, "read": "", "defaulted": "", "errors": null});
    let schema = custom(&asked["Schema"])?;
    let print = |object: &Object| String::from_utf8(schema.encode(object, false).0.to_vec()).expect("UTF-8");
    let answer = match schema.decode_json(asked["Object"].as_str().expect("text").as_bytes()) {
        Err(why) => refused(why.to_string()),
        Ok(mut decoded) => {
            let read = print(&decoded.object);
            schema.default(&mut decoded.object);
            let old = asked["Old"].as_str().filter(|old| !old.is_empty()).map(|old| {
                let mut old = schema.decode_json(old.as_bytes()).expect("the old one is right").object;
                schema.default(&mut old);
                old
            });
            let errors = schema.validate(&decoded.object, old.as_ref(), Errors::new(), &embedded);
            let strict = decoded.strict_errors;
            json!({"strict": strict, "read": read, "defaulted": print(&decoded.object), "errors": sorted(&errors)})
        }
    };
    Ok(same_order(answer))
}

fn sorted(errors: &[meta::field::Error]) -> Vec<String> {
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

/// In the order of the fields of upstream's answer.
fn same_order(answer: Value) -> String {
    let names = ["refused", "strict", "read", "defaulted", "errors"];
    let fields: Vec<String> =
        names.iter().filter_map(|name| Some(format!("\"{name}\":{}", go(answer.get(*name)?)))).collect();
    format!("{{{}}}", fields.join(","))
}

fn go(value: &Value) -> String {
    String::from_utf8(schema::go_json(value)).expect("UTF-8")
}

fn read(text: &Value) -> Object {
    let descriptor = descriptor();
    let mut object = descriptor.schema.decode_json(text.to_string().as_bytes()).expect("a definition").object;
    descriptor.rules.default(&mut object);
    object
}

fn of_definition(text: &str) -> Result<String, String> {
    let rules = descriptor().rules;
    let mut object = read(&serde_json::from_str(text).expect("JSON"));
    rules.prepare_create(&mut object, &Context::default());
    let mut errors = kinds::validate::own_metadata(&object, false, &|name, prefix| rules.validate_name(name, prefix));
    errors.extend(rules.validate(&object));
    Ok(verdict(&errors, rules.warnings(&object, None)))
}

fn of_change(text: &str) -> Result<String, String> {
    let rules = descriptor().rules;
    let both: Value = serde_json::from_str(text).expect("JSON");
    let (old, mut new) = (read(&both["Old"]), read(&both["New"]));
    rules.prepare_update(&mut new, &old, &Context::default());
    Ok(verdict(&rules.validate_update(&new, &old), rules.warnings(&new, Some(&old))))
}

fn verdict(errors: &[meta::field::Error], mut warnings: Vec<String>) -> String {
    warnings.sort();
    let mut texts: Vec<String> = sorted(errors).iter().map(|text| nameless(text)).collect();
    texts.sort();
    go(&json!({"errors": texts, "warnings": warnings}))
}

/// The type of `self` has another name each time; of rules that cost the same, upstream names any.
fn nameless(text: &str) -> String {
    if let Some((_, why)) = text.split_once(": Forbidden: contributed to estimated rule cost total") {
        return format!("one: Forbidden: contributed to estimated rule cost total{why}");
    }
    let mut parts = text.split("selfType");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + "selfType" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// What rules have against an object, or a change of one.
fn of_rules(text: &str) -> Result<String, String> {
    let asked: Value = serde_json::from_str(text).expect("JSON");
    let mut definition = read(&define::plain(asked["Schema"].clone()));
    definition.set("status.acceptedNames", definition.at("spec.names").cloned().expect("names"));
    definition.at_mut("spec.versions").expect("a list")[0]["subresources"] = json!({"status": {}});
    let all = kinds::custom::descriptors(&definition)?;
    let kind = &all[0];
    let object = |name: &str| {
        let text = asked[name].as_str().filter(|text| !text.is_empty())?;
        let mut object = kind.schema.decode_json(text.as_bytes()).expect("an object").object;
        kind.schema.default(&mut object);
        Some(object)
    };
    let new = object("Object").expect("one");
    let (errors, warnings) = match object("Old") {
        None => (kind.rules.validate(&new), Vec::new()),
        Some(old) => kind.rules.judge(if asked["Status"] == true { "status" } else { "" }, &new, &old),
    };
    Ok(verdict(&errors, warnings))
}

#[test]
fn objects_are_read_and_judged_as_upstream_does_it() {
    let shapes = make::shapes();
    assert!(shapes.len() >= 20);
    let make = |dice: &mut Dice| {
        let shape = dice.roll(2 * shapes.len());
        let made = make::root(dice);
        make::question(dice, shapes.get(shape).unwrap_or(&made))
    };
    compare_with(MODULE, "object", 4000, make, of_object);
}

#[test]
fn definitions_are_held_to_what_upstream_demands() {
    compare_with(MODULE, "definition", 2500, |dice| define::definition(dice).to_string(), of_definition);
}

#[test]
fn changes_of_definitions_are_held_to_what_upstream_demands() {
    compare_with(MODULE, "change", 1000, |dice| define::change(dice).to_string(), of_change);
}

/// Whether all values in an object are of their types.
fn is_typed(schema: &Schema, given: &Value) -> bool {
    let mut object = schema.decode_json(given.to_string().as_bytes()).expect("an object").object;
    schema.default(&mut object);
    let errors = schema.validate(&object, None, Errors::new(), &embedded);
    is_even(given) && !errors.iter().any(|error| error.sort == meta::field::Sort::TypeInvalid)
}

/// What the server makes of a change of the status.
fn with_status_of(old: &Value, new: &Value) -> Value {
    let mut made = old.clone();
    if let (Some(made), Some(status)) = (made.as_object_mut(), new.get("status")) {
        made.insert("status".to_owned(), status.clone());
    }
    made
}

/// Whether whole numbers are written as such: of integers that are not, schemas say nothing, and expressions do.
fn is_even(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(is_even),
        Value::Array(list) => list.iter().all(is_even),
        Value::Number(number) => !number.is_f64() || ![1.0, -2.0, 1e7, 1e300].iter().any(|odd| number.as_f64() == Some(*odd)),
        _ => true,
    }
}

fn ruled(dice: &mut Dice, shapes: &[Value]) -> Value {
    let shape = dice.roll(2 * shapes.len());
    let form = |schema: &Value| schema::structural::validate_form(&meta::field::Path::default(), schema.as_object().expect("a map"));
    let made = std::iter::repeat_with(|| make::root(dice)).find(|schema| form(schema).is_empty()).expect("most are");
    let mut schema = shapes.get(shape).unwrap_or(&made).clone();
    rules::decorate(dice, &mut schema);
    schema
}

#[test]
fn rules_are_held_against_objects_as_upstream_does_it() {
    let shapes = make::shapes();
    let make = |dice: &mut Dice| {
        let schema = ruled(dice, &shapes);
        // Where a value is none of its type, upstream finds out in the order of Go's maps.
        let read = custom(&schema).expect("structural");
        let typed = std::iter::repeat_with(|| make::stored(dice, &schema)).take(20).find(|old| is_typed(&read, old));
        let old = typed.clone().unwrap_or_else(|| make::stored(dice, &schema));
        let new = std::iter::repeat_with(|| make::changed(dice, &old, &schema)).take(20).find(|new| is_even(new)).unwrap_or_else(|| old.clone());
        let status = dice.roll(4) == 0;
        let new = if status { with_status_of(&old, &new) } else { new };
        let old = if typed.is_none() || dice.roll(3) == 0 { String::new() } else { old.to_string() };
        json!({"Schema": schema, "Object": new.to_string(), "Old": old, "Status": status}).to_string()
    };
    compare_with(MODULE, "rules", 2000, make, of_rules);
}

#[test]
fn rules_of_definitions_are_held_to_what_upstream_demands() {
    let shapes = make::shapes();
    let make = |dice: &mut Dice| {
        let mut made = define::plain(ruled(dice, &shapes));
        define::written(&mut made);
        made.to_string()
    };
    compare_with(MODULE, "definition", 1000, make, of_definition);
}

#[test]
fn rules_that_were_there_may_stay() {
    let shapes = make::shapes();
    compare_with(MODULE, "change", 300, |dice| {
        let schema = ruled(dice, &shapes);
        define::change_of(dice, schema).to_string()
    }, of_change);
}

/// What is published of a kind, of whose definition the schema is structural.
fn of_publishing(text: &str) -> Result<String, String> {
    let mut definition = read(&serde_json::from_str(text).expect("JSON"));
    definition.set("status.acceptedNames", definition.at("spec.names").cloned().expect("names"));
    let schema = kinds::custom::descriptors(&definition)?.swap_remove(0).schema;
    let list = definition.str_at("spec.names.listKind");
    let verbs = ["create", "list", "get"].map(str::to_owned).to_vec();
    let resource = "things".to_owned();
    let served = [schema::ServedResource { schema, resource, namespaced: true, verbs, gives_deleted: false, subresources: Vec::new() }];
    let three: Value = serde_json::from_slice(&schema::openapi_v3("example.com/v1", &served)).expect("JSON");
    let two: Value = serde_json::from_slice(&schema::openapi_v2(&served)).expect("JSON");
    let of = |kind: &str| format!("com.example.v1.{kind}");
    let made = json!({
        "v3 kind": three["components"]["schemas"][of("Thing")], "v3 list": three["components"]["schemas"][of(list)],
        "v2 kind": two["definitions"][of("Thing")], "v2 list": two["definitions"][of(list)],
    });
    Ok(go(&made))
}

#[test]
fn what_is_published_of_a_kind_is_what_upstream_publishes() {
    let shapes = make::shapes();
    let make = |dice: &mut Dice| {
        let shape = dice.roll(2 * shapes.len());
        let form = |schema: &Value| schema::structural::validate_form(&meta::field::Path::default(), schema.as_object().expect("a map"));
        let made = std::iter::repeat_with(|| make::root(dice)).find(|schema| form(schema).is_empty()).expect("most are");
        let mut schema = shapes.get(shape).unwrap_or(&made).clone();
        if dice.roll(3) == 0 {
            rules::decorate(dice, &mut schema);
            // Metadata has no rules of its own.
            schema.pointer_mut("/properties/metadata").into_iter().for_each(|own| *own = json!({"type": "object"}));
        }
        let mut made = define::plain(schema);
        if dice.roll(2) == 0 {
            made["spec"]["names"]["listKind"] = json!(dice.pick(&["Things", "ListOfThings"]));
        }
        if dice.roll(2) == 0 {
            made["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".spec.a"}, {"jsonPath": ".spec.b.c"}]);
        }
        made.to_string()
    };
    compare_with(MODULE, "publish", 150, make, of_publishing);
}

#[test]
fn definitions_that_people_write_are_let_in() {
    for schema in make::shapes() {
        let mut object = read(&define::plain(schema.clone()));
        let rules = descriptor().rules;
        rules.prepare_create(&mut object, &Context::default());
        assert_eq!(sorted(&rules.validate(&object)), [""; 0], "{schema}");
    }
}
