//! Documents from files, directories, standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::discovery::Resource;
use crate::failure::Failure;
use crate::session::Session;

/// One document and where it comes from.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file, `STDIN` for standard input.
    pub source: String,
    /// The object.
    pub object: Value,
}

impl Document {
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or("")
    }

    /// The resource, and the namespace the object belongs in.
    pub async fn place(&self, session: &Session) -> Result<(Resource, String), Failure> {
        let (version, kind) = (text(&self.object["apiVersion"]), text(&self.object["kind"]));
        let Some(resource) = session.discovery().await?.of_kind(version, kind) else {
            return Err(Failure::message(format!(
                "resource mapping not found for name: \"{}\" namespace: \"{}\" from \"{}\": no matches for kind \"{kind}\" \
                 in version \"{version}\"\nensure CRDs are installed first",
                self.name(),
                text(&self.object["metadata"]["namespace"]),
                self.source
            )));
        };
        if !resource.namespaced {
            return Ok((resource.clone(), String::new()));
        }
        let own = text(&self.object["metadata"]["namespace"]);
        if !own.is_empty() && session.namespace_given && own != session.namespace {
            return Err(Failure::message(format!(
                "the namespace from the provided object \"{own}\" does not match the namespace \"{}\". You must pass \
                 '--namespace={own}' to perform this operation.",
                session.namespace
            )));
        }
        let namespace = if own.is_empty() { session.namespace.clone() } else { own.to_owned() };
        Ok((resource.clone(), namespace))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// Reads everything that `-f` names; `List` documents are opened.
pub fn read(names: &[String]) -> Result<Vec<Document>, Failure> {
    let mut out = Vec::new();
    for name in names {
        if name == "-" {
            let mut content = String::new();
            std::io::stdin().read_to_string(&mut content).map_err(|e| Failure::message(e.to_string()))?;
            documents("STDIN", &content, &mut out)?;
            continue;
        }
        for path in files(Path::new(name))? {
            let content = std::fs::read_to_string(&path)
                .map_err(|e| Failure::message(format!("error reading {}: {e}", path.display())))?;
            documents(&path.display().to_string(), &content, &mut out)?;
        }
    }
    if out.is_empty() {
        return Err(Failure::message("no objects passed to apply"));
    }
    Ok(out)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.exists() {
        return Err(Failure::message(format!("the path \"{}\" does not exist", path.display())));
    }
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| Failure::message(e.to_string()))?;
    let fits = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    let mut found: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).filter(fits).collect();
    found.sort();
    if found.is_empty() {
        let name = path.display();
        return Err(Failure::message(format!(
            "error reading [{name}]: recognized file extensions are [.json .yaml .yml]"
        )));
    }
    Ok(found)
}

fn documents(source: &str, content: &str, out: &mut Vec<Document>) -> Result<(), Failure> {
    let wrong = |e: String| Failure::message(format!("error parsing {source}: {e}"));
    if content.trim_start().starts_with('{') {
        for object in serde_json::Deserializer::from_str(content).into_iter::<Value>() {
            push(source, object.map_err(|e| wrong(e.to_string()))?, out)?;
        }
        return Ok(());
    }
    for document in schema::yaml_documents(content) {
        let (object, _) = schema::yaml_to_json(document.as_ref()).map_err(wrong)?;
        if !object.is_null() {
            push(source, object, out)?;
        }
    }
    Ok(())
}

fn push(source: &str, mut object: Value, out: &mut Vec<Document>) -> Result<(), Failure> {
    let kind = text(&object["kind"]).to_owned();
    let unset = |what| Failure::message(format!("error validating \"{source}\": error validating data: {what} not set; \
         if you choose to ignore these errors, turn validation off with --validate=false"));
    if text(&object["apiVersion"]).is_empty() {
        return Err(unset("apiVersion"));
    }
    if kind.is_empty() {
        return Err(unset("kind"));
    }
    if kind.ends_with("List") && object["items"].is_array() {
        if let Value::Array(items) = object["items"].take() {
            items.into_iter().try_for_each(|item| push(source, item, out))?;
        }
        return Ok(());
    }
    out.push(Document { source: source.to_owned(), object });
    Ok(())
}
