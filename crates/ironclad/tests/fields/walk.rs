//! Every leaf of a type of the schema, and objects in which one leaf alone is set.

use schema::{Kind, Schema, Type};
use serde_json::{Map, Value};

use super::samples;

/// What is between a field and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    List,
    Map,
}

/// One field on the way to a leaf.
#[derive(Clone, Debug)]
struct Step {
    /// Go's name of the type that has it.
    of: String,
    field: String,
    around: Vec<Around>,
}

/// A field that holds a plain value.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// `containers[].env[].name`.
    pub path: String,
    steps: Vec<Step>,
    /// How its value looks.
    pub kind: Kind,
    /// The words that it may hold; empty for any.
    pub words: Vec<String>,
    /// The key with which a map on the way is entered.
    key: String,
}

/// All leaves of a type, in the order of the schema. Fields that `leave_out` are not entered.
pub fn leaves(definition: &str, leave_out: &[&str]) -> Vec<Leaf> {
    let schema = Schema::definition(definition).unwrap_or_else(|| panic!("the schema has {definition}"));
    let mut found = Vec::new();
    let mut open = Walk { steps: Vec::new(), found: &mut found, within: Vec::new() };
    open.fields(schema.root(), leave_out);
    found
}

struct Walk<'a> {
    steps: Vec<Step>,
    found: &'a mut Vec<Leaf>,
    within: Vec<String>,
}

impl Walk<'_> {
    fn fields(&mut self, of: &Type, leave_out: &[&str]) {
        assert!(!self.within.contains(&of.name.to_string()), "{} holds itself: its leaves have no end", of.name);
        self.within.push(of.name.to_string());
        for field in of.fields.iter().filter(|f| !leave_out.contains(&&*f.name)) {
            let (mut kind, mut around) = (&field.shape.kind, Vec::new());
            loop {
                kind = match kind {
                    Kind::List { item, .. } => {
                        around.push(Around::List);
                        &item.kind
                    }
                    Kind::Map { value, .. } => {
                        around.push(Around::Map);
                        &value.kind
                    }
                    _ => break,
                };
            }
            self.steps.push(Step { of: of.go_name.to_string(), field: field.name.to_string(), around });
            match kind {
                Kind::Struct(inner) => self.fields(inner.get(), &[]),
                plain => {
                    let words = field.values.iter().filter(|w| !w.is_empty()).map(ToString::to_string).collect();
                    let leaf = Leaf { path: path(&self.steps), steps: self.steps.clone(), kind: plain.clone(), words, key: "k".into() };
                    self.add(leaf);
                }
            }
            self.steps.pop();
        }
        self.within.pop();
    }

    /// A map is as many leaves as it has keys that mean something.
    fn add(&mut self, leaf: Leaf) {
        if !leaf.path.ends_with("{}") {
            return self.found.push(leaf);
        }
        for key in samples::keys(&leaf.path) {
            let path = format!("{}{{{key}}}", leaf.path.trim_end_matches("{}"));
            self.found.push(Leaf { path, key: (*key).to_owned(), ..leaf.clone() });
        }
    }
}

fn path(steps: &[Step]) -> String {
    let one = |step: &Step| {
        let around = step.around.iter().map(|a| if *a == Around::List { "[]" } else { "{}" });
        step.field.clone() + &around.collect::<String>()
    };
    steps.iter().map(one).collect::<Vec<_>>().join(".")
}

impl Leaf {
    /// The smallest valid object in which everything around the leaf is there; with a value, the leaf holds it.
    pub fn plant(&self, value: Option<&Value>) -> Value {
        self.level(0, value)
    }

    fn level(&self, at: usize, value: Option<&Value>) -> Value {
        let step = &self.steps[at];
        let above = path(&self.steps[..at]);
        let mut object = samples::around(&above, &step.of, &step.field, &self.path);
        let inner = match (at + 1 < self.steps.len(), value) {
            (true, _) => self.level(at + 1, value),
            (false, Some(value)) => value.clone(),
            (false, None) => return Value::Object(object),
        };
        let wrapped = step.around.iter().rev().fold(inner, |inner, around| match around {
            Around::List => Value::Array(vec![inner]),
            Around::Map => {
                let key = self.key.clone();
                Value::Object(Map::from_iter([(key, inner)]))
            }
        });
        match object.get_mut(&step.field) {
            Some(there) => merge(there, wrapped),
            None => drop(object.insert(step.field.clone(), wrapped)),
        }
        Value::Object(object)
    }

    /// Takes the leaf's field out of an object of the type.
    pub fn cut(&self, object: &mut Value) {
        let Some((last, before)) = self.steps.split_last() else { return };
        let owner = before.iter().try_fold(object, |value, step| {
            step.around.iter().try_fold(value.get_mut(&step.field)?, |value, around| match around {
                Around::List => value.get_mut(0),
                Around::Map => value.as_object_mut()?.values_mut().next(),
            })
        });
        if let Some(owner) = owner.and_then(Value::as_object_mut) {
            owner.remove(&last.field);
        }
    }
}

/// Puts `new` over what is there; the elements of lists in turn.
fn merge(there: &mut Value, new: Value) {
    match (there, new) {
        (Value::Object(there), Value::Object(new)) => {
            for (name, value) in new {
                match there.get_mut(&name) {
                    Some(old) => merge(old, value),
                    None => drop(there.insert(name, value)),
                }
            }
        }
        (Value::Array(there), Value::Array(new)) if new.iter().all(Value::is_object) => {
            for (at, value) in new.into_iter().enumerate() {
                match there.get_mut(at) {
                    Some(old) => merge(old, value),
                    None => there.push(value),
                }
            }
        }
        (there, new) => *there = new,
    }
}
