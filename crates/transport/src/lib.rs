//! HTTP as values: the one neck between those who ask and those who answer.
//!
//! A [`Transport`] takes a request and gives a response whose body may stream. The server
//! implements it as a function call; the network client implements it over TLS. Actors
//! cannot tell which of the two they hold.
//!
//! Must not know: Kubernetes.

mod line;
pub mod long;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};

/// The error of a broken body or connection.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A body, streamed or whole.
pub type Body = BoxBody<Bytes, Error>;

/// Carries one request to an API server.
pub trait Transport: Send + Sync + 'static {
    /// Sends the request. An error means that no response was received; a refused request is a
    /// response with a status code.
    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Error>>;
}

/// A transport that several owners share.
pub type Shared = Arc<dyn Transport>;

/// A whole body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// A whole body with a line break behind it, without a copy.
pub fn line(bytes: impl Into<Bytes>) -> Body {
    line::Line::new(bytes.into()).boxed()
}

/// An empty body.
pub fn empty() -> Body {
    full(Bytes::new())
}
