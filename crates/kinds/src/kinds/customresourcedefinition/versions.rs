//! One version of a kind: its columns, subresources and selectable fields.

use std::collections::HashSet;

use meta::Object;
use meta::field::{Error, Errors, Path};
use schema::structural::field_path;
use serde_json::Value;

use super::definition::{Props, Version, open_api};
use super::old::Demands;
use crate::view::View;

/// Fields by which objects of a kind can be selected.
pub const SELECTABLE: usize = 8;
const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

/// What is wrong with one, beside its name.
pub fn validate(version: &Version, at: &View<'_>, status: bool, demands: &Demands, errors: &mut Errors) {
    let warning = at.at("deprecationWarning");
    if warning.exists() {
        warning.all_invalid(deprecation(at.flag("deprecated"), warning.str()), errors);
    }
    super::schema::validate(version.parts.schema, &at.path.child("schema"), status, version.name, demands, errors);
    subresources(&View::new(version.parts.subresources, at.path.child("subresources")), errors);
    columns(&View::new(version.parts.columns, at.path.child("additionalPrinterColumns")), errors);
    let fields = View::new(version.parts.selectable, at.path.child("selectableFields"));
    if fields.list().is_empty() {
        return;
    }
    let schema = open_api(version.parts.schema);
    if schema.is_none() {
        let why = "may only be set when `version.schema.openAPIV3Schema` is not included";
        return errors.push(Error::invalid(&fields.path, "", why));
    }
    selectable(&fields, schema, &at.path, version.name, demands, errors);
}

fn deprecation(deprecated: bool, warning: &str) -> Vec<String> {
    if !deprecated {
        return vec!["can only be set for deprecated versions".to_owned()];
    }
    let mut wrong = Vec::new();
    if warning.len() > 256 {
        wrong.push("must be <= 256 characters long".to_owned());
    }
    if warning.is_empty() {
        wrong.push("must not be an empty string".to_owned());
    }
    let hidden = |c: &char| meta::text::quoted(&c.to_string()).len() != c.len_utf8() + 2 && !matches!(c, '"' | '\\');
    if let Some((index, _)) = warning.char_indices().find(|(_, c)| hidden(c)) {
        wrong.push(format!("must only contain printable UTF-8 characters; non-printable character found at index {index}"));
    }
    wrong
}

/// Status and scale.
pub fn subresources(subresources: &View<'_>, errors: &mut Errors) {
    let Some(scale) = subresources.get("scale") else { return };
    for (name, root) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
        let (field, at) = (scale.at(name), subresources.path.child("scale").child(name));
        if field.str().is_empty() {
            errors.push(Error::required(&at, ""));
        } else if let Some(error) = simple_path(field.str(), &at) {
            errors.push(error);
        } else if !field.str().starts_with(root) {
            let root = root.trim_end_matches('.');
            errors.push(Error::invalid(&at, field.str(), format!("should be a json path under {root}")));
        }
    }
    let (selector, at) = (scale.text("labelSelectorPath"), subresources.path.child("scale").child("labelSelectorPath"));
    if selector.is_empty() {
    } else if let Some(error) = simple_path(selector, &at) {
        errors.push(error);
    } else if ![".spec.", ".status."].iter().any(|root| selector.starts_with(root)) {
        errors.push(Error::invalid(&at, selector, "should be a json path under either .spec or .status"));
    }
}

/// What `kubectl get` shows.
pub fn columns(columns: &View<'_>, errors: &mut Errors) {
    for column in columns.items() {
        let (name, kind, format) = (column.at("name"), column.at("type"), column.at("format"));
        if name.str().is_empty() {
            errors.push(name.required(""));
        }
        let types = format!("must be one of {}", TYPES.join(","));
        if kind.str().is_empty() {
            errors.push(kind.required(types));
        } else if !TYPES.contains(&kind.str()) {
            errors.push(kind.invalid(types));
        }
        if !format.str().is_empty() && !FORMATS.contains(&format.str()) {
            errors.push(format.invalid(format!("must be one of {}", FORMATS.join(","))));
        }
        let at = column.path.child("JSONPath");
        match column.text("jsonPath") {
            "" => errors.push(Error::required(&at, "")),
            path => errors.extend(simple_path(path, &at)),
        }
    }
}

fn simple_path(text: &str, path: &Path) -> Option<Error> {
    (!text.starts_with('.')).then(|| Error::invalid(path, text, "must be a simple json path starting with ."))
}

/// Fields by which objects are selected: `version` is empty beside the versions.
pub fn selectable(fields: &View<'_>, schema: Option<&Props>, path: &Path, version: &str, demands: &Demands, errors: &mut Errors) {
    let (nothing, formats) = (Props::new(), schema::structural::Formats::OfObjects);
    let mut schema = schema.unwrap_or(&nothing);
    if let Err(why) = schema::structural::Check::read(schema, formats) {
        errors.push(Error::invalid(&path.child("schema.openAPIV3Schema"), "", why));
        schema = &nothing;
    }
    let mut known = HashSet::new();
    for field in fields.items() {
        let at = field.at("jsonPath");
        if at.str().is_empty() {
            errors.push(at.required(""));
            continue;
        }
        let (found, root, of) = match field_path(at.str(), schema, false) {
            Ok(found) => found,
            Err(why) => {
                errors.push(at.invalid(format!("is an invalid path: {why}")));
                continue;
            }
        };
        if root == "metadata" {
            errors.push(at.invalid("must not point to fields in metadata"));
        }
        if !matches!(of.get("type").and_then(Value::as_str), Some("string" | "boolean" | "integer")) {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(at.invalid(why));
        }
        if !known.insert(found) {
            errors.push(at.duplicate());
        }
    }
    if known.len() > SELECTABLE && !demands.many_selectable.contains(version) {
        errors.push(Error::too_many(&fields.path, known.len(), SELECTABLE));
    }
}

/// Versions in which objects may be stored.
pub fn stored(object: &Object, errors: &mut Errors) {
    let stored = View::of(object, "status").at("storedVersions");
    if stored.list().is_empty() {
        let shown = if stored.exists() { "[]" } else { "null" };
        return errors.push(Error::invalid(&stored.path, "", "must have at least one stored version").showing(shown));
    }
    let versions = object.list_at("spec.versions");
    let name = |version: &Value| version.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
    let mut left: std::collections::BTreeMap<&str, View<'_>> = stored.items().map(|version| (version.str(), version)).collect();
    for version in versions {
        let name = name(version);
        // Each is taken once: a second version of that name finds nothing.
        if left.remove(&*name).is_none() && version.get("storage") == Some(&Value::Bool(true)) {
            errors.push(stored.invalid(format!("must have the storage version {name}")));
        }
    }
    for version in left.into_values() {
        let name = version.str();
        errors.push(version.invalid(format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage \
             migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        )));
    }
}
