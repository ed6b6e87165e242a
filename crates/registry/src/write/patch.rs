//! Patch: an update whose new state is computed from the present one.

use jiff::Timestamp;
use meta::field::{Error, Path};
use meta::{Gvk, Object, Reason, Status};
use schema::{PatchError, Schema};
use serde_json::Value;

use super::update::Edit;
use crate::api::{FieldValidation, Patch};
use crate::apply::Writer;

/// Operations in one JSON patch (as upstream).
const OPERATIONS: usize = 10_000;

/// Fills in what the server would.
type Fill<'a> = &'a (dyn Fn(&mut Object) + Sync);

/// A patch of an object of the schema's kind.
pub(crate) struct Patching<'a> {
    writer: Writer<'a>,
    patch: &'a Patch,
    validation: FieldValidation,
    default: Fill<'a>,
    warnings: Vec<String>,
}

impl<'a> Patching<'a> {
    /// Refuses what can be refused without the object.
    pub fn new(
        writer: Writer<'a>,
        patch: &'a Patch,
        validation: FieldValidation,
        default: Fill<'a>,
    ) -> Result<Self, Status> {
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
            Patch::Apply { configuration, .. } => {
                check_configuration(writer.schema, configuration)?;
                Ok(Patching { writer, patch, validation, default, warnings: Vec::new() })
            }
            _ => Ok(Patching { writer, patch, validation, default, warnings: Vec::new() }),
        }
    }

    /// The patched object, without the fields that the schema does not know.
    pub fn patched(&mut self, old: Object) -> Result<Object, Status> {
        if let Patch::Apply { configuration, force } = self.patch {
            return self.applied(&old, configuration, *force);
        }
        let gvk = (old.api_version().to_owned(), old.kind().to_owned());
        let value = apply(self.writer.schema, old, self.patch)?;
        let shown = |value: &Value| Value::from(value.to_string());
        let refuse = |value: Value, why: String| {
            Status::invalid("", "", "", &[Error::invalid(&Path::new("patch"), value, why)])
        };
        let text = shown(&value);
        let decoded = self.writer.schema.decode_value(&value).map_err(|e| refuse(text.clone(), e.to_string()))?;
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

    fn applied(&self, live: &Object, configuration: &Object, force: bool) -> Result<Object, Status> {
        let schema = self.writer.schema;
        let gvk = schema.gvk();
        // Upstream's answer carries no reason.
        let refuse = |why: &str| {
            let key = format!("{}/{}", configuration.namespace(), configuration.name());
            let kind = format!("{}/{}, Kind={}", gvk.group, gvk.version, gvk.kind);
            Status::new(Reason::Unknown, format!("failed to create typed patch object ({key}; {kind}): {why}"))
        };
        let decoded = schema.decode_value(&configuration.clone().into_value()).map_err(|e| refuse(&e.to_string()))?;
        if let Some(odd) = decoded.strict_errors.first() {
            let field = odd.split('"').nth(1).unwrap_or(odd);
            return Err(refuse(&format!(".{field}: field not declared in schema")));
        }
        if let Some(flaw) = self.writer.flaw(configuration) {
            return Err(refuse(&flaw));
        }
        let mut live = live.clone();
        live.set_gvk(gvk);
        let finish = |merged: Value| {
            let mut object = schema.decode_value(&merged).map_err(|e| refuse(&e.to_string()))?.object;
            (self.default)(&mut object);
            Ok(object)
        };
        self.writer.apply(&live, configuration, force, Timestamp::now(), finish)
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

    fn creates(&self) -> bool {
        self.owns_fields() && self.writer.subresource.is_empty()
    }

    fn owns_fields(&self) -> bool {
        matches!(self.patch, Patch::Apply { .. })
    }
}

fn check_configuration(schema: &Schema, configuration: &Object) -> Result<(), Status> {
    let (is, wanted) = (configuration.api_version(), schema.gvk().api_version());
    if configuration.kind() != &*schema.gvk().kind {
        let Gvk { group, version, kind } = configuration.gvk();
        return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    if is != wanted {
        let why = format!("Incorrect version specified in apply patch. Specified patch version: {is}, expected: {wanted}");
        return Err(Status::bad_request(why));
    }
    if configuration.at("metadata.managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

fn apply(schema: &Schema, old: Object, patch: &Patch) -> Result<Value, Status> {
    let unprocessable = |error: &dyn std::fmt::Display| {
        tracing::debug!(%error, "a patch does not apply");
        Status::generic(Reason::Invalid, "the server rejected our request due to an error in our request")
    };
    match patch {
        Patch::Json(patch) => {
            let patch: json_patch::Patch =
                serde_json::from_value(patch.clone()).map_err(|error| unprocessable(&error))?;
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
        Patch::Apply { .. } => unreachable!("an apply is no patch of a tree"),
    }
}
