//! GET of one object.

use std::sync::Arc;

use http::{Response, StatusCode};
use meta::{Encoded, Status};
use transport::Body;

use super::Work;
use crate::answer;
use crate::negotiate::{self, Format, Output, Shape};
use crate::shape::{self, Include, Tables};

/// Answers with the object.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    let output = negotiate::output(work.headers(), true)?;
    let version = work.ask.route.query.text("resourceVersion");
    let object = work.ask.state.registry.get(work.attributes(), version).await?;
    one(&work, output, StatusCode::OK, &object)
}

/// One object in the form asked for.
pub fn one(work: &Work<'_>, output: Output, code: StatusCode, object: &Arc<Encoded>) -> Result<Response<Body>, Status> {
    let json = match output.shape {
        Shape::Whole => return answer::whole(code, output.format, object),
        Shape::Partial(version) if output.format == Format::Protobuf => {
            let partial = shape::partial_proto(object, version)?;
            return Ok(answer::bytes(code, output.format.media_type(), partial));
        }
        Shape::Partial(version) => shape::partial(object, version)?,
        Shape::Table(version) => {
            let include = Include::from_query(&work.ask.route.query)?;
            let metadata = shape::table_metadata(object.revision);
            Tables::new(&work.kind, &work.attributes().subresource, version, include).table(std::iter::once(object), &metadata, true)?
        }
    };
    answer::encoded(code, output.format, json)
}
