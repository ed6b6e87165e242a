//! Sets of field paths, as `metadata.managedFields` holds them (upstream: `structured-merge-diff/fieldpath`).

use std::collections::BTreeMap;
use std::fmt;

use meta::limits;
use serde_json::{Map, Value};

/// One step of a path. The order is upstream's: fields, then keys, then values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of a struct, or a key of a map.
    Field(String),
    /// An item of a list of maps, by its keys: JSON with sorted keys.
    Item(String),
    /// An item of a set, by its value: JSON.
    Value(String),
}

impl Step {
    /// The step to an item that has none of its keys.
    pub fn nothing() -> Self {
        Step::Item("{}".to_owned())
    }
}

/// A set of paths, as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(pub BTreeMap<Step, Node>);

/// What is in the set from here on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// The path that ends here.
    pub member: bool,
    /// Longer ones.
    pub below: Set,
}

impl Node {
    pub fn leaf() -> Self {
        Node { member: true, below: Set::default() }
    }

    pub fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl Set {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A set of one path of fields.
    pub fn fields(path: &[&str]) -> Self {
        let mut set = Set::default();
        if let Some((first, rest)) = path.split_first() {
            let node = if rest.is_empty() { Node::leaf() } else { Node { member: false, below: Set::fields(rest) } };
            set.0.insert(Step::Field((*first).to_owned()), node);
        }
        set
    }

    /// Adds a node unless it says nothing.
    pub fn put(&mut self, step: Step, node: Node) {
        if !node.is_empty() {
            self.0.insert(step, node);
        }
    }

    /// Takes in the paths of another set. Costs what the other one has, not what is there already.
    pub fn extend(&mut self, other: &Set) {
        for (step, theirs) in &other.0 {
            if let Some(ours) = self.0.get_mut(step) {
                ours.member |= theirs.member;
                ours.below.extend(&theirs.below);
            } else {
                self.0.insert(step.clone(), theirs.clone());
            }
        }
    }

    /// Paths of either.
    pub fn union(mut self, other: &Set) -> Set {
        self.extend(other);
        self
    }

    /// Paths of both.
    pub fn intersection(&self, other: &Set) -> Set {
        self.combine(other, |ours, theirs| Node {
            member: ours.member && theirs.is_some_and(|t| t.member),
            below: theirs.map(|t| ours.below.intersection(&t.below)).unwrap_or_default(),
        })
    }

    /// Paths of this one that the other one has not.
    pub fn difference(&self, other: &Set) -> Set {
        self.combine(other, |ours, theirs| Node {
            member: ours.member && !theirs.is_some_and(|t| t.member),
            below: theirs.map_or_else(|| ours.below.clone(), |t| ours.below.difference(&t.below)),
        })
    }

    /// Paths of this one that do not lie at or below a member of the other one.
    pub fn outside(&self, other: &Set) -> Set {
        self.combine(other, |ours, theirs| match theirs {
            Some(t) if t.member => Node::default(),
            Some(t) => Node { member: ours.member, below: ours.below.outside(&t.below) },
            None => ours.clone(),
        })
    }

    /// What lies below one field.
    pub fn inside(&self, path: &[&str]) -> Set {
        let Some((first, rest)) = path.split_first() else { return self.clone() };
        let step = Step::Field((*first).to_owned());
        let mut out = Set::default();
        if let Some(node) = self.0.get(&step) {
            let member = node.member && rest.is_empty();
            out.put(step, Node { member, below: node.below.inside(rest) });
        }
        out
    }

    fn combine(&self, other: &Set, with: impl Fn(&Node, Option<&Node>) -> Node) -> Set {
        let mut out = Set::default();
        for (step, node) in &self.0 {
            out.put(step.clone(), with(node, other.0.get(step)));
        }
        out
    }

    /// The same with every field on the way to a member being one.
    pub fn with_parents(&self) -> Set {
        let node = |(step, node): (&Step, &Node)| {
            let member = node.member || matches!(step, Step::Field(_));
            (step.clone(), Node { member, below: node.below.with_parents() })
        };
        Set(self.0.iter().map(node).collect())
    }

    /// All members, as messages show them: `.spec.ports[port=80]`.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (step, node) in &self.0 {
            if node.member {
                out.push(step.to_string());
            }
            out.extend(node.below.paths().into_iter().map(|rest| format!("{step}{rest}")));
        }
        out
    }

    /// `FieldsV1`. What lies deeper than objects may be is counted as one with what it lies in.
    pub fn to_value(&self) -> Value {
        // Where it stands: object, metadata, managedFields, entry, fieldsV1.
        self.value_at(5)
    }

    fn value_at(&self, depth: usize) -> Value {
        let mut out = Map::new();
        if depth >= limits::NESTING {
            return Value::Object(out);
        }
        for (step, node) in &self.0 {
            let key = match step {
                Step::Field(name) => format!("f:{name}"),
                Step::Item(keys) => format!("k:{keys}"),
                Step::Value(value) => format!("v:{value}"),
            };
            let mut below = node.below.value_at(depth + 1);
            if let (true, false, Some(map)) = (node.member, node.below.is_empty(), below.as_object_mut()) {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(key, below);
        }
        Value::Object(out)
    }

    /// Reads `FieldsV1`; steps that it does not know are left out.
    pub fn from_value(value: &Value) -> Set {
        let mut set = Set::default();
        for (key, below) in value.as_object().into_iter().flatten() {
            let step = match key.split_once(':') {
                Some(("f", name)) => Step::Field(name.to_owned()),
                Some(("k", keys)) => Step::Item(keys.to_owned()),
                Some(("v", value)) => Step::Value(value.to_owned()),
                _ => continue,
            };
            let empty = below.as_object().is_none_or(Map::is_empty);
            let member = empty || below.get(".").is_some();
            set.put(step, Node { member, below: Set::from_value(below) });
        }
        set
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Value(value) => {
                let value: Value = serde_json::from_str(value).unwrap_or_default();
                write!(f, "[={}]", shown(&value))
            }
            Step::Item(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let shown: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={}", shown(v))).collect();
                write!(f, "[{}]", shown.join(","))
            }
        }
    }
}

/// A value in a path, in upstream's form: maps have neither braces nor commas.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect(),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_writes_and_combines() {
        let text = json!({"f:spec": {"f:a": {}, "f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:image": {}}}, "f:s": {"v:\"1\"": {}}}});
        let set = Set::from_value(&text);
        assert_eq!(set.to_value(), text);
        assert_eq!(
            set.paths(),
            [".spec.a", ".spec.list[name=\"x\"]", ".spec.list[name=\"x\"].image", ".spec.s[=\"1\"]"]
        );
        let a = Set::fields(&["spec", "a"]);
        assert_eq!(set.intersection(&a), a);
        assert_eq!(set.difference(&a).union(&a), set.clone());
        assert!(set.outside(&Set::fields(&["spec"])).is_empty());
        assert_eq!(a.with_parents().paths(), [".spec", ".spec.a"]);
        let odd = Step::Item(r#"{"port":{},"protocol":{"a":[1,"b"]}}"#.to_owned());
        assert_eq!(odd.to_string(), r#"[port=,protocol=a=[1,"b"]]"#);
    }
}
