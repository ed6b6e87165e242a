//! What is wrong with an object, when upstream itself says it in another order each time: it walks several maps, and
//! asking again does not meet our order. Where all its answers agree ours has to be the same; elsewhere any order is
//! right, as long as the same is said.

use super::tree::Tree;

/// What stands in a message for its list of errors.
const LIST: &str = "<causes>";

/// How the fields of a Status are called.
struct Names {
    message: &'static str,
    details: &'static str,
    causes: &'static str,
    field: &'static str,
    of_cause: &'static str,
}

const JSON: Names = Names { message: "message", details: "details", causes: "causes", field: "field", of_cause: "message" };
const PROTOBUF: Names = Names { message: "3", details: "5", causes: "4", field: "3", of_cause: "2" };

/// A Status without its errors, and they.
struct Split {
    rest: Tree,
    causes: Vec<Tree>,
}

/// Whether one answer is another with its errors in another order.
pub fn shuffled(a: &Tree, b: &Tree) -> bool {
    let (Some(mut left), Some(mut right)) = (split(a), split(b)) else { return false };
    let differ = left.causes != right.causes;
    left.causes.sort_by_key(Tree::compact);
    right.causes.sort_by_key(Tree::compact);
    differ && left.rest == right.rest && left.causes == right.causes
}

/// Upstream's first answer and ours, with the errors sorted wherever upstream's answers are not of one order; the
/// answers have to be shuffles of each other. `None` if they are not errors.
pub fn sorted(upstream: &[Tree], ours: &Tree) -> Option<[Tree; 2]> {
    let all: Vec<Split> = upstream.iter().map(split).collect::<Option<_>>()?;
    let first = all.first()?;
    let varies: Vec<bool> = (0..first.causes.len()).map(|at| all.iter().any(|one| one.causes.get(at) != first.causes.get(at))).collect();
    let ours = split(ours)?;
    Some([first, &ours].map(|one| {
        let place = |(at, cause): (usize, &Tree)| varies.get(at).is_some_and(|varies| *varies).then(|| cause.clone());
        let mut loose: Vec<Tree> = one.causes.iter().enumerate().filter_map(place).collect();
        loose.sort_by_key(|cause| std::cmp::Reverse(cause.compact()));
        let fixed = |(at, cause): (usize, &Tree)| place((at, cause)).and_then(|_| loose.pop()).unwrap_or_else(|| cause.clone());
        let causes = one.causes.iter().enumerate().map(fixed).collect();
        Tree::Map(vec![("status".to_owned(), one.rest.clone()), ("causes".to_owned(), Tree::List(causes))])
    }))
}

/// Takes the errors out of a Status, and out of its message, if that lists them all.
fn split(tree: &Tree) -> Option<Split> {
    let (status, names) = match tree.get("2") {
        Some(inner) => (inner, PROTOBUF),
        None => (tree, JSON),
    };
    let Tree::Map(details) = status.get(names.details)? else { return None };
    let numbered = format!("{}#", names.causes);
    let is_cause = |name: &str| name == names.causes || name.starts_with(&numbered);
    let mut causes = Vec::new();
    for (_, value) in details.iter().filter(|(name, _)| is_cause(name)) {
        match value {
            Tree::List(items) => causes.extend(items.iter().cloned()),
            one => causes.push(one.clone()),
        }
    }
    let mut said: Vec<String> = Vec::new();
    for cause in &causes {
        let text = format!("{}: {}", cause.get(names.field)?.text()?, cause.get(names.of_cause)?.text()?);
        // What is wrong twice is said once.
        if !said.contains(&text) {
            said.push(text);
        }
    }
    let message = status.get(names.message)?.text()?.replacen(&format!("[{}]", said.join(", ")), LIST, 1);
    let mut rest = status.clone();
    let Tree::Map(fields) = &mut rest else { return None };
    for (name, value) in fields {
        if name == names.message {
            *value = Tree::Text(message.clone());
        } else if name == names.details
            && let Tree::Map(details) = value
        {
            details.retain(|(name, _)| !is_cause(name));
        }
    }
    Some(Split { rest, causes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(fields: &[&str]) -> Tree {
        let causes: Vec<String> = fields.iter().map(|f| format!(r#"{{"message":"bad","field":"{f}"}}"#)).collect();
        let list: Vec<String> = fields.iter().map(|f| format!("{f}: bad")).collect();
        let text = format!(r#"{{"message":"X is invalid: [{}]","details":{{"causes":[{}]}}}}"#, list.join(", "), causes.join(","));
        serde_json::from_str(&text).expect("is JSON")
    }

    fn equal(upstream: &[&[&str]], ours: &[&str]) -> bool {
        let upstream: Vec<Tree> = upstream.iter().map(|fields| status(fields)).collect();
        let [a, b] = sorted(&upstream, &status(ours)).expect("are errors");
        a == b
    }

    #[test]
    fn only_what_upstream_shuffles_may_be_in_another_order() {
        let upstream: &[&[&str]] = &[&["a", "m", "n", "o", "z"], &["a", "n", "m", "o", "z"], &["a", "o", "n", "m", "z"]];
        assert!(equal(upstream, &["a", "n", "o", "m", "z"]));
        assert!(!equal(upstream, &["z", "n", "o", "m", "a"]), "the order elsewhere");
        assert!(!equal(upstream, &["a", "n", "n", "m", "z"]), "another error");
        assert!(!equal(upstream, &["a", "n", "m", "z"]), "an error less");
    }

    #[test]
    fn shuffles_say_the_same() {
        assert!(shuffled(&status(&["a", "b"]), &status(&["b", "a"])));
        assert!(!shuffled(&status(&["a", "b"]), &status(&["a", "b"])));
        assert!(!shuffled(&status(&["a", "b"]), &status(&["b", "c"])));
    }

    #[test]
    fn the_errors_of_protobuf_are_found() {
        let read = |text: &str| -> Tree { serde_json::from_str(text).expect("is JSON") };
        let a = r#"{"2":{"3":"no: [f: bad, g: bad]","5":{"4":{"2":"bad","3":"f"},"4#1":{"2":"bad","3":"g"}}}}"#;
        let b = r#"{"2":{"3":"no: [g: bad, f: bad]","5":{"4":{"2":"bad","3":"g"},"4#1":{"2":"bad","3":"f"}}}}"#;
        assert!(shuffled(&read(a), &read(b)));
    }
}
