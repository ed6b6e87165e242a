//! `kubectl create namespace`.

use clap::Command;
use serde_json::json;

use super::{Kind, Made};

pub(super) const KIND: Kind = Kind {
    command: || Command::new("namespace").visible_alias("ns").about("Create a namespace with the specified name"),
    make: |name, _| {
        let metadata = json!({"name": name});
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, "spec": {}, "status": {}});
        Ok(Made { resource: "namespaces", object, refused: String::new() })
    },
};
