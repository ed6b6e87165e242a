//! What upstream has stored is read as if we had written it: the whole content of upstream's etcd is given to another
//! server of ours, which then answers as upstream does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::generate::Served;
use super::lane::{Asked, Lane};
use super::servers;
use super::transcript::Case;

/// Forms in which every object is read.
const FORMS: [&str; 3] =
    ["application/json", "application/vnd.kubernetes.protobuf", "application/json;as=Table;v=v1;g=meta.k8s.io"];

/// A definition, so that there are custom resources.
const DEFINITION: &str = r#"{"metadata":{"name":"pages.page.example.com"},"spec":{"group":"page.example.com","scope":"Cluster",
    "names":{"plural":"pages","kind":"Page"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":
    {"type":"object","properties":{"spec":{"type":"object","properties":{"n":{"type":"integer","default":3},
    "any":{"x-kubernetes-preserve-unknown-fields":true}}}}}}}]}}"#;

/// What upstream's server is asked to store beside the objects of the corpus.
pub fn custom() -> Vec<Case> {
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let pages = "/apis/page.example.com/v1/pages";
    let mut served = Case::new("stored/served", "GET", pages);
    served.until = Some(200);
    let object = r#"{"apiVersion":"page.example.com/v1","kind":"Page","metadata":{"name":"one"},"spec":{"any":{"b":[1,null,"x"]}}}"#;
    vec![
        Case::new("stored/definition", "POST", definitions).body(DEFINITION),
        served,
        Case::new("stored/object", "POST", pages).body(object),
    ]
}

/// What stands for itself in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Reads upstream's etcd, and starts a server of ours over what is there.
pub async fn open(programs: &servers::Programs, directory: &Path) -> Result<servers::Page> {
    let page = tokio::task::spawn_blocking(read).await??;
    let path = directory.join("page");
    std::fs::write(&path, page)?;
    servers::over(programs, directory, &path).await
}

/// All keys and values, in the order of their changes: a line each, in base 64.
fn read() -> Result<String> {
    let body = json!({"key": "L3JlZ2lzdHJ5Lw==", "range_end": "L3JlZ2lzdHJ5MA==", "sort_target": "MOD"}).to_string();
    let mut etcd = TcpStream::connect(servers::ETCD_ADDRESS).context("connect to etcd")?;
    write!(etcd, "POST /v3/kv/range HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    etcd.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("etcd's answer has no body")?;
    let page: Value = serde_json::from_str(body).context("read etcd's answer")?;
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let entries = page["kvs"].as_array().context("etcd has nothing")?;
    Ok(entries.iter().map(|entry| format!("{} {}\n", text(entry, "key"), text(entry, "value"))).collect())
}

/// Reads every object of every kind that both serve, in every form.
pub async fn compare(upstream: &mut Lane, page: servers::Page, served: &[Served]) -> Result<Vec<Asked>> {
    let mut lane = Lane { upstream: upstream.upstream.another(), ours: page.side };
    let mut asked = Vec::new();
    for kind in served.iter().filter(|kind| kind.verbs.iter().any(|verb| verb == "list")) {
        let base = if kind.api_version.contains('/') { "/apis/" } else { "/api/" };
        let all = format!("{base}{}/{}", kind.api_version, kind.resource);
        let list = lane.upstream.ask(&Case::new("stored/list", "GET", &*all)).await?;
        let list: Value = serde_json::from_slice(&list.body).unwrap_or_default();
        for item in list["items"].as_array().into_iter().flatten() {
            let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default();
            // An event's name is no more than a segment of a path.
            let name = utf8_percent_encode(text("name"), SEGMENT);
            let one = match kind.namespaced {
                true => format!("{base}{}/namespaces/{}/{}/{}", kind.api_version, text("namespace"), kind.resource, name),
                false => format!("{all}/{name}"),
            };
            for form in FORMS {
                let case = Case::new(format!("stored{one} as {form}"), "GET", &*one).header("accept", form);
                asked.push(lane.ask(&case).await?);
            }
        }
    }
    Ok(asked)
}
