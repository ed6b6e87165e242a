//! Documents from files, directories, URLs, standard input.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::discovery::Resource;
use crate::failure::Failure;
use crate::fetch;
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

/// Where documents come from.
enum Source {
    Stdin,
    File(PathBuf),
    Url(String),
}

/// Reads everything that `-f` names, with what could not be read in its place; `List` documents are opened.
/// Fails if a name leads nowhere: then nothing is to be done for the others either. With `validate`, a document
/// that is no object ends its file.
pub async fn read(
    names: &[String],
    recursive: bool,
    validate: bool,
) -> Result<Vec<Result<Document, Failure>>, Failure> {
    let mut sources = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        match name.as_str() {
            "-" => sources.push(Source::Stdin),
            name if fetch::is_url(name) => sources.push(Source::Url(name.to_owned())),
            name => match files(Path::new(name), recursive, sources.is_empty()) {
                Ok(found) => sources.extend(found.into_iter().map(Source::File)),
                Err(failure) => failures.push(failure),
            },
        }
    }
    Failure::collect(failures)?;
    let mut out = Vec::new();
    for source in sources {
        let (name, content) = match source {
            Source::Stdin => ("STDIN".to_owned(), stdin().map_err(|e| unreadable("STDIN", &e))),
            Source::File(path) => {
                let name = path.display().to_string();
                let content = std::fs::read_to_string(path).map_err(|e| unreadable(&name, &e));
                (name, content)
            }
            Source::Url(url) => {
                let content = fetch::read(&url).await;
                (url, content)
            }
        };
        match content {
            Ok(content) => documents(&name, &content, validate, &mut out),
            Err(failure) => out.push(Err(failure)),
        }
    }
    Ok(out)
}

fn stdin() -> std::io::Result<String> {
    let mut content = String::new();
    std::io::stdin().read_to_string(&mut content).map(|_| content)
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::PermissionDenied => Failure::message(format!("open {name}: permission denied")),
        ErrorKind::InvalidData => Failure::message(format!("error parsing {name}: the file is no text in UTF-8")),
        _ => Failure::message(format!("read {name}: {error}")),
    }
}

/// The file itself, or the files of a directory in the order of their names. `alone`: nothing else was named.
fn files(path: &Path, recursive: bool, alone: bool) -> Result<Vec<PathBuf>, Failure> {
    let name = path.display();
    if !path.exists() {
        return Err(Failure::message(format!("the path \"{name}\" does not exist")));
    }
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    walk(path, recursive, &mut found).map_err(|e| Failure::message(format!("error reading \"{name}\": {e}")))?;
    if found.is_empty() && alone {
        return Err(Failure::message(format!(
            "error reading [{name}]: recognized file extensions are [.json .yaml .yml]"
        )));
    }
    Ok(found)
}

fn walk(directory: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(directory)?.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if recursive {
                walk(&path, recursive, found)?;
            }
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads documents up to the first that is none.
fn documents(source: &str, content: &str, validate: bool, out: &mut Vec<Result<Document, Failure>>) {
    let wrong = |e: String| Failure::message(format!("error parsing {source}: {}", in_go(&e)));
    if content.trim_start().starts_with('{') {
        for object in serde_json::Deserializer::from_str(content).into_iter::<Value>() {
            if !add(source, object.map_err(|e| wrong(e.to_string())), validate, out) {
                return;
            }
        }
        return;
    }
    for document in schema::yaml_documents(content) {
        match schema::yaml_to_json(document.as_ref()) {
            Ok((Value::Null, _)) => {}
            Ok((object, _)) => {
                if !add(source, Ok(object), validate, out) {
                    return;
                }
            }
            Err(error) => {
                out.push(Err(wrong(format!("error converting YAML to JSON: {error}"))));
                return;
            }
        }
    }
}

/// Adds one document; false ends the stream it came from.
fn add(
    source: &str,
    object: Result<Value, Failure>,
    validate: bool,
    out: &mut Vec<Result<Document, Failure>>,
) -> bool {
    let broken = object.is_err();
    match object.and_then(|object| if validate { valid(source, object) } else { decoded(source, object) }) {
        Ok(object) => open(source, object, out),
        Err(failure) => {
            out.push(Err(failure));
            return !validate && !broken;
        }
    }
    true
}

/// What is no object at all cannot be looked up.
fn decoded(source: &str, object: Value) -> Result<Value, Failure> {
    let missing = if text(&object["kind"]).is_empty() {
        "Kind"
    } else if text(&object["apiVersion"]).is_empty() {
        "apiVersion"
    } else {
        return Ok(object);
    };
    let shown = crate::print::compact(&object);
    Err(Failure::message(format!("unable to decode \"{source}\": Object '{missing}' is missing in '{shown}'")))
}

/// Upstream reads files with Go's parsers: the commonest of their words.
fn in_go(error: &str) -> String {
    if error.starts_with("EOF while parsing") {
        return "unexpected EOF".to_owned();
    }
    let unclosed = error.find("unclosed bracket").map(|at| format!("{}did not find expected node content", &error[..at]));
    // Go tells no line if it is the first.
    unclosed.unwrap_or_else(|| error.to_owned()).replace("yaml: line 1: ", "yaml: ")
}

/// What is no object at all is refused before the server sees it.
fn valid(source: &str, object: Value) -> Result<Value, Failure> {
    let unset: Vec<&str> = ["apiVersion", "kind"].into_iter().filter(|f| text(&object[f]).is_empty()).collect();
    let what = match unset.as_slice() {
        [] => return Ok(object),
        _ if !object.is_object() => "invalid object to validate".to_owned(),
        [one] => format!("{one} not set"),
        many => format!("[{}]", many.iter().map(|f| format!("{f} not set")).collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::message(format!(
        "error validating \"{source}\": error validating data: {what}; if you choose to ignore these errors, turn \
         validation off with --validate=false"
    )))
}

/// Takes the objects out of lists.
fn open(source: &str, mut object: Value, out: &mut Vec<Result<Document, Failure>>) {
    if text(&object["kind"]).ends_with("List") && object["items"].is_array() {
        if let Value::Array(items) = object["items"].take() {
            items.into_iter().for_each(|item| open(source, item, out));
        }
        return;
    }
    out.push(Ok(Document { source: source.to_owned(), object }));
}
