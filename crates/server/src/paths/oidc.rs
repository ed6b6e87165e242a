//! What verifiers of service-account tokens read (upstream: `routes/openidmetadata.go`).

use http::{Response, StatusCode};
use meta::Status;
use transport::Body;

use crate::answer;
use crate::pipeline::Ask;

/// The discovery document.
pub fn discovery(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let document = ask.state.tokens.discovery(&ask.state.address);
    Ok(answer::bytes(StatusCode::OK, "application/json", document.to_string()))
}

/// The public keys.
pub fn keys(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    Ok(answer::bytes(StatusCode::OK, "application/jwk-set+json", ask.state.tokens.keys().to_string()))
}
