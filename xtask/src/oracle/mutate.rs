//! One change to a valid object, at random: most make it invalid in one place.

use serde_json::{Value, json};

use super::random::Random;

/// The text of a mutated object, and what was done to it.
pub struct Mutation {
    pub text: String,
    pub what: String,
}

/// Where a value stands: names and indexes from the root.
type Place = Vec<String>;

/// Changes one to three places of the object. `donor` is an object of the same kind that has every field.
pub fn mutate(random: &mut Random, object: &Value, donor: Option<&Value>) -> Mutation {
    let mut tree = object.clone();
    let mut what = Vec::new();
    for _ in 0..=usize::from(random.once_in(4)) + usize::from(random.once_in(8)) {
        what.push(change(random, &mut tree, donor));
    }
    let mut text = tree.to_string();
    if random.once_in(12) {
        what.push(duplicate(random, &mut text));
    }
    Mutation { text, what: what.join(", ") }
}

fn change(random: &mut Random, tree: &mut Value, donor: Option<&Value>) -> String {
    let place = somewhere(random, tree);
    let shown = place.join(".");
    if let Some(donor) = donor.filter(|_| random.once_in(3)) {
        return graft(random, tree, donor);
    }
    match random.below(10) {
        0 | 1 => {
            remove(tree, &place);
            format!("without {shown}")
        }
        2 => {
            let parent = at(tree, &place[..place.len().saturating_sub(1)]);
            if let Some(Value::Object(map)) = parent {
                map.insert((*random.pick(&["unknownField", "Name", "spce", "status2"])).to_owned(), json!("x"));
            }
            format!("unknown field beside {shown}")
        }
        3 => {
            if let Some(Value::Array(items)) = at(tree, &place)
                && let Some(first) = items.first().cloned()
            {
                items.push(first);
                return format!("item twice in {shown}");
            }
            replace(random, tree, &place)
        }
        _ => replace(random, tree, &place),
    }
}

/// Another value in place of the one there: of the wrong type, out of range, too long, of odd form.
fn replace(random: &mut Random, tree: &mut Value, place: &Place) -> String {
    let Some(slot) = at(tree, place) else { return "nothing".to_owned() };
    let fresh = match (&*slot, random.below(4)) {
        (_, 0) => odd(random),
        (Value::Number(n), _) => number(random, n.as_i64().unwrap_or(0)),
        (Value::String(s), _) => string(random, s),
        (Value::Bool(b), _) => json!(!b),
        (Value::Array(_), 1) => json!([]),
        (Value::Array(_), 2) => json!([null]),
        (Value::Object(_), 1) => json!({}),
        _ => odd(random),
    };
    let shown: String = fresh.to_string().chars().take(40).collect();
    *slot = fresh;
    format!("{} = {shown}", place.join("."))
}

fn odd(random: &mut Random) -> Value {
    random
        .pick(&[json!(null), json!(""), json!("text"), json!(5), json!(true), json!([]), json!({}), json!(["a"]), json!({"a": 1}), json!(1.5)])
        .clone()
}

fn number(random: &mut Random, is: i64) -> Value {
    let choices = [-1, 0, 1, is.saturating_add(1), 99, 1000, 65_535, 65_536, i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::MAX];
    match random.below(14) {
        0 => json!(1e30),
        1 => json!(u64::MAX),
        2 => json!(0.5),
        _ => json!(random.pick(&choices)),
    }
}

fn string(random: &mut Random, is: &str) -> Value {
    let long = |n: usize| "a".repeat(n);
    let choices = [
        String::new(),
        " ".to_owned(),
        is.to_uppercase(),
        format!("{is}-"),
        format!("-{is}"),
        format!("{is}/{is}"),
        format!("{is}.{is}"),
        format!("{is}_x"),
        format!("{is}:80"),
        "$(X)".to_owned(),
        "..".to_owned(),
        "../x".to_owned(),
        "/abs".to_owned(),
        "Ünïcode".to_owned(),
        "two words".to_owned(),
        long(16),
        long(64),
        long(254),
        long(300),
        "10.0.0.1".to_owned(),
        "010.0.0.1".to_owned(),
        "fe80::1".to_owned(),
        "1".to_owned(),
        "5m".to_owned(),
        "-5".to_owned(),
        "1e30".to_owned(),
        "100%".to_owned(),
        "2004-13-01T00:00:00Z".to_owned(),
        "kubernetes.io/x".to_owned(),
        "Always".to_owned(),
        "TCP".to_owned(),
        "None".to_owned(),
    ];
    json!(random.pick(&choices))
}

