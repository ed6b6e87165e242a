//! A thousand rules of a write: how long they take here and in cel-go, in one run.
//!
//! `cargo run -p cel --example rules` builds upstream's program in `tests/upstream/cel` and needs Go.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cel::plan::Budget;
use cel::types::Declared;
use cel::value::json;
use cel::{Env, Program, Type};

const COUNT: usize = 1000;
const ROUNDS: usize = 20;
/// As upstream's program has them.
const RULES: [&str; 5] = [
    "self.replicas >= 0 && self.replicas <= 100",
    "self.items.all(x, x.count > 0 && x.key != '')",
    "!has(self.missing) || self.missing == 'a'",
    "self.name.startsWith('web') || self.name.size() < 64",
    "self.labels.all(k, k.size() < 64)",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let item: HashMap<String, Type> = [("key".into(), Type::String), ("count".into(), Type::Int)].into();
    let fields: HashMap<String, Type> = [
        ("replicas".into(), Type::Int),
        ("name".into(), Type::String),
        ("missing".into(), Type::String),
        ("labels".into(), Type::map(Type::String, Type::String)),
        ("items".into(), Type::list(Type::object("Item"))),
    ]
    .into();
    let objects = Declared([("Self".into(), fields), ("Item".into(), item)].into());
    let env = Env::new(vec![("self".to_owned(), Type::object("Self"))]).objects(Arc::new(objects));
    let start = Instant::now();
    let programs: Vec<Program> = (0..COUNT)
        .map(|at| Ok(env.compile(&format!("{} && {at} != -1", RULES[at % RULES.len()]))?.program()?))
        .collect::<Result<_, Box<dyn std::error::Error>>>()?;
    println!("compiled {COUNT} rules in {} ms", start.elapsed().as_millis());
    let tree = serde_json::json!({"replicas": 3, "name": "web-1", "labels": {"app": "web", "tier": "front"},
        "items": [{"key": "k1", "count": 1}, {"key": "k2", "count": 2}]});
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let variables = [json::view(&tree)];
        for program in &programs {
            program.run(&variables, Budget::default()).0?;
        }
        least = least.min(start.elapsed());
    }
    println!("ours:     {} µs for {COUNT} rules", least.as_micros());
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream/cel");
    let output = Command::new("go").args(["run", "-buildvcs=false", ".", "bench", &COUNT.to_string()]).current_dir(module).output()?;
    println!("upstream: {} µs", String::from_utf8(output.stdout)?.trim());
    Ok(())
}
