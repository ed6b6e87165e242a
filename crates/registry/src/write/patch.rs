//! Patch: an update whose new state is computed from the present one.

use bytes::Bytes;
use jiff::Timestamp;
use meta::field::{Error, Path};
use meta::{Gvk, Object, Reason, Status};
use schema::{PatchError, Schema, json_patch};
use serde_json::Value;

use super::edit::Edit;
use super::{lifecycle, shown};
use crate::api::{FieldValidation, Patch, Sent};
use crate::apply::Writer;

/// What upstream says of JSON in which it finds no type.
const NO_KIND: &str = "couldn't get version/kind; json parse error: ";

/// Fills in what the server would.
type Fill<'a> = &'a (dyn Fn(&mut Object) + Sync);

/// A patch of an object of the schema's kind.
pub(crate) struct Patching<'a> {
    writer: Writer<'a>,
    sent: &'a Sent,
    validation: FieldValidation,
    default: Fill<'a>,
    /// What upstream says of the form of the patch.
    odd: Vec<String>,
    /// The text that came out of a JSON patch.
    shown: String,
    warnings: Vec<String>,
}

impl<'a> Patching<'a> {
    /// Refuses what can be refused without the object.
    pub fn new(
        writer: Writer<'a>,
        sent: &'a Sent,
        validation: FieldValidation,
        default: Fill<'a>,
    ) -> Result<Self, Status> {
        let mut odd = sent.duplicates.clone();
        match &sent.patch {
            Patch::Json(_) if !matches!(validation, FieldValidation::Ignore) => {
                let unknown = json_patch::odd(&sent.text).map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
                odd.extend(unknown.into_iter().map(|what| format!("json patch {what}")));
            }
            Patch::Merge(patch) | Patch::Strategic(patch) if !patch.is_object() => {
                return Err(Status::bad_request("Invalid JSON Patch"));
            }
            Patch::Apply { configuration, .. } => check_configuration(writer.schema, configuration)?,
            _ => {}
        }
        Ok(Patching { writer, sent, validation, default, odd, shown: String::new(), warnings: Vec::new() })
    }

    /// The patched object, without the fields that the schema does not know.
    pub async fn patched(&mut self, old: Object) -> Result<Object, Status> {
        let sent = self.sent;
        if let Patch::Apply { configuration, force } = &sent.patch {
            return self.applied(&old, configuration, *force).await;
        }
        self.changed(old)
    }

    fn changed(&mut self, old: Object) -> Result<Object, Status> {
        let gvk = (old.api_version().to_owned(), old.kind().to_owned());
        let schema = self.writer.schema;
        let before = old.clone();
        let value = match &self.sent.patch {
            Patch::Json(_) => {
                let text = json_patched(schema, &before, &self.sent.text)?;
                let tree = schema::json_tree(&text);
                self.shown = String::from_utf8(text).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
                tree.map_err(|why| self.refuse(&before, &Value::Null, format!("{NO_KIND}{why}")))?.0
            }
            other => apply(schema, old, other)?,
        };
        let strategic = matches!(self.sent.patch, Patch::Strategic(_));
        if !strategic && let Some(why) = foreign(schema, &value) {
            return Err(self.refuse(&before, &value, why));
        }
        if !strategic && let Some(fields) = versionless(schema, &value) {
            return Err(self.lost(&before, &value, &fields));
        }
        let decoded = match &self.sent.patch {
            Patch::Strategic(_) => schema.convert_value(&value),
            // Numbers in it are as they were written.
            Patch::Json(_) => schema.decode_json(self.shown.as_bytes()),
            _ => schema.decode_value(&value),
        };
        let decoded = decoded.map_err(|e| self.refuse(&before, &value, e.to_string()))?;
        let odd: Vec<String> = self.odd.iter().cloned().chain(decoded.strict_errors).collect();
        if !odd.is_empty() {
            match self.validation {
                FieldValidation::Ignore => {}
                FieldValidation::Warn => self.warnings = odd,
                FieldValidation::Strict => {
                    let why = format!("strict decoding error: {}", odd.join(", "));
                    return Err(self.refuse(&before, &value, why));
                }
            }
        }
        let mut object = decoded.object;
        object.set("apiVersion", gvk.0);
        object.set("kind", gvk.1);
        Ok(object)
    }

