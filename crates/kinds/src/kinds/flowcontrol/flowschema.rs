//! FlowSchema: whose requests for what go to which level.

use meta::field::{Error, Errors};
use meta::{Object, text};
use serde_json::{Value, json};

use super::{API_VERSION, EXEMPT, bootstrap, conditions, only_status};
use crate::Now;
use crate::descriptor::{CHANGE, Descriptor};
use crate::print::{AGE, NAME, or, text as column};
use crate::rules::{Column, Context, Rules, age};
use crate::tree::{child_or_new, default_zero, restore, same, same_at};
use crate::validate::own_metadata;
use crate::view::View;

/// The highest number of a precedence.
const LAST: i64 = 10_000;
const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
const LABEL: &str = "each member of this list must be '*' or a DNS-1123 label; ";

static COLUMNS: [Column; 6] = [
    NAME,
    column("PriorityLevel", "The level that its requests go to"),
    column("MatchingPrecedence", "Schemas with lower numbers are asked first"),
    column("DistinguisherMethod", "What tells its flows apart"),
    AGE,
    column("MissingPL", "Whether its level is missing"),
];

struct FlowSchema;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin(API_VERSION, "FlowSchema", "flowschemas", FlowSchema).cluster_scoped().sub("status", CHANGE)
}

impl Rules for FlowSchema {
    fn default(&self, object: &mut Object) {
        default_zero(child_or_new(object.fields_mut(), "spec"), "matchingPrecedence", 1000);
        object.set_default("status", json!({}));
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({}));
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "status");
    }

    fn prepare_subresource(&self, _subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        only_status(new, old);
    }

    fn kept_by_status(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        !same_at(new, old, "spec")
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let spec = View::of(object, "spec");
        specification(object.name(), &spec, &mut errors);
        let fixed = bootstrap::fixed("FlowSchema", object.name());
        if fixed.is_some_and(|fixed| !same("spec", spec.value(), Some(&fixed))) {
            errors.push(spec.invalid(format!("spec of '{}' must equal the fixed value", object.name())));
        }
        conditions(object, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Object, _old: &Object) -> Errors {
        let mut errors = own_metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors
    }

    fn validate_subresource(&self, _subresource: &str, new: &Object, _old: &Object) -> Errors {
        let mut errors = Errors::new();
        conditions(new, &mut errors);
        errors
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let status = View::of(object, "status");
        let dangling = status.each("conditions").find(|condition| condition.text("type") == "Dangling");
        vec![
            object.name().into(),
            object.str_at("spec.priorityLevelConfiguration.name").into(),
            object.i64_at("spec.matchingPrecedence").unwrap_or(0).into(),
            or(object.str_at("spec.distinguisherMethod.type"), "<none>").into(),
            age(object, now).into(),
            dangling.map_or("?", |condition| condition.text("status")).into(),
        ]
    }
}

