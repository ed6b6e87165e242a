//! What a definition may say upstream and is not built here yet. It is refused: what nobody does must not look done.

use meta::Object;
use meta::field::{Error, Errors, Path};

/// Refuses conversion by a webhook.
pub fn errors(object: &Object) -> Errors {
    let spec = Path::new("spec");
    let mut errors = Errors::new();
    if object.str_at("spec.conversion.strategy") == "Webhook" {
        errors.push(Error::not_supported(&spec.child("conversion").child("strategy"), "Webhook", &["None"]));
    }
    errors
}
