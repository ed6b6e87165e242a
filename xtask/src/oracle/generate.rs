//! Cases made from objects: for each a round through all verbs and forms, and mutations.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::mutate::mutate;
use super::random::Random;
use super::transcript::Case;

/// An object to begin with, and how its kind is served.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Name of its file.
    pub name: String,
    /// A valid manifest.
    pub object: Value,
    /// `/api/v1/namespaces/NS/pods`.
    pub collection: String,
    /// `status`, `scale`, ….
    pub subresources: Vec<String>,
    /// Whether it can be read again.
    pub stored: bool,
    /// Upstream's round-trip fixture: every field has a value.
    pub fixture: Option<Value>,
    /// The fixture in protobuf.
    pub protobuf: Option<Vec<u8>>,
}

/// How a kind is served, as discovery says it.
#[derive(Clone, Debug, Default)]
pub struct Served {
    pub api_version: String,
    pub kind: String,
    pub resource: String,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    pub subresources: Vec<String>,
}

/// The forms in which answers are asked for.
const FORMS: &[(&str, &str)] = &[
    ("JSON", "application/json"),
    ("YAML", "application/yaml"),
    ("protobuf", "application/vnd.kubernetes.protobuf"),
    ("a table", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    ("metadata", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
    ("metadata in protobuf", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
];

/// The kinds of a discovery document.
pub fn served(document: &Value) -> Vec<Served> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let resources: Vec<&Value> = document["resources"].as_array().into_iter().flatten().collect();
    let whole = resources.iter().filter(|r| !text(r, "name").contains('/'));
    whole
        .map(|resource| {
            let name = text(resource, "name");
            let below = |r: &&&Value| text(r, "name").strip_prefix(&format!("{name}/")).map(str::to_owned);
            Served {
                api_version: text(document, "groupVersion"),
                kind: text(resource, "kind"),
                namespaced: resource["namespaced"] == json!(true),
                verbs: resource["verbs"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
                subresources: resources.iter().filter_map(|r| below(&r)).collect(),
                resource: name,
            }
        })
        .collect()
}

/// The objects of a folder, and how each is served; those of kinds that we do not serve are left out.
pub fn seeds(folder: &Path, fixtures: &Path, served: &[Served], namespace: &str) -> Result<Vec<Seed>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let object: Value = serde_json::from_slice(&std::fs::read(path)?).with_context(|| format!("read {}", path.display()))?;
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        let is = |s: &&Served| object["apiVersion"] == *s.api_version && object["kind"] == *s.kind;
        let Some(kind) = served.iter().find(is) else { continue };
        let base = if kind.api_version.contains('/') { "/apis/" } else { "/api/" };
        let scope = if kind.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        let group = if kind.api_version.contains('/') { kind.api_version.replace('/', ".") } else { format!("core.{}", kind.api_version) };
        let fixture = fixtures.join(format!("{group}.{}.json", kind.kind));
        seeds.push(Seed {
            name,
            collection: format!("{base}{}{scope}/{}", kind.api_version, kind.resource),
            subresources: kind.subresources.clone(),
            stored: kind.verbs.iter().any(|v| v == "get"),
            fixture: std::fs::read(&fixture).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            protobuf: std::fs::read(fixture.with_extension("pb")).ok(),
            object,
        });
    }
    Ok(seeds)
}

impl Seed {
    fn object_name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.object_name())
    }

    fn with(&self, edit: impl FnOnce(&mut Value)) -> String {
        let mut object = self.object.clone();
        edit(&mut object);
        object.to_string()
    }

    /// Create, read, update, patch, delete, in every way.
    pub fn round(&self) -> Vec<Case> {
        let title = |what: &str| format!("round/{}: {what}", self.name);
        let (all, one) = (&self.collection, self.path());
        let mut cases = Vec::new();
        for (form, accept) in FORMS {
            let case = Case::new(title(&format!("create in {form}")), "POST", format!("{all}?dryRun=All"));
            cases.push(case.header("Accept", accept).body(self.object.to_string()));
        }
        self.fixtures(&mut cases);
        cases.push(Case::new(title("create"), "POST", all.clone()).body(self.object.to_string()));
        if !self.stored {
            return cases;
        }
        cases.push(Case::new(title("create again"), "POST", all.clone()).body(self.object.to_string()));
        self.reads(&mut cases);
        self.updates(&mut cases);
        self.patches(&mut cases);
        cases.push(Case::new(title("watch"), "GET", format!("{all}?watch=true&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3D{}", self.object_name())));
        for (what, query, body) in [
            ("delete in a dry run", "?dryRun=All", json!(null)),
            ("delete another one", "", json!({"preconditions": {"uid": "x"}})),
            ("delete with a wrong option", "?propagationPolicy=Sideways", json!(null)),
            ("delete in the foreground", "", json!({"propagationPolicy": "Foreground", "gracePeriodSeconds": 0})),
        ] {
            let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            cases.push(Case::new(title(what), "DELETE", format!("{one}{query}")).body(body));
        }
        cases.push(Case::new(title("state after the deletion"), "GET", one.clone()));
        let patch = Case::new(title("take the finalizers"), "PATCH", one.clone()).header("type", "merge");
        cases.push(patch.body(r#"{"metadata":{"finalizers":null}}"#));
        cases.push(Case::new(title("delete what is gone"), "DELETE", one.clone()));
        cases.push(Case::new(title("read what is gone"), "GET", one));
        cases
    }

    fn fixtures(&self, cases: &mut Vec<Case>) {
        let (Some(fixture), all) = (&self.fixture, &self.collection) else { return };
        let title = |what: &str| format!("round/{}: {what}", self.name);
        let mut object = fixture.clone();
        object["metadata"]["name"] = json!("fixture");
        object["metadata"]["resourceVersion"] = json!("");
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        for (form, accept) in FORMS.iter().take(3) {
            let case = Case::new(title(&format!("fixture in {form}")), "POST", format!("{all}?dryRun=All&fieldValidation=Strict"));
            cases.push(case.header("Accept", accept).body(object.to_string()));
        }
        if let Some(bytes) = &self.protobuf {
            let case = Case::new(title("fixture from protobuf"), "POST", format!("{all}?dryRun=All"));
            cases.push(case.header("type", "protobuf").body(bytes.clone()));
        }
    }

    fn reads(&self, cases: &mut Vec<Case>) {
        for (form, accept) in FORMS {
            let title = |what: &str| format!("round/{}: {what} {form}", self.name);
            cases.push(Case::new(title("get"), "GET", self.path()).header("Accept", accept));
            let one = format!("?fieldSelector=metadata.name%3D{}", self.object_name());
            cases.push(Case::new(title("list"), "GET", format!("{}{one}", self.collection)).header("Accept", &accept.replace("Metadata;", "MetadataList;")));
            cases.push(Case::new(title("watch"), "GET", format!("{}{one}&watch=1&timeoutSeconds=1", self.collection)).header("Accept", accept));
        }
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        for include in ["None", "Object", "Metadata", "Nonsense"] {
            let title = format!("round/{}: table with {include}", self.name);
            cases.push(Case::new(title, "GET", format!("{}?includeObject={include}", self.path())).header("Accept", table));
        }
        for part in self.subresources.iter().filter(|p| matches!(&***p, "status" | "scale")) {
            cases.push(Case::new(format!("round/{}: get {part}", self.name), "GET", format!("{}/{part}", self.path())));
        }
    }

    fn updates(&self, cases: &mut Vec<Case>) {
        let title = |what: &str| format!("round/{}: {what}", self.name);
        let one = self.path();
        let put = |what: &str, body: String| Case::new(title(what), "PUT", one.clone()).body(body);
        cases.push(put("update with the same", self.object.to_string()));
        cases.push(put("update a label", self.with(|o| o["metadata"]["labels"]["touched"] = json!("yes"))).header("User-Agent", "second/v1"));
        cases.push(put("update of an old state", self.with(|o| o["metadata"]["resourceVersion"] = json!("1"))));
        cases.push(put("update of another one", self.with(|o| o["metadata"]["uid"] = json!("11111111-1111-1111-1111-111111111111"))));
        cases.push(put("update under another name", self.with(|o| o["metadata"]["name"] = json!("another"))));
        cases.push(put("update with a wrong version", self.with(|o| o["metadata"]["resourceVersion"] = json!("abc"))));
        cases.push(put("update with a finalizer", self.with(|o| o["metadata"]["finalizers"] = json!(["example.com/hold"]))));
        let absent = format!("absent-{}", self.name);
        cases.push(Case::new(title("update of nothing"), "PUT", format!("{}/{absent}", self.collection)).body(self.with(|o| o["metadata"]["name"] = json!(absent))));
        if self.subresources.iter().any(|p| p == "status") {
            let status = self.fixture.as_ref().map_or(json!({}), |f| f["status"].clone());
            cases.push(Case::new(title("update the status"), "PUT", format!("{one}/status?dryRun=All")).body(self.with(|o| o["status"] = status)));
            cases.push(Case::new(title("update the status with nothing"), "PUT", format!("{one}/status")).body(self.object.to_string()));
        }
    }

    fn patches(&self, cases: &mut Vec<Case>) {
        let one = self.path();
        let apply = |labels: Value| {
            let kind = (&self.object["apiVersion"], &self.object["kind"]);
            json!({"apiVersion": kind.0, "kind": kind.1, "metadata": {"name": self.object_name(), "labels": labels}}).to_string()
        };
        let annotate = r#"{"metadata":{"annotations":{"a":"1","b":null}}}"#.to_owned();
        for (what, language, query, body) in [
            ("merge", "merge", "", annotate.clone()),
            ("merge that changes nothing", "merge", "", "{}".to_owned()),
            ("merge an unknown field", "merge", "?fieldValidation=Strict", r#"{"unknown":1}"#.to_owned()),
            ("merge a wrong type", "merge", "", r#"{"metadata":{"labels":5}}"#.to_owned()),
            ("merge a name", "merge", "", r#"{"metadata":{"name":"b"}}"#.to_owned()),
            ("strategic", "strategic", "", annotate.clone()),
            ("strategic finalizers", "strategic", "", r#"{"metadata":{"finalizers":["example.com/b"]}}"#.to_owned()),
            ("strategic with a directive", "strategic", "", r#"{"metadata":{"annotations":{"$patch":"replace","c":"2"}}}"#.to_owned()),
            ("JSON", "json", "", r#"[{"op":"add","path":"/metadata/labels","value":{"x":"y"}}]"#.to_owned()),
            ("JSON test that fails", "json", "", r#"[{"op":"test","path":"/metadata/name","value":"no"}]"#.to_owned()),
            ("JSON of a path that is not there", "json", "", r#"[{"op":"remove","path":"/metadata/nothing"}]"#.to_owned()),
            ("JSON that is none", "json", "", r#"{"op":"add"}"#.to_owned()),
            ("JSON of an unknown operation", "json", "", r#"[{"op":"jump","path":"/a"}]"#.to_owned()),
            ("broken", "merge", "", "{".to_owned()),
            ("unknown language", "text/plain", "", "x".to_owned()),
            ("apply without a manager", "apply", "", apply(json!({"l": "1"}))),
            ("apply", "apply", "?fieldManager=one", apply(json!({"l": "1"}))),
            ("apply a conflict", "apply", "?fieldManager=two", apply(json!({"l": "2"}))),
            ("apply by force", "apply", "?fieldManager=two&force=true", apply(json!({"l": "2", "m": "3"}))),
            ("apply less", "apply", "?fieldManager=two", apply(json!({"l": "2"}))),
            ("apply everything", "apply", "?fieldManager=three&force=true", self.object.to_string()),
            ("apply what was applied", "apply", "?fieldManager=three&force=true", self.object.to_string()),
        ] {
            let case = Case::new(format!("round/{}: patch {what}", self.name), "PATCH", format!("{one}{query}"));
            cases.push(case.header("type", language).body(body));
        }
        for part in self.subresources.iter().filter(|p| matches!(&***p, "status" | "scale")) {
            for (language, body) in [("merge", r#"{"metadata":{"labels":{"s":"t"}},"spec":{"replicas":3}}"#), ("strategic", r#"{"status":{"phase":"Failed"}}"#)] {
                let case = Case::new(format!("round/{}: patch {part} {language}", self.name), "PATCH", format!("{one}/{part}"));
                cases.push(case.header("type", language).body(body));
            }
        }
        cases.push(Case::new(format!("round/{}: state after the patches", self.name), "GET", one));
    }

    /// One random request about a mutation of the object. Updates and patches need it to be there.
    pub fn mutation(&self, random: &mut Random, number: usize) -> Case {
        let mutation = mutate(random, &self.object, self.fixture.as_ref());
        let title = format!("mutation/{} {number}: {}", self.name, mutation.what);
        let validation = random.pick(&["", "", "&fieldValidation=Strict", "&fieldValidation=Ignore"]);
        let forms = if random.once_in(8) { FORMS } else { &FORMS[..1] };
        let (_, accept) = *random.pick(forms);
        let query = format!("?dryRun=All{validation}");
        let (one, all) = (self.path(), &self.collection);
        let case = match random.below(if self.stored { 8 } else { 1 }) {
            0..=3 => Case::new(title, "POST", format!("{all}{query}")),
            4 | 5 => Case::new(title, "PUT", format!("{one}{query}")),
            6 => {
                let language: &str = random.pick::<&str>(&["merge", "strategic"]);
                Case::new(title, "PATCH", format!("{one}{query}")).header("type", language)
            }
            _ => Case::new(title, "PATCH", format!("{one}{query}&fieldManager=m&force=true")).header("type", "apply"),
        };
        case.header("Accept", accept).body(mutation.text)
    }

    /// Creates the object for mutations.
    pub fn create(&self) -> Case {
        Case::new(format!("mutation/{}: create", self.name), "POST", self.collection.clone()).body(self.object.to_string())
    }
}
