//! How those who are no part of the server are asked: conversions, and plug-ins that call out.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kinds::webhook::Client;

/// Calls webhooks. Given to those who need it, so that they know no HTTP.
#[async_trait]
pub trait Call: Send + Sync + 'static {
    /// Posts a JSON document and gives the body of the answer, if that says that all is well. It takes no longer than
    /// `patience`. The error is in upstream's words.
    async fn post(&self, client: &Client, body: Bytes, patience: Duration) -> Result<Bytes, String>;
}
