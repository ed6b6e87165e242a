//! The schema of one version, or of all.

use meta::field::{Error, Errors, Path};
use schema::structural;
use serde_json::Value;

use super::definition::{Props, open_api};
use super::embedded::embedded;
use super::old::Demands;
use super::printed::{self, FIELDS};
use super::walk;

/// Fields that the root may have where the status is a subresource, in upstream's names and order.
const AT_ROOT: [&str; 22] = [
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength", "MinLength",
    "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example",
    "XPreserveUnknownFields", "XValidations",
];

/// What is wrong with it. Rules in CEL are looked at as far as their form goes.
pub fn validate(validation: Option<&Value>, path: &Path, status: bool, demands: &Demands, errors: &mut Errors) {
    let Some(schema) = open_api(validation) else { return };
    let path = path.child("openAPIV3Schema");
    let mut found = Errors::new();
    if status {
        root(schema, &path, &mut found);
    }
    if schema.get("nullable").is_some_and(|nullable| *nullable == true) {
        found.push(Error::forbidden(&path.child("nullable"), "nullable cannot be true at the root"));
    }
    let unread = if demands.structural { form(schema, &path, demands, &mut found) } else { None };
    walk::validate(schema, &path, demands, &mut found);
    if found.is_empty() {
        found.extend(unread.map(|why| Error::invalid(&path, "", why)));
    }
    errors.extend(found);
}

/// Whether a schema is structural and has right defaults. What is given back is why it cannot be read at all.
fn form(schema: &Props, path: &Path, demands: &Demands, errors: &mut Errors) -> Option<String> {
    if let Err(why) = structural::root(schema, structural::Formats::OfObjects) {
        return Some(why);
    }
    let wrong = structural::validate_form(path, schema);
    if !wrong.is_empty() {
        errors.extend(wrong);
        return None;
    }
    match structural::validate_defaults(path, schema, demands.pruned_defaults, &embedded) {
        Ok(wrong) => errors.extend(wrong),
        Err(why) => errors.push(Error::invalid(path, "", why)),
    }
    None
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
