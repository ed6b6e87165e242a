//! What callers give to a run: variables that are computed, an authorizer, a limit, an interrupt, types of their own.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cel::authorizer::{Authorizer, Decision, Request, authorizer, resource};
use cel::plan::{Budget, Variables};
use cel::types::Declared;
use cel::value::{Entries, Items, List, Map, Outcome, Str, json};
use cel::{Env, Error, Program, Type, Value};

fn compiled(env: &Env, text: &str) -> Program {
    env.compile(text).unwrap_or_else(|issues| panic!("{issues}")).program().expect("a program")
}

fn env(variables: &[(&str, Type)]) -> Env {
    Env::new(variables.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect())
}

fn run(env: &Env, text: &str, values: &[Value<'static>]) -> Result<String, String> {
    let program = compiled(env, text);
    let values: Vec<Value<'_>> = values.iter().map(|value| match value {
        Value::Opaque(value) => Value::Opaque(value.clone()),
        Value::Int(value) => Value::Int(*value),
        _ => Value::Null,
    }).collect();
    let (outcome, _) = program.run(&values, Budget::default());
    outcome.map(|value| value.shown()).map_err(|error| error.to_string())
}

#[derive(Debug)]
struct Rules;

impl Authorizer for Rules {
    fn decide(&self, request: &Request) -> Decision {
        let allowed = match &request.path {
            Some(path) => path == "/healthz" && request.verb == "get",
            None => request.group == "apps" && request.resource == "deployments" && request.verb == "create",
        };
        let account = request.service_account.as_ref().map(|(namespace, name)| format!("{namespace}/{name}"));
        let error = (request.labels == "x,").then(|| "no selector".to_owned());
        let rest = [&*request.namespace, &request.name, &request.subresource, &request.fields];
        Decision { allowed, reason: account.unwrap_or_else(|| rest.join("|")), error }
    }
}

#[test]
fn an_authorizer_is_asked() {
    let of = |name: &str| Type::object(&format!("kubernetes.authorization.{name}"));
    let env = env(&[("authorizer", of("Authorizer")), ("authorizer.requestResource", of("ResourceCheck"))]);
    let rules: Arc<dyn Authorizer> = Arc::new(Rules);
    let request = Request { group: "apps".into(), resource: "deployments".into(), namespace: "shop".into(), ..Request::default() };
    let values = [authorizer(rules.clone()), resource(rules, request)];
    let says = |text: &str| run(&env, text, &values).unwrap_or_else(|fault| fault);
    assert_eq!(says("authorizer.path('/healthz').check('get').allowed()"), "true");
    assert_eq!(says("authorizer.path('/metrics').check('get').allowed()"), "false");
    assert_eq!(says("authorizer.path(' ').check('get').allowed()"), "path must not be empty");
    assert_eq!(says("authorizer.group('apps').resource('deployments').check('create').allowed()"), "true");
    assert_eq!(says("authorizer.group('').resource('').check('create').allowed()"), "resource must not be empty");
    let long = "authorizer.group('').resource('pods').subresource('exec').namespace('a').name('b').fieldSelector('c=d').check('get').reason()";
    assert_eq!(says(long), "a|b|exec|c=d");
    assert_eq!(says("authorizer.requestResource.check('create').reason()"), "shop|||");
    assert_eq!(says("authorizer.serviceAccount('ns', 'robot').path('/').check('get').reason()"), "ns/robot");
    assert_eq!(says("authorizer.serviceAccount('ns', 'A').path('/').check('get').reason()"), "Invalid service account name");
    let selector = "authorizer.group('').resource('pods').labelSelector('x,').check('list').error()";
    assert_eq!(says(selector), "no selector");
    // A third question is beyond the limit.
    let question = "authorizer.path('/healthz').check('get').allowed()";
    assert_eq!(says(&format!("{question} && {question}")), "true");
    let third = says(&format!("{question} && {question} && {question}"));
    assert_eq!(third, "operation cancelled: actual cost limit exceeded");
}

#[test]
fn the_limit_and_the_interrupt_end_a_run() {
    let env = env(&[]);
    let program = compiled(&env, "lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))");
    let (outcome, cost) = program.run(&[], Budget::default());
    assert_eq!(outcome.err(), Some(Error::CostLimit));
    assert!((1_000_001..1_001_100).contains(&cost), "{cost}");
    // No logic absorbs it.
    let program = compiled(&env, "true || lists.range(1000).all(x, x >= 0) || false");
    assert!(program.run(&[], Budget { limit: 10, interrupt: None }).0.is_ok());
    let program = compiled(&env, "lists.range(1000).all(x, x >= 0) || true");
    assert_eq!(program.run(&[], Budget { limit: 10, interrupt: None }).0.err(), Some(Error::CostLimit));
    let stop = AtomicBool::new(true);
    let budget = Budget { limit: u64::MAX, interrupt: Some(&stop) };
    assert_eq!(program.run(&[], budget).0.err(), Some(Error::Interrupted));
}

/// Variables that count how often they are asked for.
struct Counting(Cell<usize>);

impl<'a> Variables<'a> for Counting {
    fn value(&self, place: usize) -> Outcome<'a> {
        self.0.set(self.0.get() + 1);
        if place == 0 { Ok(Value::Int(7)) } else { Err(Error::made("not computed")) }
    }
}

