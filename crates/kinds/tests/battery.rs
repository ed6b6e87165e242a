//! What holds for every kind of the list: each has a small example, which its rules complete and accept.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kinds::{Context, Descriptor, Now, Subresource, Verbs};
use meta::Object;

/// One small valid object a kind.
const EXAMPLES: &str = include_str!("examples.yaml");

/// Upstream's discovery of the same kinds: group version, resource, group version of the kind, kind, scope,
/// verbs, short names, categories, singular.
const DISCOVERY: &str = include_str!("discovery.txt");

fn with_examples() -> Vec<(Descriptor, Object)> {
    let example = |descriptor: &Descriptor| {
        let mut documents = EXAMPLES.split("\n---\n").filter_map(|text| descriptor.schema.decode_yaml(text.as_bytes()).ok());
        let decoded = documents.find(|d| d.object.gvk() == descriptor.gvk);
        let decoded = decoded.unwrap_or_else(|| panic!("no example of {}", descriptor.gvk));
        assert_eq!(decoded.strict_errors, [""; 0], "{}", descriptor.gvk);
        decoded.object
    };
    kinds::all().into_iter().map(|d| (example(&d), d)).map(|(object, d)| (d, object)).collect()
}

fn created(descriptor: &Descriptor, mut object: Object) -> Object {
    descriptor.rules.default(&mut object);
    descriptor.rules.prepare_create(&mut object, &Context::default());
    // What the life cycle gives it: updates are checked for it.
    if descriptor.verbs != Verbs::CreateOnly {
        object.set("metadata.resourceVersion", "1");
    }
    if descriptor.namespaced {
        object.set("metadata.namespace", "default");
    }
    object
}

#[test]
fn defaults_are_idempotent_and_examples_are_valid() {
    for (descriptor, object) in with_examples() {
        let object = created(&descriptor, object);
        let mut again = object.clone();
        descriptor.rules.default(&mut again);
        assert_eq!(again, object, "{}", descriptor.gvk);
        let errors: Vec<String> = descriptor.rules.validate(&object).iter().map(ToString::to_string).collect();
        assert_eq!(errors, [""; 0], "{}", descriptor.gvk);
        assert_eq!(descriptor.rules.validate_name(object.name(), false).len(), usize::from(object.name().is_empty()));
    }
}

#[test]
fn an_update_that_changes_nothing_is_valid_and_changes_nothing() {
    for (descriptor, object) in with_examples() {
        let old = created(&descriptor, object);
        let mut new = old.clone();
        descriptor.rules.prepare_update(&mut new, &old, &Context::default());
        assert_eq!(new, old, "{}", descriptor.gvk);
        let errors: Vec<String> = descriptor.rules.validate_update(&new, &old).iter().map(ToString::to_string).collect();
        assert_eq!(errors, [""; 0], "{}", descriptor.gvk);
        assert!(!descriptor.rules.generation_changes(&new, &old), "{}", descriptor.gvk);
        for subresource in ["status", "resize", "ephemeralcontainers"].into_iter().filter(|s| descriptor.subresource(s).is_some())
        {
            descriptor.rules.prepare_subresource(subresource, &mut new, &old, &Context::default());
            assert_eq!(new, old, "{}", descriptor.gvk);
            let errors = descriptor.rules.validate_subresource(subresource, &new, &old);
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors, [""; 0], "{}/{subresource}", descriptor.gvk);
        }
    }
}

#[test]
fn rows_have_a_cell_for_each_column() {
    for (descriptor, object) in with_examples() {
        let object = created(&descriptor, object);
        let cells = descriptor.rules.row(&object, &Now::at(Timestamp::UNIX_EPOCH));
        // Upstream's addresses have one more: their age, without a column.
        let further = usize::from(*descriptor.gvk.kind == *"IPAddress");
        assert_eq!(cells.len(), descriptor.rules.columns().len() + further, "{}", descriptor.gvk);
        let empty = descriptor.rules.row(&Object::default(), &Now::at(Timestamp::UNIX_EPOCH));
        assert_eq!(empty.len(), cells.len(), "{}", descriptor.gvk);
    }
}

#[test]
fn completed_objects_are_what_the_schema_knows() {
    for (descriptor, object) in with_examples() {
        let object = created(&descriptor, object);
        let (json, _) = descriptor.schema.encode(&object, false);
        let decoded = descriptor.schema.decode_json(&json).expect("decodes");
        assert_eq!(decoded.strict_errors, [""; 0], "{}", descriptor.gvk);
        let (again, _) = descriptor.schema.encode(&decoded.object, false);
        assert_eq!(again, json, "{}", descriptor.gvk);
    }
}

#[test]
fn storage_forms_convert_back() {
    for (descriptor, object) in with_examples() {
        let object = created(&descriptor, object);
        let stored = descriptor.rules.to_storage(object.clone()).expect("converts");
        assert_eq!(descriptor.rules.from_storage(stored).ok(), Some(object), "{}", descriptor.gvk);
    }
}

#[test]
fn descriptors_say_what_upstream_discovers() {
    let mut lines = BTreeSet::new();
    for d in kinds::all() {
        let version = d.gvk.api_version();
        let scope = if d.namespaced { "namespaced" } else { "cluster" };
        let list = |names: &[std::sync::Arc<str>]| if names.is_empty() { "-".to_owned() } else { names.join(",") };
        let (short, categories) = (list(&d.short_names), list(&d.categories));
        let verbs = d.verbs.names().join(",");
        let (resource, kind) = (&d.resource, &d.gvk.kind);
        lines.insert(format!("{version} {resource} {version} {kind} {scope} {verbs} {short} {categories} {}", d.singular));
        for Subresource { name, gvk, verbs, .. } in &d.subresources {
            let (of, kind) = gvk.map_or((version.clone(), &**kind), |(g, v, k)| (meta::names::join_api_version(g, v), k));
            lines.insert(format!("{version} {resource}/{name} {of} {kind} {scope} {} - - -", verbs.join(",")));
        }
    }
    let ours: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut theirs: Vec<&str> = DISCOVERY.lines().collect();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
}
