//! The specification of a definition.

use std::collections::HashMap;

use meta::field::{Error, Errors};
use meta::{Object, text};

use super::definition::{Definition, Parts, has_status, open_api};
use super::old::Demands;
use super::{conversion, names, printed, versions};
use crate::validate::immutable as immutable_field;
use crate::view::View;

/// What is wrong with it.
pub fn validate(object: &Object, demands: &Demands, errors: &mut Errors) {
    let definition = Definition::of(object);
    let spec = &definition.spec;
    group(&spec.at("group"), errors);
    let scope = spec.at("scope");
    if scope.str().is_empty() {
        errors.push(scope.required(""));
    } else {
        scope.one_of(&["Cluster", "Namespaced"], errors);
    }
    schemas(&definition, demands, errors);
    let mut demands = demands.clone();
    demands.structural |= !definition.kept || has_defaults(&definition) || definition.any(has_extensions);
    if definition.kept && has_defaults(&definition) {
        let why = "must be false in order to use defaults in the schema";
        errors.push(Error::invalid(&spec.at("preserveUnknownFields").path, true, why));
    }
    all_versions(&definition, &demands, errors);
    let wished = spec.at("names");
    for name in ["plural", "singular", "kind", "listKind"] {
        if wished.text(name).is_empty() {
            errors.push(wished.at(name).required(""));
        }
    }
    names::validate(&wished, errors);
    let any_status = has_status(definition.parts.subresources)
        || definition.versions.iter().any(|version| has_status(version.parts.subresources));
    beside(&definition, any_status, &demands, errors);
    let converted = spec.at("conversion");
    if definition.kept && converted.exists() && converted.text("strategy") != "None" {
        errors.push(converted.at("strategy").invalid("must be None if spec.preserveUnknownFields is true"));
    }
    conversion::validate(&converted, &demands, errors);
}

/// What cannot be changed. Kind and scope can be until the names are accepted.
pub fn immutable(new: &Object, old: &Object, demands: &Demands, errors: &mut Errors) {
    let both = |path: &[&str]| {
        let at = |object| path.iter().fold(View::of(object, "spec"), |view, name| view.at(name));
        (at(new), at(old))
    };
    let named: &[&[&str]] = &[&["scope"], &["names", "kind"]];
    let always: &[&[&str]] = &[&["group"], &["names", "plural"]];
    for path in named.iter().filter(|_| demands.immutable_names).chain(always) {
        let (new, old) = both(path);
        immutable_field(&new, &old, errors);
    }
}

fn group(group: &View<'_>, errors: &mut Errors) {
    let wrong = text::dns1123_subdomain(group.str(), false);
    if group.str().is_empty() {
        errors.push(group.required(""));
    } else if !wrong.is_empty() {
        errors.push(group.invalid(wrong.join(",")));
    } else if !group.str().contains('.') {
        errors.push(group.invalid("should be a domain with at least one dot"));
    }
}

/// Every version has a schema.
fn schemas(definition: &Definition, demands: &Demands, errors: &mut Errors) {
    if open_api(definition.parts.schema).is_some() {
        return;
    }
    for (version, at) in definition.versions.iter().zip(definition.spec.each("versions")) {
        let at = at.at("schema").at("openAPIV3Schema");
        if open_api(version.parts.schema).is_some() {
        } else if demands.open_api {
            errors.push(at.required(""));
        } else if !definition.kept && version.value.get("served").is_some_and(|served| *served == true) {
            errors.push(at.required("because otherwise all fields are pruned"));
        }
    }
}

fn has_defaults(definition: &Definition) -> bool {
    definition.any(|schema| schema.get("default").is_some_and(|default| !default.is_null()))
}

fn has_extensions(schema: &super::definition::Props) -> bool {
    let there = |name: &str| schema.get(name).is_some_and(|value| !crate::tree::is_zero(value));
    let flag = schema.get("x-kubernetes-preserve-unknown-fields").is_some_and(|value| !value.is_null());
    let names = ["x-kubernetes-embedded-resource", "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys", "x-kubernetes-list-type"];
    flag || names.into_iter().any(there) || there("x-kubernetes-validations")
}

fn all_versions(definition: &Definition, demands: &Demands, errors: &mut Errors) {
    let list = definition.spec.at("versions");
    let own = definition.versions.iter().any(|version| version.parts.subresources.is_some());
    // Of a name, the first one counts.
    let mut known = HashMap::new();
    for version in &definition.versions {
        known.entry(version.name).or_insert(version.parts.subresources);
    }
    let unique = known.len() == definition.versions.len();
    for (version, at) in definition.versions.iter().zip(list.items()) {
        let wrong = text::dns1035_label(version.name, false);
        if !wrong.is_empty() {
            errors.push(Error::invalid(&at.path.child("name"), version.name, wrong.join(",")));
        }
        let subresources = if own { known.get(version.name).copied().flatten() } else { definition.parts.subresources };
        versions::validate(version, &at, has_status(subresources), demands, errors);
    }
    let shown = || printed::versions(&definition.versions);
    if !unique {
        errors.push(Error::invalid(&list.path, "", "must contain unique version names").showing(shown()));
    }
    let stored = definition.versions.iter().filter(|version| version.value.get("storage").is_some_and(|storage| *storage == true));
    if stored.count() != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(Error::invalid(&list.path, "", why).showing(shown()));
    }
    // Upstream keeps the first version's name beside the list, too.
    if let Some(first) = definition.versions.first().filter(|first| !first.name.is_empty()) {
        let wrong = text::dns1035_label(first.name, false);
        if !wrong.is_empty() {
            errors.push(Error::invalid(&definition.spec.at("version").path, first.name, wrong.join(",")));
        }
    }
}

/// What all versions say alike.
fn beside(definition: &Definition, status: bool, demands: &Demands, errors: &mut Errors) {
    let spec = &definition.spec;
    let Parts { schema, subresources, columns, selectable } = definition.parts;
    let first = definition.versions.first().map_or("", |version| version.name);
    super::schema::validate(schema, &spec.at("validation").path, status, first, demands, errors);
    versions::subresources(&View::new(subresources, spec.at("subresources").path), errors);
    versions::columns(&View::new(columns, spec.at("additionalPrinterColumns").path), errors);
    let fields = View::new(selectable, spec.at("selectableFields").path);
    if fields.list().is_empty() {
        return;
    }
    match schema {
        None => errors.push(Error::invalid(&fields.path, "", "may only be set when validations.schema is included")),
        Some(_) => versions::selectable(&fields, open_api(schema), &spec.path, "", demands, errors),
    }
}

