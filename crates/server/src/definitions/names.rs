//! Which names a CustomResourceDefinition gets, and what its status says of it (upstream:
//! `pkg/controller/status/naming_controller.go`, `controller/establish`). Pure.

use std::collections::HashSet;

use meta::Object;
use serde_json::{Map, Value};

use super::conditions;

/// Names that the other definitions of a group have.
#[derive(Default)]
struct Taken {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

impl Taken {
    fn by<'a>(others: impl Iterator<Item = &'a Object>) -> Taken {
        let mut taken = Taken::default();
        for other in others {
            let name = |field: &str| other.str_at(&format!("status.acceptedNames.{field}")).to_owned();
            let short = other.list_at("status.acceptedNames.shortNames").iter().filter_map(Value::as_str).map(str::to_owned);
            taken.resources.extend([name("plural"), name("singular")].into_iter().chain(short));
            taken.kinds.extend([name("kind"), name("listKind")]);
        }
        taken
    }
}

/// The definition with the status that it should have: names that nobody else has are accepted, and once all are, the
/// definition is established. `others` are the other definitions.
pub fn settled<'a>(definition: &Object, others: impl Iterator<Item = &'a Object>) -> Object {
    let group = definition.str_at("spec.group").to_owned();
    let taken = Taken::by(others.filter(|other| other.str_at("spec.group") == group));
    let mut settled = definition.clone();
    let mut accepted = definition.at("status.acceptedNames").and_then(Value::as_object).cloned().unwrap_or_default();
    let conflict = accept(definition, &taken, &mut accepted);
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
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ];
    for (at, (field, reason, names)) in single.into_iter().enumerate() {
        if at == 2 {
            conflict = short_names(definition, taken, accepted).or(conflict);
        }
        let wanted = definition.str_at(&format!("spec.names.{field}"));
        let has = accepted.get(field).and_then(Value::as_str).unwrap_or_default();
        if wanted != has && names.contains(wanted) {
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
    let used: Vec<String> = names.filter(|name| !has.contains(name) && taken.resources.contains(*name)).map(in_use).collect();
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

    fn said(definition: &Object, kind: &str) -> String {
        let condition = conditions::find(definition, kind).cloned().unwrap_or_default();
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    #[test]
    fn free_names_are_accepted_and_taken_ones_are_not() {
        let first = settled(&definition("widgets", "Widget", &["w"]), std::iter::empty());
        assert_eq!(said(&first, "NamesAccepted"), "True NoConflicts: no conflicts found");
        assert_eq!(said(&first, "Established"), "True InitialNamesAccepted: the initial names have been accepted");
        assert_eq!(first.str_at("status.acceptedNames.listKind"), "WidgetList");
        assert_eq!(settled(&first, std::iter::empty()), first, "nothing more is to do");
        let other = settled(&definition("gadgets", "Widget", &["w", "g"]), std::iter::once(&first));
        assert_eq!(said(&other, "NamesAccepted"), r#"False ListKindConflict: "WidgetList" is already in use"#);
        assert_eq!(said(&other, "Established"), "False NotAccepted: not all names are accepted");
        assert_eq!(other.at("status.acceptedNames"), Some(&json!({"plural": "gadgets"})));
    }

    #[test]
    fn a_change_of_names_keeps_what_was_accepted() {
        let taken = settled(&definition("widgets", "Widget", &[]), std::iter::empty());
        let first = settled(&definition("gadgets", "Gadget", &["g"]), std::iter::once(&taken));
        let mut changed = first.clone();
        changed.set("spec.names.kind", "Widget");
        let again = settled(&changed, std::iter::once(&taken));
        assert_eq!(said(&again, "NamesAccepted"), r#"False KindConflict: "Widget" is already in use"#);
        assert_eq!(again.str_at("status.acceptedNames.kind"), "Gadget");
        assert!(conditions::is_true(&again, "Established"), "what was served is served on");
    }
}