    /// A document without a version is taken for upstream's internal form, which has none of its fields, and no name.
    fn lost(&self, old: &Object, patched: &Value, fields: &[&String]) -> Status {
        let unknown = fields.iter().map(|name| format!("unknown field {name:?}"));
        let odd: Vec<String> = self.odd.iter().cloned().chain(unknown).collect();
        if matches!(self.validation, FieldValidation::Strict) && !odd.is_empty() {
            return self.refuse(old, patched, format!("strict decoding error: {}", odd.join(", ")));
        }
        let nameless = lifecycle::check_name(&Object::default(), old.name()).err();
        let status = nameless.unwrap_or_else(|| unreachable!("an empty object has no name"));
        match self.validation {
            FieldValidation::Warn => status.warned(odd),
            _ => status,
        }
    }

    /// 422 that shows the strategic patch, or else the patched document.
    fn refuse(&self, old: &Object, patched: &Value, mut why: String) -> Status {
        let text = match &self.sent.patch {
            Patch::Strategic(patch) => shown::go_tree(&self.writer.schema.spent_patch(old, patch)),
            Patch::Merge(_) => {
                let (document, _) = self.writer.schema.encode(old, false);
                let parts = std::str::from_utf8(&document).ok().zip(std::str::from_utf8(&self.sent.text).ok());
                let merged = parts.and_then(|(document, patch)| shown::merged(document, patch));
                // Numbers in it are as they were written.
                if let Some(Err(exact)) = merged.as_ref().map(|text| self.writer.schema.decode_json(text.as_bytes())) {
                    why = if why.starts_with("json: cannot unmarshal number") { exact.to_string() } else { why };
                }
                merged.unwrap_or_else(|| patched.to_string())
            }
            Patch::Json(_) => self.shown.clone(),
            Patch::Apply { .. } => patched.to_string(),
        };
        Status::invalid("", "", "", &[Error::invalid(&Path::new("patch"), text, why)])
    }

    async fn applied(&mut self, live: &Object, configuration: &Object, force: bool) -> Result<Object, Status> {
        let schema = self.writer.schema;
        let gvk = schema.gvk();
        let kind = format!("{}/{}, Kind={}", gvk.group, gvk.version, gvk.kind);
        let of = format!("({}/{}; {kind})", configuration.namespace(), configuration.name());
        // Upstream's answers carry no reason.
        let refuse = |why: &str| Status::new(Reason::Unknown, format!("failed to create typed patch object {of}: {why}"));
        let unfit = |why: &dyn std::fmt::Display| {
            let why = format!("unable to convert unstructured object to {kind}: {why}");
            Status::new(Reason::Unknown, format!("failed to convert new object {of} to proper version: {why}"))
        };
        if let Some(flaw) = self.writer.flaw(configuration) {
            return Err(refuse(&flaw));
        }
        let mut live = live.clone();
        live.set_gvk(gvk);
        let finish = |merged: Value| {
            let mut object = schema.convert_value(&merged).map_err(|e| unfit(&e))?.object;
            (self.default)(&mut object);
            Ok(object)
        };
        let applied = self.writer.apply(&live, configuration, force, Timestamp::now(), finish).await?;
        match (self.validation, self.sent.duplicates.first()) {
            (FieldValidation::Strict, Some(why)) => {
                Err(Status::bad_request(format!("error strict decoding YAML: error converting YAML to JSON: {why}")))
            }
            (FieldValidation::Warn, _) => {
                self.warnings = schema::strict_warnings(self.sent.duplicates.clone());
                Ok(applied)
            }
            _ => Ok(applied),
        }
    }

    /// What the client is warned of.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

impl Edit for Patching<'_> {
    async fn apply(&mut self, old: Option<&Object>) -> Result<Object, Status> {
        self.patched(old.cloned().unwrap_or_default()).await
    }

