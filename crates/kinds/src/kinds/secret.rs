//! Secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meta::field::{Error, Errors};
use meta::{Object, text};
use serde_json::Value;

use super::configmap::{SIZE_LIMIT, decoded_length, frozen};
use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{AGE, NAME};
use crate::rules::{Column, Context, Rules, Word, age};
use crate::tree::default_zero;
use crate::validate::{immutable_fields, own_metadata, own_metadata_update};
use crate::view::View;

static COLUMNS: [Column; 4] =
    [NAME, crate::print::text("Type", "What the secret is for"), crate::print::text("Data", "Number of keys"), AGE];

struct Secret;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Secret", "secrets", Secret)
}

impl Rules for Secret {
    fn default(&self, object: &mut Object) {
        default_zero(object.fields_mut(), "type", "Opaque");
        if let Some(Value::Object(plain)) = object.remove("stringData") {
            for (key, value) in plain {
                let encoded = STANDARD.encode(value.as_str().unwrap_or(""));
                crate::tree::child_or_new(object.fields_mut(), "data").insert(key, encoded.into());
            }
        }
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        if new.str_at("type").is_empty() {
            crate::tree::restore(new, old, "type");
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let data = View::of(object, "data");
        let mut size = 0;
        for (key, value) in data.map() {
            let messages = text::config_map_key(key).into_iter();
            errors.extend(messages.map(|m| Error::invalid(&data.path.key(key), key.as_str(), m)));
            size += value.as_str().map_or(0, decoded_length);
        }
        if size > SIZE_LIMIT {
            errors.push(Error::too_long(&data.path, SIZE_LIMIT));
        }
        by_type(object, &data, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        immutable_fields(new, old, &["type"], &mut errors);
        errors.extend(frozen(new, old, &["data"]));
        errors.extend(own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix)));
        errors.extend(self.validate(new));
        errors
    }

    /// Warns of what is no certificate or key at all.
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        if new.str_at("type") != "kubernetes.io/tls" {
            return Vec::new();
        }
        let data = View::of(new, "data");
        let pem = |key: &str| STANDARD.decode(data.text(key)).is_ok_and(|b| String::from_utf8_lossy(&b).contains("-----BEGIN "));
        let missing = [("tls.crt", "certificate"), ("tls.key", "key")].into_iter().find(|(key, _)| !pem(key));
        missing.map(|(_, what)| format!("tls: failed to find any PEM data in {what} input")).into_iter().collect()
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        vec![("type".into(), object.str_at("type").to_owned())]
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let keys = View::of(object, "data").map().len();
        vec![object.name().into(), object.str_at("type").into(), keys.into(), age(object, now).into()]
    }
}

/// What each type of secret must contain.
fn by_type(object: &Object, data: &View<'_>, errors: &mut Errors) {
    let missing = |key: &str| Error::required(&data.path.key(key), "");
    match object.str_at("type") {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if object.annotation(key).is_none_or(str::is_empty) {
                errors.push(Error::required(&View::of(object, "metadata").at("annotations").path.key(key), ""));
            }
        }
        "kubernetes.io/dockercfg" => docker(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => docker(data, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !data.has("username") && !data.has("password") => {
            errors.extend([missing("username"), missing("password")]);
        }
        "kubernetes.io/ssh-auth" if data.text("ssh-privatekey").is_empty() => errors.push(missing("ssh-privatekey")),
        "kubernetes.io/tls" => {
            errors.extend(["tls.crt", "tls.key"].into_iter().filter(|key| !data.has(key)).map(missing));
        }
        _ => {}
    }
}

fn docker(data: &View<'_>, key: &str, errors: &mut Errors) {
    let path = data.path.key(key);
    if !data.has(key) {
        errors.push(Error::required(&path, ""));
        return;
    }
    let bytes = STANDARD.decode(data.text(key)).unwrap_or_default();
    if let Err(e) = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes) {
        errors.push(Error::invalid(&path, "<secret contents redacted>", e.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn string_data_becomes_data() {
        let mut secret = Object::from_value(json!({"stringData": {"a": "x"}, "data": {"b": "eQ=="}})).unwrap_or_default();
        Secret.default(&mut secret);
        assert_eq!(secret.into_value(), json!({"type": "Opaque", "data": {"a": "eA==", "b": "eQ=="}}));
    }

    #[test]
    fn each_type_needs_its_keys() {
        let check = |value| {
            let errors = Secret.validate(&Object::from_value(value).unwrap_or_default());
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(check(json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}})), ["data[tls.key]: Required value"]);
        assert_eq!(
            check(json!({"type": "kubernetes.io/service-account-token"})),
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]
        );
    }
}