/// A field of the donor, put where it belongs.
fn graft(random: &mut Random, tree: &mut Value, donor: &Value) -> String {
    let mut source = donor;
    let mut target = tree;
    let mut path = Vec::new();
    for depth in 0..8 {
        match source {
            Value::Object(map) if !map.is_empty() => {
                let names: Vec<&String> = map.keys().filter(|n| !matches!(&***n, "apiVersion" | "kind" | "managedFields")).collect();
                if names.is_empty() {
                    break;
                }
                let name = (*random.pick(&names)).clone();
                path.push(name.clone());
                let Value::Object(into) = target else { return format!("no place for {}", path.join(".")) };
                let fits = into.get(&name).is_some_and(|there| std::mem::discriminant(there) == std::mem::discriminant(&map[&name]));
                if !fits || !map[&name].is_object() && !map[&name].is_array() || depth > 1 && random.once_in(5) {
                    into.insert(name.clone(), map[&name].clone());
                    return format!("with {}", path.join("."));
                }
                source = &map[&name];
                let Some(next) = into.get_mut(&name) else { break };
                target = next;
            }
            Value::Array(items) if !items.is_empty() => {
                let Value::Array(into) = target else { break };
                path.push("0".to_owned());
                if into.is_empty() || random.once_in(4) {
                    into.push(items[0].clone());
                    return format!("with {}", path.join("."));
                }
                source = &items[0];
                let index = random.below(into.len());
                target = &mut into[index];
            }
            _ => break,
        }
    }
    format!("as it was at {}", path.join("."))
}

/// Writes one field twice, which no tree can have.
fn duplicate(random: &mut Random, text: &mut String) -> String {
    let starts: Vec<usize> = text.match_indices("{\"").map(|(at, _)| at + 1).collect();
    if starts.is_empty() {
        return "nothing".to_owned();
    }
    let start = *random.pick(&starts);
    let Some(end) = text[start + 1..].find('"').map(|n| start + 1 + n + 1) else { return "nothing".to_owned() };
    let field = text[start..end].to_owned();
    text.insert_str(start, &format!("{field}:null,"));
    format!("{field} twice")
}

/// A random place below the root; names of type fields are left alone mostly.
fn somewhere(random: &mut Random, tree: &Value) -> Place {
    let mut all = Vec::new();
    places(tree, &mut Vec::new(), &mut all);
    if all.is_empty() {
        return Vec::new();
    }
    let mut place = random.pick(&all).clone();
    if matches!(place.last().map(String::as_str), Some("apiVersion" | "kind")) && place.len() == 1 && !random.once_in(4) {
        place = random.pick(&all).clone();
    }
    place
}

fn places(tree: &Value, here: &mut Place, out: &mut Vec<Place>) {
    let below: Vec<(String, &Value)> = match tree {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => return,
    };
    for (name, value) in below {
        here.push(name);
        out.push(here.clone());
        places(value, here, out);
        here.pop();
    }
}

fn at<'a>(tree: &'a mut Value, place: &[String]) -> Option<&'a mut Value> {
    place.iter().try_fold(tree, |value, name| match value {
        Value::Object(map) => map.get_mut(name),
        Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn remove(tree: &mut Value, place: &Place) {
    let Some((last, above)) = place.split_last() else { return };
    match at(tree, above) {
        Some(Value::Object(map)) => {
            map.remove(last);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = last.parse::<usize>().ok().filter(|i| *i < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_mutations_again() {
        let object = json!({"metadata": {"name": "a"}, "spec": {"n": 1, "list": [{"x": "y"}]}});
        let donor = json!({"spec": {"n": 7, "m": {"k": 1}}});
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| mutate(&mut random, &object, Some(&donor)).text).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().filter(|text| **text != object.to_string()).count() > 40);
    }
}