#[test]
fn variables_are_computed_when_they_are_asked_for() {
    let env = env(&[("cheap", Type::Int), ("dear", Type::Int)]);
    let counting = Counting(Cell::new(0));
    let program = compiled(&env, "cheap == 7 || dear == 1");
    assert!(matches!(program.run(&counting, Budget::default()), (Ok(Value::Bool(true)), 2)));
    assert_eq!(counting.0.get(), 1);
    let program = compiled(&env, "dear == 1 || cheap == 8");
    assert_eq!(program.run(&counting, Budget::default()).0.err(), Some(Error::made("not computed")));
    let checked = env.compile("cheap == 7").expect("compiles");
    assert!(checked.uses("cheap") && !checked.uses("dear"));
}

/// A list in which order does not count, and an object with one field, as schemas have them.
#[derive(Debug)]
struct Set<'a>(&'a [serde_json::Value]);

impl<'a> Items<'a> for Set<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn get(&self, index: usize) -> Option<Outcome<'a>> {
        let view = |value: &'a serde_json::Value| if value.is_null() { Err(Error::made("no value")) } else { Ok(json::view(value)) };
        self.0.get(index).map(view)
    }
    fn equals(&self, other: &Value<'a>) -> Option<Result<bool, Error>> {
        let Value::List(other) = other else { return Some(Err(Error::made("no list"))) };
        let has = |value: &Value<'a>| self.0.iter().any(|own| json::view(own).equals(value) == Ok(true));
        Some(Ok(self.len() == other.len() && other.iter().all(|value| has(&value))))
    }
    fn plus(&self, other: &List<'a>) -> Option<Outcome<'a>> {
        let mut all: Vec<Value<'a>> = self.0.iter().map(json::view).collect();
        for value in other.iter() {
            if !all.iter().any(|own| own.equals(&value) == Ok(true)) {
                all.push(value);
            }
        }
        Some(Ok(Value::list(all)))
    }
}

#[derive(Debug)]
struct Object<'a>(&'a [serde_json::Value]);

impl<'a> Entries<'a> for Object<'a> {
    fn len(&self) -> usize {
        1
    }
    fn get(&self, key: &str) -> Option<Outcome<'a>> {
        (key == "a__dot__b").then(|| Ok(Value::List(List::Tree(Arc::new(Set(self.0))))))
    }
    fn keys(&self) -> Vec<Str<'a>> {
        vec![Str::Lent("a__dot__b")]
    }
    fn strict(&self) -> bool {
        true
    }
}

#[test]
fn views_have_rules_of_their_own() {
    let fields: HashMap<String, Type> = [("a__dot__b".to_owned(), Type::list(Type::Int))].into();
    let env = env(&[("self", Type::object("O"))]).objects(Arc::new(Declared([("O".to_owned(), fields)].into())));
    let items = [1.into(), 2.into()];
    for (text, want) in [
        ("self.a__dot__b == [2, 1]", Ok("true")),
        ("[2, 1] == self.a__dot__b", Ok("false")),
        ("dyn(self.a__dot__b) == 1", Err("no list")),
        ("(self.a__dot__b + [2, 3]).size() == 3", Ok("true")),
        ("dyn(self)[1] == 1", Err("no such overload")),
        ("has(self.a__dot__b) && O{a__dot__b: [1]}.a__dot__b == [1]", Ok("true")),
    ] {
        let program = compiled(&env, text);
        let values = [Value::Map(Map::Tree(Arc::new(Object(&items))))];
        let (outcome, _) = program.run(&values, Budget::default());
        let said = outcome.map(|value| value.shown()).map_err(|error| error.to_string());
        assert_eq!(said.as_deref().map_err(|error| &**error), want, "{text}");
    }
    let broken = [1.into(), serde_json::Value::Null];
    for (text, want) in [
        ("self.a__dot__b[0] == 1 && self.a__dot__b[1] == 1", Err("no value")),
        ("self.a__dot__b.exists(x, x == 1)", Ok(true)),
        ("self.a__dot__b.all(x, x == 1)", Err("no value")),
    ] {
        let program = compiled(&env, text);
        let values = [Value::Map(Map::Tree(Arc::new(Object(&broken))))];
        let said = program.run(&values, Budget::default()).0.map(|value| matches!(value, Value::Bool(true)));
        assert_eq!(said.map_err(|error| error.to_string()).as_ref().map_err(|error| &**error), want.as_ref().map_err(|error| *error), "{text}");
    }
    let refused = |text: &str| env.compile(text).err().map(|issues| issues.to_string());
    assert_eq!(refused("self.b").as_deref(), Some("ERROR: <input>:1:5: undefined field 'b'\n | self.b\n | ....^"));
    let wrong = "ERROR: <input>:1:12: expected type of field 'a__dot__b' is 'list(int)' but provided type is 'string'\n | O{a__dot__b: 'x'}\n | ...........^";
    assert_eq!(refused("O{a__dot__b: 'x'}").as_deref(), Some(wrong));
}

#[test]
fn macros_that_double_their_target_have_an_end() {
    let env = env(&[("x", Type::Dyn)]);
    let text = format!("optional.of(x){}.hasValue()", ".optMap(y, y)".repeat(40));
    let refused = env.compile(&text).err().expect("is refused").to_string();
    assert!(refused.contains("expression has more than 500000 nodes"), "{refused:.300}");
}

#[test]
fn programs_are_shared() {
    fn shared<T: Send + Sync>(_: &T) {}
    let env = env(&[]);
    shared(&env);
    shared(&compiled(&env, "[1, 2].all(x, x > 0)"));
}
