//! `/openapi/v2` and `/openapi/v3`.

use http::Response;
use meta::Status;
use transport::Body;

use crate::answer;
use crate::pipeline::Ask;

/// Everything in one document, as Swagger 2.0.
pub fn v2(_: &Ask<'_>) -> Result<Response<Body>, Status> {
    Ok(answer::page_not_found())
}

/// The list of documents.
pub fn index(_: &Ask<'_>) -> Result<Response<Body>, Status> {
    Ok(answer::page_not_found())
}

/// The document of one group version.
pub fn document(_: &Ask<'_>) -> Result<Response<Body>, Status> {
    Ok(answer::page_not_found())
}
