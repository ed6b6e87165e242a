//! `metadata` of any kind (upstream: `apimachinery/pkg/api/validation/objectmeta.go`).

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};
use meta::object::string_map;
use meta::{Gvk, Object, limits, text};
use serde_json::Value;

/// What is wrong with the metadata of an object of any kind whose name was generated already. `name_fn` is the kind's
/// [`validate_name`](crate::Rules::validate_name).
pub fn metadata(object: &Object, namespaced: bool, name_fn: &dyn Fn(&str, bool) -> Vec<String>) -> Errors {
    let path = Path::new("metadata");
    let mut errors = Errors::new();
    let mut names = |field: &str, value: &str, prefix| {
        let messages = name_fn(value, prefix);
        errors.extend(messages.into_iter().map(|m| Error::invalid(&path.child(field), value, m)));
    };
    let generate = object.str_at("metadata.generateName");
    if !generate.is_empty() {
        names("generateName", generate, true);
    }
    if object.name().is_empty() {
        errors.push(Error::required(&path.child("name"), "name or generateName is required"));
    } else {
        names("name", object.name(), false);
    }
    errors.extend(namespace(object.namespace(), namespaced, &path.child("namespace")));
    if object.generation() < 0 {
        let at = path.child("generation");
        errors.push(Error::invalid(&at, object.generation(), "must be greater than or equal to 0"));
    }
    errors.extend(labels(object.at("metadata.labels"), &path.child("labels")));
    errors.extend(annotations(object.at("metadata.annotations"), &path.child("annotations")));
    errors.extend(owners(object.at("metadata.ownerReferences"), &path.child("ownerReferences")));
    errors.extend(finalizers(object, &path.child("finalizers")));
    errors.extend(managed_fields(object, &path.child("managedFields")));
    errors
}

/// What a kind says of metadata in its own check, beside the one for all kinds: at an update upstream repeats it.
pub fn own_metadata(object: &Object, namespaced: bool, name_fn: &dyn Fn(&str, bool) -> Vec<String>) -> Errors {
    let mut errors = metadata(object, namespaced, name_fn);
    standard_finalizers(object, &mut errors);
    errors
}

/// What a kind says of a change of metadata in its own check.
pub fn own_metadata_update(new: &Object, old: &Object) -> Errors {
    let mut errors = metadata_update(new, old);
    standard_finalizers(new, &mut errors);
    errors
}

/// Finalizers without a prefix that nobody knows. Most kinds check for them; what holds for all kinds does not.
pub fn standard_finalizers(object: &Object, errors: &mut Errors) {
    let path = Path::new("metadata").child("finalizers");
    for (i, name) in object.finalizers().enumerate() {
        errors.extend(super::standard_finalizer(name).map(|m| Error::invalid(&path.index(i), name, m)));
    }
}

/// What is wrong with a change of metadata, of any kind.
pub fn metadata_update(new: &Object, old: &Object) -> Errors {
    let path = Path::new("metadata");
    let mut errors = Errors::new();
    if old.deletion_timestamp().is_some() {
        errors.extend(no_new_finalizers(new, old, &path.child("finalizers")));
    }
    if new.resource_version().is_empty() {
        errors.push(Error::invalid(&path.child("resourceVersion"), "", "must be specified for an update"));
    }
    if new.generation() < old.generation() {
        errors.push(Error::invalid(&path.child("generation"), new.generation(), "must not be decremented"));
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let value = |o: &Object| o.at(&format!("metadata.{field}")).filter(|v| !v.is_null()).cloned();
        let (is, was) = (value(new), value(old));
        let empty = if matches!(field, "name" | "namespace" | "uid") { Value::from("") } else { Value::Null };
        let (is, was) = (is.unwrap_or_else(|| empty.clone()), was.unwrap_or(empty));
        if is != was {
            errors.push(Error::invalid(&path.child(field), is, super::IMMUTABLE));
        }
    }
    errors.extend(labels(new.at("metadata.labels"), &path.child("labels")));
    errors.extend(annotations(new.at("metadata.annotations"), &path.child("annotations")));
    errors.extend(owners(new.at("metadata.ownerReferences"), &path.child("ownerReferences")));
    errors.extend(managed_fields(new, &path.child("managedFields")));
    errors
}

fn namespace(value: &str, namespaced: bool, path: &Path) -> Errors {
    match (namespaced, value) {
        (true, "") => vec![Error::required(path, "")],
        (true, value) => text::dns1123_label(value, false).into_iter().map(|m| Error::invalid(path, value, m)).collect(),
        (false, "") => Errors::new(),
        (false, _) => vec![Error::forbidden(path, "not allowed on this type")],
    }
}

