//! What is demanded of a definition: of one that exists already, only what it kept before.

use std::collections::{HashMap, HashSet};

use meta::Object;
use schema::structural;
use serde_json::Value;

use super::conversion::{self, has_review_version};
use super::definition::{Definition, Props, open_api};
use super::versions::SELECTABLE;
use super::walk::{is_loose_keys, is_loose_set};

/// Types that there are.
pub const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What is demanded beyond what always is.
#[derive(Clone, Debug)]
pub struct Demands {
    /// A version of the conversion's review that upstream speaks.
    pub review_version: bool,
    /// Kind and scope stay.
    pub immutable_names: bool,
    /// Every version has a schema.
    pub open_api: bool,
    /// Types are known ones.
    pub types: bool,
    /// Schemas are structural.
    pub structural: bool,
    /// Defaults have nothing that is unknown.
    pub pruned_defaults: bool,
    /// Elements of sets are taken as a whole.
    pub atomic_sets: bool,
    /// Keys of lists that are maps are there, and are no null.
    pub map_keys: bool,
    /// Any text is taken for certificates.
    pub any_bundle: bool,
    /// Versions that may keep more selectable fields than there may be.
    pub many_selectable: HashSet<String>,
    /// Versions whose schemas have not changed: what each of their rules costs was let in before.
    pub same_schemas: HashSet<String>,
}

impl Demands {
    /// Of a new definition.
    pub fn of_new() -> Demands {
        Demands {
            review_version: true,
            immutable_names: false,
            open_api: true,
            types: true,
            structural: true,
            pruned_defaults: true,
            atomic_sets: true,
            map_keys: true,
            any_bundle: true,
            many_selectable: HashSet::new(),
            same_schemas: HashSet::new(),
        }
    }

    /// Of a change.
    pub fn of_change(new: &Object, old: &Object) -> Demands {
        let definition = Definition::of(old);
        let established = is_established(old);
        let reviews = old.list_at("spec.conversion.webhook.conversionReviewVersions");
        let bundle = old.str_at("spec.conversion.webhook.clientConfig.caBundle");
        let described = open_api(definition.parts.schema).is_some();
        Demands {
            review_version: has_review_version(reviews),
            immutable_names: established,
            open_api: described || definition.versions.iter().all(|version| open_api(version.parts.schema).is_some()),
            types: !definition.any(|schema| !matches!(text(schema, "type"), "") && !TYPES.contains(&text(schema, "type"))),
            structural: !definition.schemas().any(|schema| !is_structural(schema)),
            pruned_defaults: !definition.schemas().any(|schema| is_structural(schema) && structural::has_unpruned(schema)),
            atomic_sets: !definition.any(is_loose_set),
            map_keys: !definition.any(is_loose_keys),
            any_bundle: !established || !bundle.is_empty() && conversion::bundle(bundle).is_err(),
            many_selectable: many_selectable(&Definition::of(new), &definition),
            same_schemas: same_schemas(&Definition::of(new), &definition),
        }
    }
}

/// What all versions have alike counts for any name, also for one that is new.
fn same_schemas(new: &Definition, old: &Definition) -> HashSet<String> {
    let schema = |of: &Definition<'_>, name: &str| {
        let own = || of.versions.iter().find(|version| version.name == name).map(|version| version.parts.schema.cloned());
        of.parts.schema.map(|all| Some(all.clone())).or_else(own)
    };
    let is_same = |name: &&str| schema(new, name).is_some_and(|schema_now| schema(old, name) == Some(schema_now));
    new.versions.iter().map(|version| version.name).filter(is_same).map(str::to_owned).collect()
}

fn text<'s>(schema: &'s Props, name: &str) -> &'s str {
    schema.get(name).and_then(Value::as_str).unwrap_or("")
}

fn is_structural(schema: &Props) -> bool {
    let read = structural::Check::read(schema, structural::Formats::OfObjects);
    read.is_ok() && structural::validate_form(&meta::field::Path::default(), schema).is_empty()
}

fn is_established(old: &Object) -> bool {
    let conditions = old.list_at("status.conditions").iter();
    let condition = conditions.into_iter().find(|condition| condition.get("type").is_some_and(|kind| *kind == "Established"));
    condition.is_some_and(|condition| condition.get("status").is_some_and(|status| *status == "True"))
}

fn many_selectable(new: &Definition, old: &Definition) -> HashSet<String> {
    let many = |fields: Option<&Value>| fields.and_then(Value::as_array).is_some_and(|list| list.len() > SELECTABLE);
    let mut kept = HashSet::new();
    if many(old.parts.selectable) && new.parts.selectable == old.parts.selectable {
        kept.insert(String::new());
    }
    let before: HashMap<&str, Option<&Value>> = old.versions.iter().map(|old| (old.name, old.parts.selectable)).collect();
    for version in &new.versions {
        let before = before.get(version.name).copied();
        if before.is_some_and(|before| many(before) && before == version.parts.selectable) {
            kept.insert(version.name.to_owned());
        }
    }
    kept
}
