//! How a custom resource behaves (upstream: `pkg/registry/customresource/strategy.go`, `status_strategy.go`).

use std::sync::Arc;

use meta::field::Errors;
use meta::{Object, Status};
use schema::Schema;
use serde_json::Value;

use super::columns::Columns;
use super::conversion::Conversion;
use super::expressions::Expressions;
use super::scale;
use crate::Now;
use crate::descriptor::Replicas;
use crate::kinds::customresourcedefinition::embedded;
use crate::rules::{Column, Context, Rules, Word};
use crate::validate::metadata::metadata_update;

/// The rules of one version of a custom resource.
pub(super) struct Custom {
    pub schema: Schema,
    /// The rules in CEL.
    pub expressions: Expressions,
    /// The `apiVersion` of the stored form.
    pub hub: String,
    /// Who converts, if versions differ in more than their names.
    pub conversion: Option<Arc<Conversion>>,
    pub has_status: bool,
    pub columns: Columns,
    /// Paths that field selectors may name.
    pub selectable: Vec<Word>,
    /// The warning of a deprecated version.
    pub deprecated: Option<String>,
    pub scale: Option<Replicas>,
    /// Whether the definition goes, and with it all objects.
    pub ending: bool,
}

impl Custom {
    /// The object in another version: only its name for the version changes (`spec.conversion.strategy: None`).
    fn named(mut object: Object, api_version: &str) -> Object {
        object.fields_mut().insert("apiVersion".to_owned(), api_version.into());
        object
    }

    /// What is wrong with a new object, or with a change of one.
    fn verdict(&self, new: &Object, old: Option<&Object>, mut errors: Errors) -> (Errors, Vec<String>) {
        let verdict = self.expressions.validate(new, old, &errors);
        errors.extend(verdict.errors);
        (errors, verdict.warnings)
    }

    fn of_scale(&self, object: &Object) -> Errors {
        self.scale.as_ref().map(|replicas| scale::validate(replicas, object)).unwrap_or_default()
    }
}

impl Rules for Custom {
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        if self.has_status {
            object.fields_mut().remove("status");
        }
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        if self.has_status {
            keep(new, old, "status");
        }
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        if subresource == "status" {
            // Upstream takes the old object, and of the new one the status alone.
            let (fields, version) = (new.at("metadata.managedFields").cloned(), new.resource_version().to_owned());
            keep(new, old, "metadata");
            new.remove("metadata.managedFields");
            if let Some(fields) = fields {
                new.set("metadata.managedFields", fields);
            }
            new.set("metadata.resourceVersion", version);
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        self.verdict(object, None, self.schema.validate(object, None, self.of_scale(object), &embedded)).0
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        self.judge("", new, old).0
    }

    fn validate_subresource(&self, subresource: &str, new: &Object, old: &Object) -> Errors {
        self.judge(subresource, new, old).0
    }

    fn judge(&self, subresource: &str, new: &Object, old: &Object) -> (Errors, Vec<String>) {
        let mut errors = metadata_update(new, old);
        errors.extend(match subresource {
            "status" => self.schema.validate_status(new, old, self.of_scale(new)),
            _ => self.schema.validate(new, Some(old), self.of_scale(new), &embedded),
        });
        self.verdict(new, Some(old), errors)
    }

    fn effort(&self, _subresource: &str) -> usize {
        usize::try_from(self.expressions.cost()).unwrap_or(usize::MAX)
    }

    fn kept_by_status(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }

    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        let counted = |object: &Object| {
            let mut fields = object.fields().clone();
            fields.remove("metadata");
            if self.has_status {
                fields.remove("status");
            }
            fields
        };
        counted(new) != counted(old)
    }

    fn checks_finalizers(&self) -> bool {
        false
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn refuses_new(&self) -> Option<&'static str> {
        self.ending.then_some("create not allowed while custom resource definition is terminating")
    }

    fn deprecated(&self) -> Option<&str> {
        self.deprecated.as_deref()
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let of = |path: &Word| (path.clone(), object.at(path).map(text).unwrap_or_default());
        self.selectable.iter().map(of).collect()
    }

    fn columns(&self) -> &[Column] {
        &self.columns.columns
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        self.columns.row(object, now)
    }

    fn from_storage(&self, object: Object) -> Result<Object, Status> {
        let object = Custom::named(object, &self.schema.gvk().api_version());
        let decoded = self.schema.decode_value(&object.into_value());
        let mut object = decoded.map_err(|error| Status::internal(error.to_string()))?.object;
        self.schema.default(&mut object);
        Ok(object)
    }

    fn conversion(&self) -> Option<&Arc<Conversion>> {
        self.conversion.as_ref()
    }

    fn to_storage(&self, object: Object) -> Result<Object, Status> {
        Ok(Custom::named(object, &self.hub))
    }
}

/// The new object gets a field of the old one, or loses it.
fn keep(new: &mut Object, old: &Object, field: &str) {
    match old.fields().get(field) {
        Some(value) => drop(new.fields_mut().insert(field.to_owned(), value.clone())),
        None => drop(new.fields_mut().remove(field)),
    }
}
