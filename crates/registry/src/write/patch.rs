//! Patch: an update whose new state is computed from the present one.

use meta::field::{Error, Path};
use meta::{Object, Reason, Status};
use schema::{PatchError, Schema};
use serde_json::Value;

use super::update::Edit;
use crate::api::{FieldValidation, Patch};

/// Operations in one JSON patch (as upstream).
const OPERATIONS: usize = 10_000;

/// A patch of an object of the schema's kind.
pub(crate) struct Patching<'a> {
    pub schema: &'a Schema,
    pub patch: &'a Patch,
    pub validation: FieldValidation,
    warnings: Vec<String>,
}

impl<'a> Patching<'a> {
    /// Refuses what can be refused without the object.
    pub fn new(schema: &'a Schema, patch: &'a Patch, validation: FieldValidation) -> Result<Self, Status> {
        match patch {
            Patch::Json(Value::Array(operations)) if operations.len() > OPERATIONS => {
                let why = format!(
                    "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
                    operations.len()
                );
                Err(Status::new(Reason::RequestEntityTooLarge, why))
            }
            Patch::Merge(patch) | Patch::Strategic(patch) if !patch.is_object() => {
                Err(Status::bad_request("Invalid JSON Patch"))
            }
            _ => Ok(Patching { schema, patch, validation, warnings: Vec::new() }),
        }
    }

    /// The patched object, without the fields that the schema does not know.
    pub fn patched(&mut self, old: Object) -> Result<Object, Status> {
        let gvk = (old.api_version().to_owned(), old.kind().to_owned());
        let value = apply(self.schema, old, self.patch)?;
        let shown = |value: &Value| Value::from(value.to_string());
        let refuse = |value: Value, why: String| {
            Status::invalid("", "", "", &[Error::invalid(&Path::new("patch"), value, why)])
        };
        let text = shown(&value);
        let decoded = self.schema.decode_value(&value).map_err(|e| refuse(text.clone(), e.to_string()))?;
        if !decoded.strict_errors.is_empty() {
            match self.validation {
                FieldValidation::Ignore => {}
                FieldValidation::Warn => self.warnings = decoded.strict_errors,
                FieldValidation::Strict => {
                    let why = format!("strict decoding error: {}", decoded.strict_errors.join(", "));
                    return Err(refuse(text, why));
                }
            }
        }
        let mut object = decoded.object;
        object.set("apiVersion", gvk.0);
        object.set("kind", gvk.1);
        Ok(object)
    }

    /// What the client is warned of.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

impl Edit for Patching<'_> {
    fn apply(&mut self, old: Option<&Object>) -> Result<Object, Status> {
        self.patched(old.cloned().unwrap_or_default())
    }

    fn warnings(&mut self) -> Vec<String> {
        self.take_warnings()
    }
}

fn apply(schema: &Schema, old: Object, patch: &Patch) -> Result<Value, Status> {
    let unprocessable = |error: &dyn std::fmt::Display| {
        tracing::debug!(%error, "a patch does not apply");
        Status::new(Reason::Invalid, "the server rejected our request due to an error in our request")
    };
    match patch {
        Patch::Json(patch) => {
            let patch: json_patch::Patch =
                serde_json::from_value(patch.clone()).map_err(|e| Status::bad_request(e.to_string()))?;
            let mut value = old.into_value();
            json_patch::patch(&mut value, &patch).map_err(|error| unprocessable(&error))?;
            Ok(value)
        }
        Patch::Merge(patch) => {
            let mut value = old.into_value();
            json_patch::merge(&mut value, patch);
            Ok(value)
        }
        Patch::Strategic(patch) => match schema.strategic_merge(&old, patch) {
            Ok(object) => Ok(object.into_value()),
            Err(PatchError::Malformed(why)) => Err(Status::bad_request(why)),
            Err(PatchError::Unprocessable(why)) => Err(unprocessable(&why)),
            // Upstream's answer carries no reason.
            Err(PatchError::Unfit(why)) => Err(Status::new(Reason::Unknown, why)),
        },
        Patch::Apply { .. } => {
            let why = "the body of the request was in an unknown format - accepted media types include: \
                application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";
            Err(Status::new(Reason::UnsupportedMediaType, why))
        }
    }
}