/// What is wrong with a map of labels.
pub fn labels(map: Option<&Value>, path: &Path) -> Errors {
    string_map(map).flat_map(|(k, v)| label(k, v, path)).collect()
}

/// What is wrong with one label.
pub fn label(key: &str, value: &str, path: &Path) -> Errors {
    let mut errors = label_key(key, path);
    errors.extend(text::label_value(value).into_iter().map(|m| Error::invalid(path, value, m)));
    errors
}

/// What is wrong with the key of a label.
pub fn label_key(key: &str, path: &Path) -> Errors {
    text::qualified_name(key).into_iter().map(|m| Error::invalid(path, key, m)).collect()
}

/// What is wrong with a map of annotations.
pub fn annotations(map: Option<&Value>, path: &Path) -> Errors {
    let mut errors = Errors::new();
    let mut size = 0;
    for (key, value) in string_map(map) {
        size += key.len() + value.len();
        let lower = key.to_lowercase();
        errors.extend(text::qualified_name(&lower).into_iter().map(|m| Error::invalid(path, key, m)));
    }
    if size > limits::ANNOTATIONS {
        errors.push(Error::too_long(path, limits::ANNOTATIONS));
    }
    errors
}

/// How often it is said that there is more than one controller.
const DOUBLES: usize = 10;

fn owners(list: Option<&Value>, path: &Path) -> Errors {
    let mut errors = Errors::new();
    let mut controller: Option<String> = None;
    let mut doubles = 0;
    for owner in list.and_then(Value::as_array).into_iter().flatten() {
        let get = |f: &str| owner.get(f).and_then(Value::as_str).unwrap_or("");
        let gvk = Gvk::from_api_version(get("apiVersion"), get("kind"));
        if gvk.version.is_empty() {
            errors.push(Error::invalid(&path.child("apiVersion"), get("apiVersion"), "version must not be empty"));
        }
        for field in ["kind", "name", "uid"] {
            if get(field).is_empty() {
                errors.push(Error::invalid(&path.child(field), "", "must not be empty"));
            }
        }
        if gvk == Gvk::new("", "v1", "Event") {
            errors.push(Error::invalid(path, owner.clone(), "/v1, Kind=Event is disallowed from being an owner"));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let name = format!("{}/{}", get("kind"), get("name"));
            match &controller {
                // The message shows the whole list.
                Some(_) if doubles == DOUBLES => {}
                Some(first) => {
                    doubles += 1;
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                    );
                    errors.push(Error::invalid(path, list.cloned().unwrap_or_default(), detail));
                }
                None => controller = Some(name),
            }
        }
    }
    errors
}

fn finalizers(object: &Object, path: &Path) -> Errors {
    let mut errors = Errors::new();
    for name in object.finalizers() {
        errors.extend(text::qualified_name(name).into_iter().map(|m| Error::invalid(path, name, m)));
    }
    if object.finalizers().any(|f| f == "orphan") && object.finalizers().any(|f| f == "foregroundDeletion") {
        let list = object.at("metadata.finalizers").cloned().unwrap_or_default();
        errors.push(Error::invalid(path, list, "finalizer foregroundDeletion and orphan cannot be both set"));
    }
    errors
}

fn no_new_finalizers(new: &Object, old: &Object, path: &Path) -> Option<Error> {
    let present: HashSet<&str> = old.finalizers().collect();
    let mut extra: Vec<&str> = new.finalizers().filter(|f| !present.contains(f)).collect();
    extra.sort_unstable();
    extra.dedup();
    let quoted: Vec<String> = extra.iter().map(|f| format!("{f:?}")).collect();
    let list = quoted.join(", ");
    (!extra.is_empty()).then(|| {
        let detail = "no new finalizers can be added if the object is being deleted, found new finalizers";
        Error::forbidden(path, format!("{detail} []string{{{list}}}"))
    })
}

fn managed_fields(object: &Object, path: &Path) -> Errors {
    let mut errors = Errors::new();
    for (i, entry) in object.list_at("metadata.managedFields").iter().enumerate() {
        let path = path.index(i);
        let get = |f: &str| entry.get(f).and_then(Value::as_str).unwrap_or("");
        if !matches!(get("operation"), "Apply" | "Update") {
            errors.push(Error::invalid(&path.child("operation"), get("operation"), "must be `Apply` or `Update`"));
        }
        if !matches!(get("fieldsType"), "" | "FieldsV1") {
            errors.push(Error::invalid(&path.child("fieldsType"), get("fieldsType"), "must be `FieldsV1`"));
        }
        if get("manager").len() > limits::MANAGER {
            errors.push(Error::too_long(&path.child("manager"), limits::MANAGER));
        }
        if get("subresource").len() > 256 {
            errors.push(Error::too_long(&path.child("subresource"), 256));
        }
    }
    errors
}
