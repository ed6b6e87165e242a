//! A write that meets a thousand rules: how long they take here, from the object's tree to the verdict, and how long the
//! evaluation alone takes in cel-go, in one run.
//!
//! `cargo run --release -p kinds --example rules` builds upstream's program in `tests/upstream/cel` and needs Go.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use meta::Object;
use serde_json::{Value, json};

const COUNT: usize = 1000;
const ROUNDS: usize = 50;
/// As upstream's program has them.
const RULES: [&str; 5] = [
    "self.replicas >= 0 && self.replicas <= 100",
    "self.items.all(x, x.count > 0 && x.key != '')",
    "!has(self.missing) || self.missing == 'a'",
    "self.name.startsWith('web') || self.name.size() < 64",
    "self.labels.all(k, k.size() < 64)",
];

fn definition(rules: &[Value]) -> Result<Object, Box<dyn std::error::Error>> {
    let item = json!({"type": "object", "properties": {"key": {"type": "string"}, "count": {"type": "integer"}}});
    let spec = json!({"type": "object", "x-kubernetes-validations": rules, "properties": {
        "replicas": {"type": "integer"}, "name": {"type": "string"}, "missing": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}}, "items": {"type": "array", "items": item}}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    let names = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
    let versions = json!([{"name": "v1", "served": true, "storage": true, "schema": schema}]);
    let made = json!({"metadata": {"name": "things.example.com"}, "status": {"acceptedNames": names},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}});
    Object::from_value(made).map_err(|_| "no map".into())
}

/// The least time of a validation, rules included.
fn least(rules: &[Value], object: &Object) -> Result<Duration, Box<dyn std::error::Error>> {
    let kinds = kinds::custom::descriptors(&definition(rules)?)?;
    let kind = kinds.first().ok_or("no kind")?;
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let errors = kind.rules.validate(object);
        least = least.min(start.elapsed());
        assert!(errors.is_empty(), "{errors:?}");
    }
    Ok(least)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let object = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {
        "replicas": 3, "name": "web-1", "labels": {"app": "web", "tier": "front"}, "items": [{"key": "k1", "count": 1}, {"key": "k2", "count": 2}]}});
    let object = Object::from_value(object).map_err(|_| "no map")?;
    let rules: Vec<Value> = (0..COUNT).map(|at| json!({"rule": format!("{} && {at} != -1", RULES[at % RULES.len()])})).collect();
    let (with, without) = (least(&rules, &object)?, least(&[], &object)?);
    println!("ours:     {} µs for {COUNT} rules; the schema alone takes {} µs", (with - without).as_micros(), without.as_micros());
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream/cel");
    let output = Command::new("go").args(["run", "-buildvcs=false", ".", "bench", &COUNT.to_string()]).current_dir(module).output()?;
    println!("upstream: {} µs", String::from_utf8(output.stdout)?.trim());
    Ok(())
}
