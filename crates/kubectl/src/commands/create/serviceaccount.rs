//! `kubectl create serviceaccount`.

use clap::Command;
use serde_json::json;

use super::{Kind, Made};

pub(super) const KIND: Kind = Kind {
    command: || Command::new("serviceaccount").visible_alias("sa").about("Create a service account"),
    make: |name, _| {
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        Ok(Made { resource: "serviceaccounts", object, refused: "failed to create serviceaccount: ".to_owned() })
    },
};
