//! POST of a new object, or to a subresource.

use http::{Response, StatusCode};
use meta::Status;
use registry::api::{FieldValidation, Written};
use tracing::{Instrument, debug_span};
use transport::Body;

use super::{Work, get};
use crate::negotiate::{self, Format, Output};
use crate::{answer, decode, options};

/// Creates the object and answers with it.
pub async fn run(mut work: Work<'_>) -> Result<Response<Body>, Status> {
    let output = negotiate::output(work.headers(), true)?;
    let call = options::call(work.ask.route, work.headers(), "CreateOptions", false)?;
    let (object, mut warnings) =
        body(&mut work, call.field_validation).instrument(debug_span!("decode+default")).await?;
    let created = work.ask.state.registry.create(&call, object).await;
    let mut written = created.map_err(|status| warned(status, &warnings))?;
    warnings.append(&mut written.warnings);
    written.warnings = warnings;
    wrote(&work, output, written, StatusCode::CREATED)
}

/// A refusal of an object whose body was odd as well.
pub fn warned(mut status: Status, warnings: &[String]) -> Status {
    status.warnings.splice(0..0, warnings.iter().cloned());
    status
}

/// The object in the body.
pub async fn body(work: &mut Work<'_>, validation: FieldValidation) -> Result<(meta::Object, Vec<String>), Status> {
    let format = negotiate::input(work.headers())?;
    let bytes = decode::read(std::mem::replace(&mut work.ask.body, transport::empty())).await?;
    let (gvk, schema) = decode::taken(&work.kind, &work.attributes().subresource)?;
    registry::long::steps(bytes.len(), || decode::object(&gvk, &schema, format, &bytes, validation))
}

/// Answers with what was written.
pub fn wrote(work: &Work<'_>, output: Output, written: Written, code: StatusCode) -> Result<Response<Body>, Status> {
    let mut response = match output {
        // The common case costs nothing.
        Output { format: Format::Json, shape: negotiate::Shape::Whole } => {
            answer::encoded(code, Format::Json, written.object.json()?)?
        }
        _ => get::one(work, output, code, &written.object)?,
    };
    answer::warn(&mut response, &written.warnings);
    Ok(response)
}
