//! GET of a collection.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use kinds::Descriptor;
use meta::Status;
use registry::api::List;
use schema::proto;
use serde_json::{Map, Value};
use transport::Body;

use super::Work;
use crate::flow::outlet::Streamed;
use crate::list::{self, GZIP_FROM, GzipBody, ListBody};
use crate::negotiate::{self, Format, Output, PROTOBUF, Shape};
use crate::pretty::Printable;
use crate::shape::{self, Include, Tables};
use crate::{answer, options};

/// Answers with one page.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    let output = negotiate::output_of_list(work.headers())?;
    let scope = options::scope(work.ask.route)?;
    let options = options::list(&work.ask.route.query)?;
    let page = work.ask.state.registry.list(work.attributes(), &scope, &options).await?;
    many(&work, output, page)
}

/// A list in the form asked for. Whole objects as JSON are not touched; all else is made of each of them.
pub fn many(work: &Work<'_>, output: Output, page: List) -> Result<Response<Body>, Status> {
    if output.shape == Shape::Whole && output.format == Format::Json {
        return Ok(stream(work.headers(), ListBody::new(&work.kind, page)));
    }
    let bytes = page.items.iter().map(|object| object.json.len()).sum();
    registry::long::steps(bytes, || converted(work, output, page))
}

fn converted(work: &Work<'_>, output: Output, page: List) -> Result<Response<Body>, Status> {
    let json = match output.shape {
        Shape::Whole if output.format == Format::Protobuf => {
            return Ok(answer::bytes(StatusCode::OK, PROTOBUF, protobuf(&work.kind, &page)?));
        }
        Shape::Whole => ListBody::new(&work.kind, page).whole(),
        Shape::Partial(version) => {
            let mut items = String::new();
            for object in &page.items {
                items.push_str(if items.is_empty() { "" } else { "," });
                items.push_str(&String::from_utf8_lossy(&shape::partial(&object.json, version)?));
            }
            let metadata = list::metadata(&page);
            format!(
                r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/{version}","metadata":{metadata},"items":[{items}]}}"#
            )
            .into()
        }
        Shape::Table(version) => {
            let include = Include::from_query(&work.ask.route.query)?;
            let objects = page.items.iter().map(|o| &*o.json);
            Tables::new(work.kind.rules.clone(), version, include).table(objects, &list::metadata(&page), true)?
        }
    };
    answer::encoded(StatusCode::OK, output.format, json)
}

/// The list as protobuf.
fn protobuf(kind: &Descriptor, page: &List) -> Result<Bytes, Status> {
    let root = kind.schema.root();
    if !proto::has_form(root) {
        return Err(negotiate::not_acceptable());
    }
    let message = |json: &[u8]| -> Result<Bytes, Status> {
        let tree = schema::stored(json).map_err(Status::internal)?;
        let map = tree.as_object().ok_or_else(|| Status::internal("a stored object is no JSON object"))?;
        Ok(proto::message(root, map).into())
    };
    let items: Result<Vec<Bytes>, Status> = page.items.iter().map(|o| message(&o.json)).collect();
    let metadata: Map<String, Value> = serde_json::from_str(&list::metadata(page)).map_err(Status::internal)?;
    Ok(proto::list(&kind.gvk.api_version(), &format!("{}List", kind.gvk.kind), &metadata, &items?))
}

/// Streams the list, compressed if it is large and the client accepts it.
fn stream(headers: &HeaderMap, body: ListBody) -> Response<Body> {
    let mut response = answer::bytes(StatusCode::OK, Format::Json.media_type(), "");
    if body.left() >= GZIP_FROM && negotiate::accepts_gzip(headers) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        *response.body_mut() = GzipBody::new(body).boxed();
    } else {
        *response.body_mut() = body.boxed();
    }
    response.extensions_mut().insert(Streamed);
    response.extensions_mut().insert(Printable);
    response
}
