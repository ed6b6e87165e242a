//! JSON with its order kept, and what is different between two of them.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value; the fields of a map in the order in which they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A number, a boolean or null, as it is written.
    Leaf(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A map.
    Map(Vec<(String, Tree)>),
}

/// One place at which two answers differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `status`, `header NAME`, or a path in the body.
    pub at: String,
    /// What upstream has there.
    pub upstream: String,
    /// What we have there.
    pub ours: String,
}

const ABSENT: &str = "(absent)";

impl Tree {
    /// The field of that name.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Map(fields) => fields.iter().find(|(n, _)| n == name).map(|(_, value)| value),
            Tree::List(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The value at a path of fields: `metadata.uid`, `items.0.metadata.name`.
    pub fn at(&self, path: &str) -> Option<&Tree> {
        path.split('.').try_fold(self, |tree, name| tree.get(name))
    }

    /// The text of a string, number or boolean.
    pub fn text(&self) -> Option<&str> {
        match self {
            Tree::Leaf(text) | Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// In one line, cut after some 300 characters.
    pub fn short(&self) -> String {
        let line = self.compact();
        match line.char_indices().nth(300) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        }
    }

    /// In one line.
    pub fn compact(&self) -> String {
        match self {
            Tree::Leaf(text) => text.clone(),
            Tree::Text(text) => format!("{text:?}"),
            Tree::List(items) => format!("[{}]", items.iter().map(Tree::compact).collect::<Vec<_>>().join(",")),
            Tree::Map(fields) => {
                let fields: Vec<String> = fields.iter().map(|(n, v)| format!("{n:?}:{}", v.compact())).collect();
                format!("{{{}}}", fields.join(","))
            }
        }
    }

    /// One field a line.
    pub fn lines(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.write(0, "", &mut out);
        out
    }

    fn write(&self, depth: usize, prefix: &str, out: &mut Vec<String>) {
        let indent = "  ".repeat(depth);
        match self {
            Tree::Map(fields) if !fields.is_empty() => {
                out.push(format!("{indent}{prefix}{{"));
                fields.iter().for_each(|(name, value)| value.write(depth + 1, &format!("{name}: "), out));
                out.push(format!("{indent}}}"));
            }
            Tree::List(items) if !items.is_empty() => {
                out.push(format!("{indent}{prefix}["));
                items.iter().for_each(|item| item.write(depth + 1, "", out));
                out.push(format!("{indent}]"));
            }
            simple => out.push(format!("{indent}{prefix}{}", simple.compact())),
        }
    }
}

/// Appends what differs, with paths that begin with `at`.
pub fn compare(at: &str, upstream: &Tree, ours: &Tree, out: &mut Vec<Difference>) {
    match (upstream, ours) {
        (Tree::Map(a), Tree::Map(b)) => compare_maps(at, a, b, out),
        (Tree::List(a), Tree::List(b)) => match (names(a), names(b)) {
            (Some(_), Some(_)) if a.len() != b.len() => compare_maps(at, &named(a), &named(b), out),
            _ => compare_lists(at, a, b, out),
        },
        (a, b) if a == b => {}
        (a, b) => out.push(difference(at, Some(a), Some(b))),
    }
}

/// Two long texts from where they begin to differ.
fn tails(a: &str, b: &str) -> Option<(String, String)> {
    let common = a.char_indices().zip(b.chars()).take_while(|((_, x), y)| x == y).map(|((at, _), _)| at).last()?;
    let start = a.char_indices().map(|(at, _)| at).take_while(|at| *at + 40 <= common).last()?;
    let tail = |text: &str| format!("…{}", text[start..].chars().take(300).collect::<String>());
    (common > 200).then(|| (tail(a), tail(b)))
}

fn difference(at: &str, upstream: Option<&Tree>, ours: Option<&Tree>) -> Difference {
    if let (Some(Tree::Text(a)), Some(Tree::Text(b))) = (upstream, ours)
        && let Some((upstream, ours)) = tails(a, b)
    {
        return Difference { at: at.to_owned(), upstream, ours };
    }
    let shown = |tree: Option<&Tree>| tree.map_or_else(|| ABSENT.to_owned(), Tree::short);
    Difference { at: at.to_owned(), upstream: shown(upstream), ours: shown(ours) }
}

fn compare_maps(at: &str, a: &[(String, Tree)], b: &[(String, Tree)], out: &mut Vec<Difference>) {
    let find = |fields: &'_ [(String, Tree)], name: &str| fields.iter().position(|(n, _)| n == name);
    for (name, left) in a {
        let path = format!("{at}.{name}");
        match find(b, name) {
            Some(right) => compare(&path, left, &b[right].1, out),
            None => out.push(difference(&path, Some(left), None)),
        }
    }
    for (name, right) in b.iter().filter(|(name, _)| find(a, name).is_none()) {
        out.push(difference(&format!("{at}.{name}"), None, Some(right)));
    }
    let common = |of: &[(String, Tree)], other: &[(String, Tree)]| -> Vec<String> {
        of.iter().map(|(n, _)| n.clone()).filter(|n| find(other, n).is_some()).collect()
    };
    let (left, right) = (common(a, b), common(b, a));
    if left != right {
        out.push(Difference { at: format!("{at} (order)"), upstream: left.join(" "), ours: right.join(" ") });
    }
}

fn compare_lists(at: &str, a: &[Tree], b: &[Tree], out: &mut Vec<Difference>) {
    for index in 0..a.len().max(b.len()) {
        let path = format!("{at}[{index}]");
        match (a.get(index), b.get(index)) {
            (Some(left), Some(right)) => compare(&path, left, right, out),
            (left, right) => out.push(difference(&path, left, right)),
        }
    }
}

/// The names of the items, if each has one and no two have the same.
fn names(items: &[Tree]) -> Option<Vec<&str>> {
    let names: Option<Vec<&str>> = items.iter().map(|item| item.get("name").and_then(Tree::text)).collect();
    let names = names?;
    let unique = names.iter().enumerate().all(|(at, n)| !names[..at].contains(n));
    unique.then_some(names)
}

fn named(items: &[Tree]) -> Vec<(String, Tree)> {
    let name = |item: &Tree| format!("[{}]", item.get("name").and_then(Tree::text).unwrap_or_default());
    items.iter().map(|item| (name(item), item.clone())).collect()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(format!("{value:e}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf("null".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(a: &str, b: &str) -> Vec<String> {
        let read = |text| serde_json::from_str(text).expect("is JSON");
        let mut out = Vec::new();
        compare("", &read(a), &read(b), &mut out);
        out.into_iter().map(|d| format!("{} {} {}", d.at, d.upstream, d.ours)).collect()
    }

    #[test]
    fn values_presence_and_order_count() {
        assert_eq!(differences(r#"{"a":1,"b":[1,2]}"#, r#"{"a":1,"b":[1,3]}"#), [".b[1] 2 3"]);
        assert_eq!(differences(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#), [" (order) a b b a"]);
        assert_eq!(differences(r#"{"a":"x"}"#, "{}"), [r#".a "x" (absent)"#]);
        assert_eq!(differences("[1.5]", "[1.5]"), [""; 0]);
    }

    #[test]
    fn items_with_names_are_told_apart_by_them() {
        let (a, b) = (r#"[{"name":"x"},{"name":"y","v":1}]"#, r#"[{"name":"y","v":2}]"#);
        assert_eq!(differences(a, b), [r#".[x] {"name":"x"} (absent)"#, ".[y].v 1 2"]);
    }
}
