//! The lists of a kubeconfig: clusters, users and contexts, each with a name.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Lists with what their entries hold.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

fn entry<'a>(file: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    file[list].as_array()?.iter().find(|entry| entry["name"] == name)
}

/// Whether the cluster of this name is the one of `admin`: who signs for it says so.
pub fn is_ours(file: &Value, name: &str, admin: &Value) -> bool {
    authority(entry(file, "clusters", name)).is_some_and(|found| Some(found) == authority(admin["clusters"].get(0)))
}

/// The same, or nobody has the name, or who had it is gone: its server's place is taken by ours.
pub fn is_ours_or_free(file: Option<&Value>, name: &str, admin: &Value) -> bool {
    let Some(file) = file else { return true };
    let server = |entry: Option<&Value>| entry.map(|entry| entry["cluster"]["server"].clone());
    let cluster = entry(file, "clusters", name);
    let is_free = LISTS.iter().all(|(list, _)| entry(file, list, name).is_none());
    is_free || is_ours(file, name, admin) || cluster.is_some() && server(cluster) == server(admin["clusters"].get(0))
}

fn authority(entry: Option<&Value>) -> Option<&str> {
    entry?["cluster"]["certificate-authority-data"].as_str()
}

/// The file with the cluster and the user of `admin` under this name. What stood there of the context stays (people set
/// a namespace), and so does the current context, if there is one.
pub fn with(file: Option<Value>, name: &str, admin: &Value) -> Result<Value> {
    let mut file = file.unwrap_or_else(|| json!({}));
    let first = |list: &str, of: &str| admin[list].get(0).map(|entry| entry[of].clone()).context("admin.conf has no entries");
    let mut context = entry(&file, "contexts", name).map(|entry| entry["context"].clone()).unwrap_or_else(|| json!({}));
    if !context.is_object() {
        context = json!({});
    }
    context["cluster"] = name.into();
    context["user"] = name.into();
    let fields = file.as_object_mut().context("a kubeconfig is an object")?;
    for (list, of) in LISTS {
        let value = if list == "contexts" { context.clone() } else { first(list, of)? };
        put(fields, list, json!({"name": name, of: value}));
    }
    fields.entry("apiVersion").or_insert_with(|| "v1".into());
    fields.entry("kind").or_insert_with(|| "Config".into());
    if fields.get("current-context").and_then(Value::as_str).unwrap_or_default().is_empty() {
        fields.insert("current-context".to_owned(), name.into());
    }
    Ok(file)
}

fn put(fields: &mut Map<String, Value>, list: &str, entry: Value) {
    let entries = fields.entry(list).or_insert_with(|| json!([]));
    if !entries.is_array() {
        *entries = json!([]);
    }
    let Some(entries) = entries.as_array_mut() else { return };
    match entries.iter_mut().find(|known| known["name"] == entry["name"]) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}

/// The file without what has this name.
pub fn without(mut file: Value, name: &str) -> Value {
    for (list, _) in LISTS {
        if let Some(entries) = file[list].as_array_mut() {
            entries.retain(|entry| entry["name"] != name);
        }
    }
    if file["current-context"] == name {
        file["current-context"] = "".into();
    }
    file
}

/// Whether no entry is left.
pub fn is_empty(file: &Value) -> bool {
    LISTS.iter().all(|(list, _)| file[list].as_array().is_none_or(Vec::is_empty))
}
