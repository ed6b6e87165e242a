//! Which names a CustomResourceDefinition gets, and what its status says of it (upstream:
//! `pkg/controller/status/naming_controller.go`, `controller/establish`). Pure.

use std::collections::{HashMap, HashSet};

use meta::Object;
use serde_json::{Map, Value};

use super::conditions;

/// Names that definitions have, and which ones.
#[derive(Default)]
pub struct Taken(HashMap<Place, HashSet<String>>);

/// Group, sort and name.
type Place = (String, Sort, String);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    Resource,
    Kind,
}

impl Taken {
    /// Takes in what a definition has.
    pub fn add(&mut self, definition: &Object) {
        for place in places(definition) {
            self.0.entry(place).or_default().insert(definition.name().to_owned());
        }
    }

    /// Forgets what it had.
    pub fn remove(&mut self, definition: &Object) {
        for place in places(definition) {
            let Some(owners) = self.0.get_mut(&place) else { continue };
            owners.remove(definition.name());
            if owners.is_empty() {
                self.0.remove(&place);
            }
        }
    }

    /// Whether another definition of the group has the name.
    fn has(&self, definition: &Object, sort: Sort, name: &str) -> bool {
        let place = (definition.str_at("spec.group").to_owned(), sort, name.to_owned());
        self.0.get(&place).is_some_and(|owners| owners.iter().any(|owner| owner != definition.name()))
    }
}

fn places(definition: &Object) -> Vec<Place> {
    let group = definition.str_at("spec.group");
    let name = |field: &str| definition.str_at(&format!("status.acceptedNames.{field}"));
    let short = definition.list_at("status.acceptedNames.shortNames").iter().filter_map(Value::as_str);
    let resources = [name("plural"), name("singular")].into_iter().chain(short).map(|name| (Sort::Resource, name));
    let all = resources.chain([name("kind"), name("listKind")].map(|name| (Sort::Kind, name)));
    all.filter(|(_, name)| !name.is_empty()).map(|(sort, name)| (group.to_owned(), sort, name.to_owned())).collect()
}

/// The definition with the status that it should have: names that nobody else has are accepted, and once all are, the
/// definition is established.
pub fn settled(definition: &Object, taken: &Taken) -> Object {
    let mut settled = definition.clone();
    let mut accepted = definition.at("status.acceptedNames").and_then(Value::as_object).cloned().unwrap_or_default();
    let conflict = accept(definition, taken, &mut accepted);
    settled.set("status.acceptedNames", accepted);
    let is_accepted = conflict.is_none();
    let (status, (reason, message)) = match conflict {
        Some(conflict) => ("False", conflict),
        None => ("True", ("NoConflicts", "no conflicts found".to_owned())),
    };
    conditions::set(&mut settled, "NamesAccepted", status, reason, &message);
    if is_accepted && !conditions::is_true(definition, "Established") {
        conditions::set(&mut settled, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted");
    } else if conditions::find(&settled, "Established").is_none() {
        conditions::set(&mut settled, "Established", "False", "NotAccepted", "not all names are accepted");
    }
    conditions::approval(&mut settled);
    settled
}

/// Takes over the names that are free; says which was not, the last one of them.
fn accept(definition: &Object, taken: &Taken, accepted: &mut Map<String, Value>) -> Option<(&'static str, String)> {
    let mut conflict = None;
    let single = [
        ("plural", "PluralConflict", Sort::Resource),
        ("singular", "SingularConflict", Sort::Resource),
        ("kind", "KindConflict", Sort::Kind),
        ("listKind", "ListKindConflict", Sort::Kind),
    ];
    for (at, (field, reason, sort)) in single.into_iter().enumerate() {
        if at == 2 {
            conflict = short_names(definition, taken, accepted).or(conflict);
        }
        let wanted = definition.str_at(&format!("spec.names.{field}"));
        let has = accepted.get(field).and_then(Value::as_str).unwrap_or_default();
        if wanted != has && taken.has(definition, sort, wanted) {
            conflict = Some((reason, in_use(wanted)));
        } else {
            accepted.insert(field.to_owned(), wanted.into());
        }
    }
    match definition.at("spec.names.categories") {
        Some(categories) => drop(accepted.insert("categories".to_owned(), categories.clone())),
        None => drop(accepted.remove("categories")),
    }
    conflict
}

fn short_names(definition: &Object, taken: &Taken, accepted: &mut Map<String, Value>) -> Option<(&'static str, String)> {
    let wanted = definition.list_at("spec.names.shortNames");
    let has: Vec<&str> = accepted.get("shortNames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let names = wanted.iter().filter_map(Value::as_str);
    let used: Vec<String> = names.filter(|name| !has.contains(name) && taken.has(definition, Sort::Resource, name)).map(in_use).collect();
    match &used[..] {
        [] if wanted.is_empty() => drop(accepted.remove("shortNames")),
        [] => drop(accepted.insert("shortNames".to_owned(), wanted.to_vec().into())),
        [one] => return Some(("ShortNamesConflict", one.clone())),
        many => return Some(("ShortNamesConflict", format!("[{}]", many.join(", ")))),
    }
    None
}

fn in_use(name: &str) -> String {
    format!("{} is already in use", meta::text::quoted(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(plural: &str, kind: &str, short: &[&str]) -> Object {
        let names = json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"), "shortNames": short});
        Object::from_value(json!({"metadata": {"name": format!("{plural}.example.com")}, "spec": {"group": "example.com", "names": names}}))
            .expect("an object")
    }

    fn by(definitions: &[&Object]) -> Taken {
        let mut taken = Taken::default();
        definitions.iter().for_each(|definition| taken.add(definition));
        taken
    }

    fn said(definition: &Object, kind: &str) -> String {
        let condition = conditions::find(definition, kind).cloned().unwrap_or_default();
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    #[test]
    fn free_names_are_accepted_and_taken_ones_are_not() {
        let first = settled(&definition("widgets", "Widget", &["w"]), &by(&[]));
        assert_eq!(said(&first, "NamesAccepted"), "True NoConflicts: no conflicts found");
        assert_eq!(said(&first, "Established"), "True InitialNamesAccepted: the initial names have been accepted");
        assert_eq!(first.str_at("status.acceptedNames.listKind"), "WidgetList");
        assert_eq!(settled(&first, &by(&[&first])), first, "nothing more is to do");
        let other = settled(&definition("gadgets", "Widget", &["w", "g"]), &by(&[&first]));
        assert_eq!(said(&other, "NamesAccepted"), r#"False ListKindConflict: "WidgetList" is already in use"#);
        assert_eq!(said(&other, "Established"), "False NotAccepted: not all names are accepted");
        assert_eq!(other.at("status.acceptedNames"), Some(&json!({"plural": "gadgets"})));
    }

    #[test]
    fn a_change_of_names_keeps_what_was_accepted() {
        let taken = settled(&definition("widgets", "Widget", &[]), &by(&[]));
        let first = settled(&definition("gadgets", "Gadget", &["g"]), &by(&[&taken]));
        let mut changed = first.clone();
        changed.set("spec.names.kind", "Widget");
        let again = settled(&changed, &by(&[&taken, &first]));
        assert_eq!(said(&again, "NamesAccepted"), r#"False KindConflict: "Widget" is already in use"#);
        assert_eq!(again.str_at("status.acceptedNames.kind"), "Gadget");
        assert!(conditions::is_true(&again, "Established"), "what was served is served on");
    }
}
