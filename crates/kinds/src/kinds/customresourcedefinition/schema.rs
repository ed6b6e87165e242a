//! The schema of one version, or of all.

use std::sync::Arc;

use meta::field::{Error, Errors, Path};
use schema::structural::{self, Node};
use serde_json::Value;

use super::definition::{Props, open_api};
use super::embedded::embedded;
use super::old::Demands;
use super::printed::{self, FIELDS};
use super::walk;
use crate::custom::Defaults;

/// Fields that the root may have where the status is a subresource, in upstream's names and order.
const AT_ROOT: [&str; 22] = [
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength", "MinLength",
    "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example",
    "XPreserveUnknownFields", "XValidations",
];

/// What is wrong with it. `version` is whose schema it is.
pub fn validate(validation: Option<&Value>, path: &Path, status: bool, version: &str, demands: &Demands, errors: &mut Errors) {
    let Some(schema) = open_api(validation) else { return };
    let path = path.child("openAPIV3Schema");
    let mut found = Errors::new();
    if status {
        root(schema, &path, &mut found);
    }
    if schema.get("nullable").is_some_and(|nullable| *nullable == true) {
        found.push(Error::forbidden(&path.child("nullable"), "nullable cannot be true at the root"));
    }
    let form = if demands.structural { form(schema, &path, demands, &mut found) } else { Ok(None) };
    let node = form.as_ref().ok().and_then(Option::as_ref);
    walk::validate(schema, &path, node, demands.same_schemas.contains(version), demands, &mut found);
    if found.is_empty() {
        found.extend(form.err().map(|why| Error::invalid(&path, "", why)));
    }
    errors.extend(found);
}

/// The schema if it is structural and has right defaults. The error is why it cannot be read at all.
fn form(schema: &Props, path: &Path, demands: &Demands, errors: &mut Errors) -> Result<Option<Arc<Node>>, String> {
    let node = structural::root(schema, structural::Formats::OfObjects)?;
    let mut wrong = structural::validate_form(path, schema);
    if wrong.is_empty() {
        let mut rules = Defaults::default();
        wrong = structural::validate_defaults(path, schema, demands.pruned_defaults, &embedded, &mut rules)
            .unwrap_or_else(|why| vec![Error::invalid(path, "", why)]);
    }
    let is_right = wrong.is_empty();
    errors.extend(wrong);
    Ok(is_right.then_some(node))
}

fn root(schema: &Props, path: &Path, errors: &mut Errors) {
    for (name, field) in FIELDS {
        let Some(value) = schema.get(field).filter(|value| !printed::is_unset(field, value)) else { continue };
        if name == "Type" {
            if *value != "object" {
                let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
                return errors.push(Error::invalid(&path.child("type"), value.clone(), why));
            }
        } else if !AT_ROOT.contains(&name) {
            let allowed = AT_ROOT.join(" ");
            let why = format!("only [{allowed}] fields are allowed at the root of the schema if the status subresource is enabled");
            return errors.push(Error::invalid(path, "", why).showing(printed::schema(schema)));
        }
    }
}