fn specification(name: &str, spec: &View<'_>, errors: &mut Errors) {
    let (precedence, field) = (spec.number("matchingPrecedence"), spec.at("matchingPrecedence"));
    let mut wrong = |detail: String| errors.push(Error::invalid(&field.path, precedence, detail));
    if precedence <= 0 {
        wrong("must be a positive value".to_owned());
    }
    if precedence > LAST {
        wrong(format!("must not be greater than {LAST}"));
    }
    if precedence == 1 && name != EXEMPT {
        wrong("only the schema named 'exempt' may have matchingPrecedence 1".to_owned());
    }
    let method = spec.at("distinguisherMethod");
    if method.exists() && !["ByNamespace", "ByUser"].contains(&method.text("type")) {
        let shown = format!(r#"{{"Type":{}}}"#, json!(method.text("type")));
        let error = Error::not_supported(&method.at("type").path, Value::Null, &["ByNamespace", "ByUser"]);
        errors.push(error.showing(shown));
    }
    let level = spec.at("priorityLevelConfiguration").at("name");
    if level.str().is_empty() {
        errors.push(level.required("must reference a priority level"));
    } else {
        level.all_invalid(text::dns1123_subdomain(level.str(), false), errors);
    }
    spec.each("rules").for_each(|rule| rule_with_subjects(&rule, errors));
}

fn rule_with_subjects(rule: &View<'_>, errors: &mut Errors) {
    if rule.at("subjects").is_empty() {
        errors.push(rule.at("subjects").required("subjects must contain at least one value"));
    }
    rule.each("subjects").for_each(|one| subject(&one, errors));
    if rule.at("resourceRules").is_empty() && rule.at("nonResourceRules").is_empty() {
        errors.push(rule.required("at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    rule.each("resourceRules").for_each(|one| resource_rule(&one, errors));
    rule.each("nonResourceRules").for_each(|one| path_rule(&one, errors));
}

/// The kinds of subjects, the field of each, and the order in which upstream looks at the fields of the others.
const SUBJECTS: [(&str, &str, [&str; 2]); 3] = [
    ("ServiceAccount", "serviceAccount", ["user", "group"]),
    ("User", "user", ["serviceAccount", "group"]),
    ("Group", "group", ["serviceAccount", "user"]),
];

fn subject(subject: &View<'_>, errors: &mut Errors) {
    let kind = subject.at("kind");
    let Some((name, field, others)) = SUBJECTS.iter().find(|(name, ..)| *name == kind.str()) else {
        return errors.push(kind.not_supported(&["Group", "ServiceAccount", "User"]));
    };
    let one = subject.at(field);
    if !one.exists() {
        errors.push(one.required(format!("{field} is required when subject kind is '{name}'")));
    } else {
        subject_name(&one, *name == "ServiceAccount", errors);
    }
    for other in others {
        let kind = SUBJECTS.iter().find(|(_, field, _)| field == other).map_or("", |(name, ..)| name);
        if subject.has(other) {
            errors.push(subject.at(other).forbidden(format!("{other} is forbidden when subject kind is not '{kind}'")));
        }
    }
}

fn subject_name(one: &View<'_>, account: bool, errors: &mut Errors) {
    let (name, namespace) = (one.at("name"), one.at("namespace"));
    if name.str().is_empty() {
        errors.push(name.required(""));
    } else if account && name.str() != "*" {
        name.all_invalid(text::dns1123_subdomain(name.str(), false), errors);
    }
    if account && namespace.str().is_empty() {
        errors.push(namespace.required("must specify namespace for service account"));
    } else if account {
        namespace.all_invalid(text::dns1123_label(namespace.str(), false), errors);
    }
}

/// A list in which `*` stands alone. `true`: it has entries of its own to look at.
fn star_alone(list: &View<'_>, empty: &str, what: &str, errors: &mut Errors) -> bool {
    let star = list.strings().any(|entry| entry == "*");
    if list.is_empty() {
        errors.push(list.required(empty));
    } else if star && list.list().len() > 1 {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
    !star && !list.is_empty()
}

fn verbs(rule: &View<'_>, errors: &mut Errors) {
    let list = rule.at("verbs");
    if star_alone(&list, "verbs must contain at least one value", "verbs", errors)
        && list.strings().any(|verb| !VERBS.contains(&verb))
    {
        errors.push(list.not_supported(&VERBS));
    }
}

fn resource_rule(rule: &View<'_>, errors: &mut Errors) {
    verbs(rule, errors);
    let empty = "resource rules must supply at least one api group";
    star_alone(&rule.at("apiGroups"), empty, "api groups", errors);
    star_alone(&rule.at("resources"), "resource rules must supply at least one resource", "resources", errors);
    let namespaces = rule.at("namespaces");
    if namespaces.is_empty() && rule.flag("clusterScope") {
        return;
    }
    let empty = "resource rules that are not cluster scoped must supply at least one namespace";
    if star_alone(&namespaces, empty, "namespaces", errors) {
        for namespace in namespaces.items() {
            let wrong = text::dns1123_label(namespace.str(), false);
            namespace.all_invalid(wrong.into_iter().map(|why| format!("{LABEL}{why}")).collect(), errors);
        }
    }
}

fn path_rule(rule: &View<'_>, errors: &mut Errors) {
    verbs(rule, errors);
    let paths = rule.at("nonResourceURLs");
    if star_alone(&paths, "nonResourceURLs must contain at least one value", "non-resource URLs", errors) {
        for path in paths.items() {
            errors.extend(wrong_path(path.str()).map(|why| path.invalid(why)));
        }
    }
}

fn wrong_path(path: &str) -> Option<&'static str> {
    let stars = path.matches('*').count();
    match path {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !path.starts_with('/') => Some("must start with slash"),
        _ if path.contains(' ') => Some("must not contain white-space"),
        _ if path.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || stars == 1 && !path.ends_with("/*") => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, change: impl Fn(&mut Value)) -> Vec<String> {
        let mut spec = bootstrap::suggested_schemas().swap_remove(0).remove("spec").expect("there");
        change(&mut spec);
        let tree = json!({"apiVersion": API_VERSION, "kind": "FlowSchema", "metadata": {"name": name}, "spec": spec});
        FlowSchema.validate(&Object::from_value(tree).expect("object")).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_said_in_upstreams_words() {
        assert_eq!(errors("a", |_| ()), [""; 0]);
        for (path, value, message) in [
            ("/matchingPrecedence", json!(1), "only the schema named 'exempt' may have matchingPrecedence 1"),
            ("/matchingPrecedence", json!(10_001), "must not be greater than 10000"),
            ("/distinguisherMethod/type", json!("x"), r#"supported values: "ByNamespace", "ByUser""#),
            ("/priorityLevelConfiguration/name", json!(""), "must reference a priority level"),
            ("/rules/0/subjects", json!([]), "subjects must contain at least one value"),
            ("/rules/0/subjects/0/kind", json!("User"), "user is required when subject kind is 'User'"),
            ("/rules/0/resourceRules/0/verbs", json!(["*", "get"]), "if '*' is present, must not specify other verbs"),
            ("/rules/0/resourceRules/0/verbs", json!(["fly"]), r#"supported values: "create", "delete""#),
            ("/rules/0/resourceRules/0/namespaces", json!(["A"]), "each member of this list must be '*' or a DNS"),
            ("/rules/0/nonResourceRules/0/nonResourceURLs", json!(["/a*"]), "wildcard can only do suffix matching"),
        ] {
            let found = errors("a", |spec| *spec.pointer_mut(path).expect("there") = value.clone());
            assert!(found.iter().any(|e| e.contains(message)), "{path}: {found:?}");
        }
        let fixed = errors(EXEMPT, |_| ());
        assert!(fixed.iter().any(|e| e.ends_with("spec of 'exempt' must equal the fixed value")), "{fixed:?}");
    }
}
