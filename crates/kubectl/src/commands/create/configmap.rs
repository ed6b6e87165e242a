//! `kubectl create configmap`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Command;
use serde_json::{Map, Value, json};

use super::{Kind, Made, sources};

pub(super) const KIND: Kind = Kind {
    command: || {
        let command = Command::new("configmap").visible_alias("cm").about("Create a config map from files or literal values");
        sources::flags(command)
    },
    make: |name, matches| {
        let (mut texts, mut bytes) = (Map::new(), Map::new());
        for (key, value) in sources::read(matches)? {
            match String::from_utf8(value) {
                Ok(text) => drop(texts.insert(key, Value::from(text))),
                Err(error) => drop(bytes.insert(key, Value::from(STANDARD.encode(error.as_bytes())))),
            }
        }
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        for (field, map) in [("data", texts), ("binaryData", bytes)] {
            if !map.is_empty() {
                object[field] = Value::Object(map);
            }
        }
        Ok(Made { resource: "configmaps", object, refused: "failed to create configmap: ".to_owned() })
    },
};
