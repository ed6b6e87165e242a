//! The definitions of upstream's OpenAPI v3 documents, joined; group-version-kinds from v2.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// Definitions by full name.
pub struct Definitions {
    v3: BTreeMap<String, Value>,
    v2: Value,
}

impl Definitions {
    /// Reads `api/openapi-spec` of the module `k8s.io/kubernetes`.
    pub fn read(kubernetes: &Path) -> Result<Definitions> {
        let spec = kubernetes.join("api/openapi-spec");
        let mut v3 = BTreeMap::new();
        for entry in std::fs::read_dir(spec.join("v3")).with_context(|| spec.display().to_string())? {
            let mut document = json(&entry?.path())?;
            if let Value::Object(schemas) = document["components"]["schemas"].take() {
                v3.extend(schemas);
            }
        }
        let mut swagger = json(&spec.join("swagger.json"))?;
        Ok(Definitions { v3, v2: swagger["definitions"].take() })
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.v3.keys().map(String::as_str)
    }

    /// One definition.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.v3.get(name)
    }

    /// All group-version-kinds of a definition, as `group/version/Kind`.
    pub fn kinds(&self, name: &str) -> Vec<String> {
        let list = self.v2[name]["x-kubernetes-group-version-kind"].as_array();
        let text = |gvk: &Value, key: &str| gvk[key].as_str().unwrap_or_default().to_owned();
        list.into_iter()
            .flatten()
            .map(|gvk| format!("{}/{}/{}", text(gvk, "group"), text(gvk, "version"), text(gvk, "kind")))
            .collect()
    }
}

fn json(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
}
