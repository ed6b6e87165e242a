//! GET of a collection.

use std::sync::Arc;

use bytes::BytesMut;
use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use kinds::Descriptor;
use meta::{Encoded, Status};
use registry::api::List;
use schema::proto;
use transport::Body;

use super::Work;
use crate::flow::outlet::Streamed;
use crate::list::{self, GZIP_FROM, GzipBody, ListBody};
use crate::negotiate::{self, Format, Output, Shape};
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
    let bytes = page.items.iter().map(|object| object.stored().len()).sum();
    registry::long::steps(bytes, || form(work, output, &page))
}

fn form(work: &Work<'_>, output: Output, page: &List) -> Result<Response<Body>, Status> {
    let json = match output.shape {
        Shape::Whole if output.format == Format::Protobuf => {
            return Ok(stream(work.headers(), Format::Protobuf, whole_proto(&work.kind, page)?));
        }
        Shape::Whole if output.format == Format::Json => {
            return Ok(stream(work.headers(), Format::Json, ListBody::json(&work.kind, page)?));
        }
        Shape::Whole => ListBody::json(&work.kind, page)?.whole(),
        Shape::Partial(version) if output.format == Format::Protobuf => {
            return Ok(stream(work.headers(), Format::Protobuf, partial_proto(page, version)?));
        }
        Shape::Partial(version) => {
            let metadata = list::metadata(page);
            let head = format!(
                r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/{version}","metadata":{metadata},"items":["#
            );
            let mut out = BytesMut::from(head.as_bytes());
            for (at, object) in page.items.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"," } else { b"" });
                shape::put_partial(&object.metadata()?, version, &mut out);
            }
            out.extend_from_slice(b"]}");
            out.freeze()
        }
        Shape::Table(version) => {
            let include = Include::from_query(&work.ask.route.query)?;
            let tables = Tables::new(&work.kind, "", version, include);
            tables.table(page.items.iter(), &list::metadata(page), true)?
        }
    };
    answer::encoded(StatusCode::OK, output.format, json)
}

/// Whole objects as protobuf.
fn whole_proto(kind: &Descriptor, page: &List) -> Result<ListBody, Status> {
    if !kind.schema.has_proto() {
        return Err(negotiate::not_acceptable());
    }
    let message = |object: &Arc<Encoded>| object.protobuf().and_then(|whole| proto::content(&whole)).ok_or_else(|| unreadable(object));
    let items = page.items.iter().map(message).collect::<Result<_, _>>()?;
    ListBody::protobuf(&kind.gvk.api_version(), &kind.list_kind(), page, items)
}

fn unreadable(object: &Encoded) -> Status {
    Status::internal(format!("unreadable stored object: {}", object.key))
}

/// Metadata alone, as protobuf.
fn partial_proto(page: &List, version: &str) -> Result<ListBody, Status> {
    let items = page.items.iter().map(shape::partial_message).collect::<Result<_, _>>()?;
    ListBody::protobuf(&format!("meta.k8s.io/{version}"), "PartialObjectMetadataList", page, items)
}

/// Streams the list, compressed if it is large and the client accepts it.
fn stream(headers: &HeaderMap, format: Format, body: ListBody) -> Response<Body> {
    let mut response = answer::bytes(StatusCode::OK, format.media_type(), "");
    if body.left() >= GZIP_FROM && negotiate::accepts_gzip(headers) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        *response.body_mut() = GzipBody::new(body).boxed();
    } else {
        *response.body_mut() = body.boxed();
    }
    response.extensions_mut().insert(Streamed);
    if format == Format::Json {
        response.extensions_mut().insert(Printable);
    }
    response
}
