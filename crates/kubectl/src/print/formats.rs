//! `-o`: an object or list in one of the output formats.

use serde_json::Value;

use super::{Tabs, json, jsonpath, yaml};
use crate::failure::Failure;

/// The text of an object or list.
pub fn show(root: &Value, output: &str, no_headers: bool) -> Result<String, Failure> {
    let (format, template) = output.split_once('=').map_or((output, None), |(format, template)| (format, Some(template)));
    let path = || match template.unwrap_or("") {
        "" => Err(Failure::message("template format specified but no template given")),
        template => Ok(template.to_owned()),
    };
    match (format, template) {
        ("yaml", None) => Ok(yaml(root)),
        ("json", None) => Ok(json(root)),
        ("jsonpath", _) => with_path(&path()?, root),
        ("jsonpath-file", _) => with_path(&read(&path()?, "template")?, root),
        ("jsonpath-as-json", _) => {
            let found = jsonpath::find_all(&path()?, root).map_err(Failure::Message)?;
            Ok(json(&Value::Array(found)))
        }
        ("custom-columns", _) => custom_columns(root, template.unwrap_or(""), no_headers),
        _ => Err(Failure::message(format!(
            "unable to match a printer suitable for the output format \"{output}\", allowed formats are: \
             custom-columns,json,jsonpath,jsonpath-as-json,jsonpath-file,name,wide,yaml"
        ))),
    }
}

/// Leaves the field managers out where people read the whole object, as upstream does for JSON and YAML alone.
pub fn omit_managed_fields(object: &mut Value, output: &str) {
    if matches!(output, "json" | "yaml")
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
    }
}

fn read(path: &str, what: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::message(format!("error reading --{what} {path}: {e}")))
}

fn with_path(template: &str, root: &Value) -> Result<String, Failure> {
    if let Err(error) = jsonpath::check(template) {
        return Err(Failure::message(format!("error parsing jsonpath {template}, {error}")));
    }
    jsonpath::render(template, root).map_err(|error| {
        Failure::message(format!(
            "error executing jsonpath {template:?}: Error executing template: {error}. Printing more information for \
             debugging the template:\n\ttemplate was:\n\t\t{template}\n\tobject given to jsonpath engine was:\n\t\t{}\n\n\n",
            go_syntax(root)
        ))
    })
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(all) => {
            format!("[]interface {{}}{{{}}}", all.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> = entries.into_iter().map(|(k, v)| format!("{k:?}:{}", go_syntax(v))).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

fn custom_columns(root: &Value, template: &str, no_headers: bool) -> Result<String, Failure> {
    if template.is_empty() {
        return Err(Failure::message("custom-columns format specified but no custom columns given"));
    }
    let mut columns = Vec::new();
    for column in template.split(',') {
        let Some((header, path)) = column.split_once(':') else {
            return Err(Failure::message(format!(
                "unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>"
            )));
        };
        columns.push((header, path));
    }
    let mut tabs = Tabs::new();
    if !no_headers {
        tabs.line(columns.iter().map(|(header, _)| *header));
    }
    let own = [root.clone()];
    let items: &[Value] = root["items"].as_array().map_or(&own, Vec::as_slice);
    for item in items {
        let mut line = Vec::new();
        for (_, path) in &columns {
            let found = jsonpath::find(path, item).map_err(Failure::Message)?;
            let texts: Vec<String> = found.into_iter().map(go_plain).collect();
            line.push(if texts.is_empty() { "<none>".to_owned() } else { texts.join(",") });
        }
        tabs.line(line);
    }
    Ok(tabs.flush())
}

/// A value as Go's `%v` prints it.
fn go_plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.replace('\u{1b}', "^[").replace('\r', "\\r"),
        Value::Array(all) => format!("[{}]", all.iter().map(go_plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> = entries.into_iter().map(|(k, v)| format!("{k}:{}", go_plain(v))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}