    fn is_patch(&self) -> bool {
        true
    }

    fn warnings(&mut self) -> Vec<String> {
        self.take_warnings()
    }

    fn creates(&self) -> bool {
        self.owns_fields() && self.writer.subresource.is_empty()
    }

    fn owns_fields(&self) -> bool {
        matches!(self.sent.patch, Patch::Apply { .. })
    }
}

fn check_configuration(schema: &Schema, configuration: &Object) -> Result<(), Status> {
    let is = configuration.gvk();
    if configuration.api_version().matches('/').count() > 1 {
        // A version that is none leaves nothing of the type.
        return Err(Status::bad_request("invalid object type: /, Kind="));
    }
    if is != *schema.gvk() {
        let Gvk { group, version, kind } = is;
        return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    if configuration.at("metadata.managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

/// The fields of a patched document that no longer says its version, in the order of their names.
fn versionless<'v>(schema: &Schema, patched: &'v Value) -> Option<Vec<&'v String>> {
    let said = |name: &str| patched.get(name).and_then(Value::as_str).unwrap_or("");
    let own_kind = said("kind").is_empty() || said("kind") == &*schema.gvk().kind;
    let mut fields: Vec<&String> = patched.as_object()?.keys().filter(|name| !matches!(&***name, "kind" | "apiVersion")).collect();
    fields.sort();
    (own_kind && said("apiVersion").is_empty()).then_some(fields)
}

/// What the decoder says of a patched document that is of another kind now. A strategic merge does not decode it.
fn foreign(schema: &Schema, patched: &Value) -> Option<String> {
    let gvk = schema.gvk();
    let wrong = |name: &str| patched.get(name).is_some_and(|value| !value.is_string() && !value.is_null());
    if wrong("apiVersion") || wrong("kind") || !patched.is_object() {
        let why = schema::kind_error(patched.to_string().as_bytes())?;
        return Some(format!("{NO_KIND}{why}"));
    }
    let said = |name: &str| patched.get(name).and_then(Value::as_str).unwrap_or("");
    if said("apiVersion").matches('/').count() > 1 {
        return Some(format!("unexpected GroupVersion string: {}", said("apiVersion")));
    }
    let own = gvk.api_version();
    let api_version = if said("apiVersion").is_empty() { &own } else { said("apiVersion") };
    let kind = if said("kind").is_empty() { &gvk.kind } else { said("kind") };
    schema::foreign(gvk, api_version, kind)
}

fn unprocessable(error: &dyn std::fmt::Display) -> Status {
    tracing::debug!(%error, "a patch does not apply");
    Status::generic(Reason::Invalid, "the server rejected our request due to an error in our request")
}

/// The document after a JSON patch. What is patched is the text that clients read.
fn json_patched(schema: &Schema, old: &Object, patch: &Bytes) -> Result<Vec<u8>, Status> {
    let (document, _) = schema.encode(old, false);
    json_patch::apply(document, patch.clone()).map_err(|error| match error {
        json_patch::Error::Malformed(why) => Status::bad_request(why),
        json_patch::Error::TooMany(_) => Status::too_large(&error.to_string()),
        json_patch::Error::Refused(why) => unprocessable(&why),
    })
}

fn apply(schema: &Schema, mut old: Object, patch: &Patch) -> Result<Value, Status> {
    match patch {
        Patch::Merge(patch) => {
            schema::merge_patch(old.fields_mut(), patch.as_object().cloned().unwrap_or_default());
            Ok(old.into_value())
        }
        Patch::Strategic(patch) => match schema.strategic_merge(&old, patch) {
            Ok(object) => Ok(object.into_value()),
            Err(PatchError::Malformed(why)) => Err(Status::bad_request(why)),
            Err(PatchError::Unprocessable(why)) => Err(unprocessable(&why)),
            // Upstream's answer carries no reason.
            Err(PatchError::Unfit(why)) => Err(Status::new(Reason::Unknown, why)),
        },
        Patch::Json(_) | Patch::Apply { .. } => unreachable!("they are no patches of a tree"),
    }
}
