//! Tables and bare metadata, made from encoded objects (upstream: `endpoints/handlers/response.go`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use kinds::{Column, Descriptor, Marked, Now, Rules};
use meta::{Encoded, Object, Status};
use schema::{Schema, proto};
use serde_json::{Value, json};

use crate::query::Query;

/// What a table's rows carry besides the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// The object's metadata.
    Metadata,
    /// The whole object.
    Object,
}

impl Include {
    /// Reads `includeObject`.
    pub fn from_query(query: &Query) -> Result<Self, Status> {
        match query.text("includeObject") {
            "" | "Metadata" => Ok(Include::Metadata),
            "None" => Ok(Include::None),
            "Object" => Ok(Include::Object),
            other => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be \
                 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// An object's `PartialObjectMetadata` of a version of `meta.k8s.io`.
pub fn partial(object: &Arc<Encoded>, version: &str) -> Result<Bytes, Status> {
    let mut out = BytesMut::new();
    put_partial(&*object.metadata()?, version, &mut out);
    Ok(out.freeze())
}

/// The same, appended.
pub fn put_partial(metadata: &[u8], version: &str, out: &mut BytesMut) {
    let head = [r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/"#, version, r#"","metadata":"#].concat();
    out.reserve(head.len() + metadata.len() + 1);
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(metadata);
    out.extend_from_slice(b"}");
}

/// The same as protobuf, cut out of the object's. `None`: it has no such form.
pub fn partial_proto(object: &Arc<Encoded>, version: &str) -> Option<Bytes> {
    Some(proto::wrap(&format!("meta.k8s.io/{version}"), "PartialObjectMetadata", &partial_message(object)?))
}

/// The same without an envelope, as lists hold it.
pub fn partial_message(object: &Arc<Encoded>) -> Option<Bytes> {
    let whole = match object.protobuf() {
        Some(whole) => whole,
        None => metadata_proto(object)?,
    };
    Some(proto::partial(&proto::metadata(&whole)?))
}

/// Custom resources have no protobuf form, but their metadata has: upstream's clients of metadata ask for it first.
fn metadata_proto(object: &Arc<Encoded>) -> Option<Bytes> {
    let metadata: Value = serde_json::from_slice(&object.metadata().ok()?).ok()?;
    let partial = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata});
    let partial = Object::from_value(partial).ok()?;
    Schema::builtin(&partial.gvk())?.encode_proto(&partial)
}

/// The metadata of a table of one object; one that is not stored has no revision.
pub fn table_metadata(revision: u64) -> String {
    if revision == 0 { "{}".to_owned() } else { format!(r#"{{"resourceVersion":"{revision}"}}"#) }
}

/// How to make tables of one kind of object.
#[derive(Clone)]
pub struct Tables {
    printer: Arc<dyn Rules>,
    /// Whether the printer is that of the kind whose objects these are.
    own: bool,
    version: &'static str,
    include: Include,
}

impl Tables {
    /// Tables of a version of `meta.k8s.io`.
    pub fn new(kind: &Descriptor, subresource: &str, version: &'static str, include: Include) -> Self {
        let printer = kind.printer(subresource);
        let own = Arc::ptr_eq(&printer, &kind.rules);
        Tables { printer, own, version, include }
    }

    /// A table of some objects. `list_metadata` is JSON. Without `headings` the columns are not described:
    /// all frames of a watch but the first.
    pub fn table<'a>(
        &self,
        objects: impl Iterator<Item = &'a Arc<Encoded>>,
        list_metadata: &str,
        headings: bool,
    ) -> Result<Bytes, Status> {
        let columns = if headings { self.headings() } else { "null".to_owned() };
        let (version, now) = (self.version, Timestamp::now());
        let mut out = format!(
            r#"{{"kind":"Table","apiVersion":"meta.k8s.io/{version}","metadata":{list_metadata},"columnDefinitions":{columns},"rows":["#
        );
        for (at, object) in objects.enumerate() {
            out.push_str(if at > 0 { "," } else { "" });
            self.row(object, now, &mut out)?;
        }
        out.push_str("]}");
        Ok(out.into())
    }

    fn headings(&self) -> String {
        let column = |c: &Column| {
            format!(
                r#"{{"name":{},"type":{},"format":{},"description":{},"priority":{}}}"#,
                Value::from(&*c.name),
                Value::from(&*c.kind),
                Value::from(&*c.format),
                Value::from(&*c.description),
                c.priority
            )
        };
        format!("[{}]", self.printer.columns().iter().map(column).collect::<Vec<_>>().join(","))
    }

    fn row(&self, object: &Arc<Encoded>, now: Timestamp, out: &mut String) -> Result<(), Status> {
        out.push_str(r#"{"cells":"#);
        match object.row().filter(|_| self.own).and_then(|row| row.downcast::<Marked>().ok()) {
            Some(cells) => cells.print(now, out),
            None => out.push_str(&Value::Array(self.printer.row(&object.object()?, &Now::at(now))).to_string()),
        }
        match self.include {
            Include::None => out.push_str(r#","object":null}"#),
            Include::Metadata => {
                out.push_str(r#","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/"#);
                out.push_str(self.version);
                out.push_str(r#"","metadata":"#);
                out.push_str(&String::from_utf8_lossy(&object.metadata()?));
                out.push_str("}}");
            }
            Include::Object => {
                out.push_str(r#","object":"#);
                out.push_str(&String::from_utf8_lossy(&object.json()?));
                out.push('}');
            }
        }
        Ok(())
    }
}
