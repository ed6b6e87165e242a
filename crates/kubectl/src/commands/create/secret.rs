//! `kubectl create secret generic`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Command;
use serde_json::{Map, Value, json};

use super::{Kind, Made, sources};
use crate::flags::{text, value};

pub(super) const GENERIC: Kind = Kind {
    command: || {
        let command = Command::new("generic").about("Create a secret from files or literal values");
        sources::flags(command).arg(text("type", "The type of the secret"))
    },
    make: |name, matches| {
        let data = sources::read(matches)?;
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        if !data.is_empty() {
            let encoded = data.into_iter().map(|(key, value)| (key, Value::from(STANDARD.encode(value))));
            object["data"] = Value::Object(encoded.collect::<Map<_, _>>());
        }
        if let Some(kind) = value(matches, "type").filter(|t| !t.is_empty()) {
            object["type"] = Value::from(kind);
        }
        Ok(Made { resource: "secrets", object, refused: "failed to create secret ".to_owned() })
    },
};
