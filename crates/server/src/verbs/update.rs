//! PUT.

use http::{Response, StatusCode};
use meta::{Attributes, Object, Status};
use tracing::{Instrument, debug_span};
use transport::Body;

use super::{Work, create};
use crate::{negotiate, options};

/// Replaces the object and answers with it.
pub async fn run(mut work: Work<'_>) -> Result<Response<Body>, Status> {
    let output = negotiate::output(work.headers(), true)?;
    let call = options::call(work.ask.route, work.headers(), "UpdateOptions", false)?;
    let (object, mut warnings) =
        create::body(&mut work, call.field_validation).instrument(debug_span!("decode+default")).await?;
    named_like_the_path(&object, work.attributes()).map_err(|status| create::warned(status, &warnings))?;
    let updated = work.ask.state.registry.update(&call, object).await;
    let mut written = updated.map_err(|status| create::warned(status, &warnings))?;
    warnings.append(&mut written.warnings);
    written.warnings = warnings;
    let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    create::wrote(&work, output, written, code)
}

/// Upstream's `checkName`.
fn named_like_the_path(object: &Object, a: &Attributes) -> Result<(), Status> {
    let (name, namespace) = (object.name(), object.namespace());
    if a.resource != "namespaces" && !a.namespace.is_empty() && !namespace.is_empty() && namespace != a.namespace {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(why));
    }
    if name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            a.name
        )));
    }
    if name != a.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            a.name
        )));
    }
    Ok(())
}
